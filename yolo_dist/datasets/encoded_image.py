"""An image file in memory, decoded when it is known how much of it is needed."""
import cv2
import numpy as np
import simplejpeg

from yolo_dist.datasets.image_headers import (
    JPEG_START,
    PNG_START,
    other_size,
    parse_jpeg_header,
    png_size,
    without_ancillary_chunks,
)
from yolo_dist.errors import InputError

# 16,384 x 16,384: 0.8 GiB as RGB. A claim of more is refused before memory is reserved for it.
MAX_PIXELS = 1 << 28

# Endings of the image files of a data set, in lower case.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')

# What simplejpeg turns into RGB; CMYK and YCCK are left to OpenCV.
_JPEG_COLOURS = {'YCbCr', 'RGB', 'Gray'}
# Below this simplejpeg could find a smaller scale that gives as many pixels.
_MIN_REDUCED_PX = 16
# No JPEG has higher blocks of pixels; within them rows depend on each other.
_BLOCK_ROWS = 32
# libjpeg-turbo writes rows that start at such an address past the caches, and the transform, which
# reads them next, takes two to three times as long.
_UNCACHED_BYTES = 32


class EncodedImage:
    """An image file of any usual format and pixel type as 8-bit RGB.

    The format is told by the content, not by the name. Grey, palette, CMYK and 16-bit pixels are
    converted; an alpha channel is dropped; of an animation the first picture is taken.

    Of a JPEG only the header is read here, so that a transform that shrinks it can have it
    decoded at 1/2, 1/4 or 1/8 of its size, and one that cuts it only down to the last row that
    shows; other formats are decoded at once. JPEGs are decoded
    by simplejpeg (libjpeg-turbo), to the same pixels as by OpenCV and faster; what it refuses,
    such as CMYK or a file with a fault that does no harm, OpenCV decodes.

    Args:
        data (bytes): Content of the file.
        name (str or ~pathlib.Path): What an error message calls it.
        apply_orientation (bool): Whether the picture is turned as its EXIF data say, so that it
            looks as a viewer shows it. ``False`` gives the pixels as they are stored.

    Attributes:
        shape (tuple of int): ``(3, H, W)``, of the decoded image in full size.

    Raises:
        InputError: If ``data`` is empty, truncated, not an image, or claims more than
            ``MAX_PIXELS``.
    """

    def __init__(self, data, name, *, apply_orientation=True):
        if not data:
            raise InputError(f'{name}: the image file is empty (0 bytes); restore it or take it '
                             'out of the list')
        self._data = data
        self._name = name
        self._pixels = None
        self._orientation = 1
        self._height_at = None
        if data.startswith(JPEG_START):
            header = parse_jpeg_header(data)
            self._check_size(header.size_hw)
            if not header.is_whole:
                self._raise_damaged()
            if apply_orientation:
                self._orientation = header.orientation
            if self._orientation == 1:
                self._height_at = header.height_at
            size_hw = _jpeg_size(data)
            if size_hw is None:
                # OpenCV must not turn it, too.
                self._pixels = _turn(self._decode_by_opencv(ignore_orientation=True),
                                     self._orientation)
        else:
            is_png = data.startswith(PNG_START)
            size_hw = png_size(data) if is_png else other_size(data)
            if size_hw is None:
                self._raise_no_image()
            self._check_size(size_hw)
            if is_png:
                self._data = without_ancillary_chunks(data)
                if self._data is None:
                    self._raise_damaged()
            self._pixels = self._decode_by_opencv(ignore_orientation=not apply_orientation)
        if self._pixels is not None:
            size_hw = self._pixels.shape[:2]
        elif self._orientation >= 5:
            size_hw = size_hw[::-1]
        self.shape = (3, *size_hw)

    def _check_size(self, size_hw):
        """Refuse a size that no memory is to be reserved for: a kilobyte can claim gigabytes."""
        if size_hw is not None and size_hw[0] * size_hw[1] > MAX_PIXELS:
            raise InputError(
                f'{self._name}: the image file of {len(self._data):,} bytes claims '
                f'{size_hw[1]:,} x {size_hw[0]:,} pixels, but at most {MAX_PIXELS:,} are read; '
                'shrink it or take it out of the list')

    def decode(self):
        """Decode the image in full size.

        Returns:
            ndarray: uint8 ``(3, H, W)`` in [0, 255], RGB. A view of interleaved memory: OpenCV
            gets ``(H, W, 3)`` back without a copy.

        Raises:
            InputError: If the file turns out to be damaged.
        """
        if self._pixels is None:
            self._pixels = self._decode_jpeg('RGB')
        return self._pixels.transpose(2, 0, 1)

    def decode_rgbx(self, shrink=1, n_rows=None):
        """Decode the image for OpenCV, which is faster with four channels than with three.

        Args:
            shrink ({1, 2, 4, 8}): What the size may be divided by.
            n_rows (int): How many of the ``H`` rows are needed, from the top; ``None`` means
                all.

        Returns:
            tuple: uint8 ``(ceil(H / s), ceil(W / s), 4)``, RGB and a byte without meaning,
            perhaps without rows that are not needed; and ``s``, which is ``shrink``, or 1 if the
            file cannot be decoded so. A pixel is the mean of ``s x s``.

        Raises:
            InputError: If the file turns out to be damaged.
        """
        # The last pixels of an image in another size stand for less than s x s; of a turned
        # image those would be the first.
        if self._orientation != 1 or min(self.shape[1:]) < _MIN_REDUCED_PX:
            shrink = 1
        if self._pixels is None:
            pixels = self._decode_jpeg('RGBX', shrink, n_rows)
            if pixels.shape[2] == 4:
                return pixels, shrink
            self._pixels = pixels
        return cv2.cvtColor(self._pixels, cv2.COLOR_RGB2RGBA), 1

    def _decode_jpeg(self, colours, shrink=1, n_rows=None):
        height, width = self.shape[1:]
        data = self._data
        if n_rows is not None and self._height_at is not None:
            # One more, as the last row of a block is smoothed with the first of the next.
            n_rows = -(-(n_rows + 1) // _BLOCK_ROWS) * _BLOCK_ROWS
            if n_rows < height:
                height = n_rows
                at = self._height_at
                data = b''.join((data[:at], height.to_bytes(2, 'big'), data[at + 2:]))
        height, width = -(-height // shrink), -(-width // shrink)
        least = {'min_height': height, 'min_width': width} if shrink > 1 else {}
        memory = _cached_memory(height * width * len(colours))
        try:
            # To the decoder what follows the last row is a fault.
            pixels = simplejpeg.decode_jpeg(data, colours, buffer=memory,
                                            strict=data is self._data, **least)
        except ValueError:
            pixels = self._decode_by_opencv(ignore_orientation=True)
        return _turn(pixels, self._orientation)

    def _decode_by_opencv(self, *, ignore_orientation):
        flags = cv2.IMREAD_COLOR_RGB
        if ignore_orientation:
            flags |= cv2.IMREAD_IGNORE_ORIENTATION
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            pixels = cv2.imdecode(np.frombuffer(self._data, np.uint8), flags)
        except cv2.error:
            pixels = None
        finally:
            cv2.utils.logging.setLogLevel(level)
        if pixels is None:
            self._raise_no_image()
        return pixels

    def _raise_no_image(self):
        raise InputError(
            f'{self._name}: not a complete image file (first bytes {self._data[:8]!r}); '
            'expected JPEG, PNG or another usual format; restore the file or take it out of '
            'the list')

    def _raise_damaged(self):
        raise InputError(f'{self._name}: the image file is truncated or damaged; restore it or '
                         'take it out of the list')


def _jpeg_size(data):
    """Height and width of a JPEG as stored; ``None`` if simplejpeg cannot decode it."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (height, width) if colours in _JPEG_COLOURS else None


def _cached_memory(n_bytes):
    """Memory for pixels, uint8 ``(n_bytes,)``, that stays in the caches as it is written."""
    memory = np.empty(n_bytes + _UNCACHED_BYTES, np.uint8)
    # Beside the address by a pixel of four bytes: so are the rows below, for every even width.
    start = (4 - memory.ctypes.data) % _UNCACHED_BYTES
    return memory[start:start + n_bytes]


def _turn(pixels, orientation):
    """Return the picture ``(H, W, C)`` as EXIF's ``orientation`` wants it shown."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
