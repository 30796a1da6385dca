"""What the header of an image file tells, and whether the file is whole."""
import io
import math
import struct
import zlib
from typing import NamedTuple

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

JPEG_START = b'\xff\xd8'
PNG_START = b'\x89PNG\r\n\x1a\n'
PNG_END = b'IEND\xaeB`\x82'

# What a PNG's pixels and their orientation depend on. Broken colour profiles in the other chunks
# make the decoder write warnings to stderr.
_PNG_CHUNKS = {b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'IEND', b'eXIf'}

# These read a header and no pixels. OpenCV reads more, in which no data sets come.
_OTHER_FORMATS = (BmpImageFile, TiffImageFile, WebPImageFile, GifImageFile, PpmImageFile,
                  AvifImageFile, Jpeg2KImageFile)

_APP1, _START_OF_SCAN = 0xe1, 0xda
_SEQUENTIAL_HUFFMAN_FRAMES = 0xc0, 0xc1
_FRAMES = {*range(0xc0, 0xd0)} - {0xc4, 0xc8, 0xcc}  # those three are tables
_ORIENTATION_TAG = 0x0112


class JPEGHeader(NamedTuple):
    """What the markers of a JPEG say.

    Attributes:
        is_whole (bool): Whether an end-of-image marker follows the start of the pixels.
        orientation (int): Of EXIF, 1 to 8: how the stored picture is to be turned; 1 is not
            at all.
        height_at (int): Where in the file the height stands, two bytes; ``None`` unless all
            components of a pixel are stored together, row by row from the top, so that a smaller
            height gives the same picture, cut.
        size_hw (tuple of int): Height and width that the header claims, pixels; ``None`` if it
            has no frame.
    """

    is_whole: bool
    orientation: int
    height_at: int | None
    size_hw: tuple | None


def parse_jpeg_header(data):
    """Walk over the markers before the compressed pixels.

    Decoders fill what a cut file lacks with grey and say nothing, so its end is looked for.
    Thumbnails in the header have end markers of their own, which do not count.

    Args:
        data (bytes): Content of a file that starts with ``JPEG_START``.

    Returns:
        JPEGHeader: What was found.
    """
    orientation = height_at = size_hw = None
    at = len(JPEG_START)
    while at + 4 <= len(data) and data[at] == 0xff:
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], 'big')
        if marker == _START_OF_SCAN:
            if height_at and data[at + 4:at + 5] != data[height_at + 4:height_at + 5]:
                height_at = None  # a scan for each component
            # From the end, where the marker usually is.
            return JPEGHeader(data.rfind(b'\xff\xd9') > at, orientation or 1, height_at, size_hw)
        if marker in _FRAMES and at + 9 <= len(data):
            claimed = struct.unpack_from('>HH', data, at + 5)
            # Of several frames the largest counts: which one a decoder takes is its own choice.
            size_hw = max(claimed, size_hw or claimed, key=math.prod)
        if marker in _SEQUENTIAL_HUFFMAN_FRAMES:
            height_at = at + 5
        if marker == _APP1 and orientation is None:
            orientation = _exif_orientation(data[at + 4:at + 2 + length])
        # Fill bytes may stand before a marker; the markers below have no length.
        is_bare = marker == 0x01 or 0xd0 <= marker <= 0xd7
        at += 1 if marker == 0xff else 2 if is_bare else 2 + length
    return JPEGHeader(False, orientation or 1, None, size_hw)


def _exif_orientation(segment):
    """Orientation in an APP1 segment, 1 to 8; ``None`` if that holds none."""
    if not segment.startswith(b'Exif\0\0'):
        return None
    tiff = segment[6:]
    order = {b'II': '<', b'MM': '>'}.get(tiff[:2])
    try:
        first, = struct.unpack_from(f'{order}I', tiff, 4)
        n_entries, = struct.unpack_from(f'{order}H', tiff, first)
        for entry in range(first + 2, first + 2 + 12 * n_entries, 12):
            tag, = struct.unpack_from(f'{order}H', tiff, entry)
            if tag == _ORIENTATION_TAG:
                value, = struct.unpack_from(f'{order}H', tiff, entry + 8)
                return value if 1 <= value <= 8 else None
    except struct.error:  # cut, or no TIFF at all
        pass
    return None


def png_size(data):
    """Tell the size that the header of a PNG claims.

    Args:
        data (bytes): Content of a file that starts with ``PNG_START``.

    Returns:
        tuple of int: Height and width in pixels; ``None`` where the file ends before.
    """
    if len(data) < 24:
        return None
    width, height = struct.unpack_from('>II', data, 16)
    return height, width


def other_size(data):
    """Tell the size that the header of a file of another format claims.

    Args:
        data (bytes): Content of a file that is neither JPEG nor PNG.

    Returns:
        tuple of int: Height and width in pixels; ``None`` where it is none of BMP, GIF, TIFF,
        WebP, PPM, AVIF and JPEG 2000.
    """
    for read_header in _OTHER_FORMATS:
        try:
            image = read_header(io.BytesIO(data))
            return image.height, image.width
        except Exception:  # Pillow says in many ways that it is another format
            pass
    return None


def without_ancillary_chunks(data):
    """Leave out of a PNG what its pixels do not depend on.

    Args:
        data (bytes): Content of a file that starts with ``PNG_START``.

    Returns:
        bytes: The other chunks; ``None`` if the file is cut or fails a checksum.
    """
    kept = [PNG_START]
    at = len(PNG_START)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, at)
        end = at + 12 + length
        if end > len(data):
            return None
        if kind in _PNG_CHUNKS:
            checksum = int.from_bytes(data[end - 4:end], 'big')
            if zlib.crc32(memoryview(data)[at + 4:end - 4]) != checksum:
                return None
            kept.append(data[at:end])
        if kind == b'IEND':
            return b''.join(kept)
        at = end
    return None
