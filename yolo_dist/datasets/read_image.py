"""Image files as RGB arrays."""
import struct
import zlib

import cv2
import numpy as np

from yolo_dist.errors import InputError

_JPEG_START = b'\xff\xd8'
_PNG_START = b'\x89PNG\r\n\x1a\n'
# What a PNG's pixels and their orientation depend on. Broken colour profiles in the other chunks
# make the decoder write warnings to stderr.
_PNG_CHUNKS = {b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'IEND', b'eXIf'}


def read_image(path, *, apply_orientation=True):
    """Reads an image file of any usual format and pixel type as 8-bit RGB.

    The format is told by the content, not by the name. Grey, palette, CMYK and 16-bit pixels are
    converted; an alpha channel is dropped; of an animation the first picture is taken.

    Args:
        path (str or ~pathlib.Path): The file.
        apply_orientation (bool): Whether the picture is turned as its EXIF data say, so that it
            looks as a viewer shows it. ``False`` gives the pixels as they are stored.

    Returns:
        ndarray: uint8 ``(3, H, W)`` in [0, 255], RGB. A view of interleaved memory: the
        transforms get ``(H, W, 3)`` back without a copy.

    Raises:
        InputError: If the file is missing, empty, truncated or not an image.
    """
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except OSError as error:
        raise InputError(f'{path}: the image cannot be read ({error.strerror}); '
                         'check the path and the list it comes from') from error
    return decode_image(data, path, apply_orientation=apply_orientation)


def decode_image(data, name, *, apply_orientation=True):
    """Decodes the content of an image file; see :func:`read_image`.

    Args:
        data (bytes): Content of the file.
        name (str or ~pathlib.Path): What an error message calls it.
        apply_orientation (bool): Whether the picture is turned as its EXIF data say.

    Returns:
        ndarray: uint8 ``(3, H, W)`` in [0, 255], RGB.

    Raises:
        InputError: If ``data`` is empty, truncated or not an image.
    """
    if not data:
        raise InputError(f'{name}: the image file is empty (0 bytes); restore it or take it '
                         'out of the list')
    # Decoders fill what a cut file lacks with grey and say nothing, so its end is looked for.
    if data.startswith(_JPEG_START):
        whole = _is_whole_jpeg(data)
    elif data.startswith(_PNG_START):
        data = _without_ancillary_chunks(data)
        whole = data is not None
    else:
        whole = True
    if not whole:
        raise InputError(f'{name}: the image file is truncated or damaged; restore it or take '
                         'it out of the list')

    flags = cv2.IMREAD_COLOR_RGB
    if not apply_orientation:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    img = _decode_quietly(data, flags)
    if img is None:
        raise InputError(f'{name}: not a complete image file (first bytes {data[:8]!r}); '
                         'expected JPEG, PNG or another usual format; restore the file or take '
                         'it out of the list')
    return img.transpose(2, 0, 1)


def _decode_quietly(data, flags):
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)


def _is_whole_jpeg(data):
    """Whether an end-of-image marker follows the start of the compressed pixels.

    Thumbnails in the header have end markers of their own: the header is walked over.
    """
    at = len(_JPEG_START)
    while at + 4 <= len(data) and data[at] == 0xff:
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], 'big')
        if marker == 0xda:
            return data.find(b'\xff\xd9', at) >= 0
        # Fill bytes may stand before a marker; the markers below have no length.
        is_bare = marker == 0x01 or 0xd0 <= marker <= 0xd7
        at += 1 if marker == 0xff else 2 if is_bare else 2 + length
    return False


def _without_ancillary_chunks(data):
    """A PNG of only the chunks in ``_PNG_CHUNKS``; ``None`` if it is cut or fails its checksum."""
    kept = [_PNG_START]
    at = len(_PNG_START)
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
