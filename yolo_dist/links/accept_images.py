"""The images that ``predict`` accepts, and the errors for all others."""
import os

import numpy as np

from yolo_dist.errors import InputError

_EXPECTED = ('expected a list of RGB images (3, height, width), uint8 or float in 0..255, such '
             'as yolo_dist.datasets.read_image gives')

# The values of a float image in 0..1 stay below this, even after resizing with overshoot.
_LEAST_MAXIMUM = 2


def accept_images(imgs):
    """Convert images in ChainerCV's format to the format of the transforms.

    Floats are in 0..255, as ``chainercv.utils.read_image`` gives them, and are rounded. An image
    whose largest value lies above 0 and below 2 may be in 0..1, or nearly black. Such an image is
    refused, because a wrong guess gives boxes that look right.

    Args:
        imgs (iterable of ndarray): RGB images ``(3, H, W)``, each of its own size; uint8, or
            float in 0..255.

    Returns:
        list of ndarray: The same images in uint8; those that were uint8 are not copied.

    Raises:
        InputError: If anything else was given. The message says what was given.
    """
    if isinstance(imgs, (str, bytes, os.PathLike)):
        raise InputError(f'predict: found the path {os.fspath(imgs)!r}; {_EXPECTED}: '
                         'predict([read_image(path)])')
    if _ndim(imgs) in (2, 3) or not hasattr(imgs, '__iter__'):
        raise InputError(f'predict: found one {_describe(imgs)}, not a list; {_EXPECTED}: '
                         f'predict([img]){_way_on(imgs)}')
    return [_accept(img, f'predict: image {i}') for i, img in enumerate(imgs)]


def _accept(img, name):
    if isinstance(img, (str, bytes, os.PathLike)):
        raise InputError(f'{name}: found the path {os.fspath(img)!r}; {_EXPECTED}: '
                         'predict([read_image(path)])')
    if not isinstance(img, np.ndarray):
        raise InputError(f'{name}: found {_describe(img)}; {_EXPECTED}{_way_on(img)}')
    if img.ndim != 3 or img.shape[0] != 3 or not img.size:
        raise InputError(f'{name}: found shape {img.shape}; {_EXPECTED}{_way_on(img)}')
    if img.dtype == np.uint8:
        return img
    if img.dtype.kind != 'f':
        raise InputError(f'{name}: found dtype {img.dtype}; {_EXPECTED}')
    lowest, highest = img.min(), img.max()
    if not 0 <= lowest <= highest <= 255:  # also where one is no number
        raise InputError(f'{name}: found values from {lowest:g} to {highest:g}; {_EXPECTED}')
    if 0 < highest < _LEAST_MAXIMUM:
        raise InputError(
            f'{name}: found {img.dtype} with values up to {highest:g}, which may be 0..1 or a '
            f'nearly black image in 0..255; {_EXPECTED}. Convert 0..1 by img * 255, and a '
            'nearly black image by img.astype(np.uint8)')
    return np.rint(img).astype(np.uint8)


def _ndim(value):
    return getattr(value, 'ndim', None)


def _describe(value):
    kind = f'{type(value).__module__}.{type(value).__name__}'.removeprefix('builtins.')
    return f'{kind} of shape {value.shape}' if hasattr(value, 'shape') else kind


def _way_on(value):
    shape = getattr(value, 'shape', ())
    if len(shape) == 3 and shape[0] != 3 and shape[2] in (3, 4):
        return '. Convert (height, width, channels) by img[:, :, :3].transpose(2, 0, 1)'
    if hasattr(value, 'convert'):  # Pillow
        return ". Convert a PIL image by np.asarray(img.convert('RGB')).transpose(2, 0, 1)"
    if hasattr(value, 'get'):  # CuPy
        return '. Convert an array on a GPU by img.get()'
    return ''
