"""Image files as RGB arrays."""
from yolo_dist.datasets.encoded_image import EncodedImage
from yolo_dist.errors import InputError
from yolo_dist.outside_files import read_file


def read_image(path, *, apply_orientation=True):
    """Read an image file.

    Args:
        path (str or ~pathlib.Path): The file.
        apply_orientation (bool): See :class:`~yolo_dist.datasets.EncodedImage`.

    Returns:
        ndarray: uint8 ``(3, H, W)`` in [0, 255], RGB; see
        :meth:`~yolo_dist.datasets.EncodedImage.decode`.

    Raises:
        InputError: If the file is missing, empty, truncated or not an image.
    """
    try:
        data = read_file(path)
    except OSError as error:
        raise InputError(f'{path}: the image cannot be read ({error.strerror}); '
                         'check the path and the list it comes from') from error
    return decode_image(data, path, apply_orientation=apply_orientation)


def decode_image(data, name, *, apply_orientation=True):
    """Decode the content of an image file; see :class:`~yolo_dist.datasets.EncodedImage`.

    Args:
        data (bytes): Content of the file.
        name (str or ~pathlib.Path): What an error message calls it.
        apply_orientation (bool): Whether the picture is turned as its EXIF data say.

    Returns:
        ndarray: uint8 ``(3, H, W)`` in [0, 255], RGB.

    Raises:
        InputError: If ``data`` is empty, truncated or not an image.
    """
    return EncodedImage(data, name, apply_orientation=apply_orientation).decode()
