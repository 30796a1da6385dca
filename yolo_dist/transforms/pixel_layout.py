"""Between planes, which the models take, and interleaved pixels, which OpenCV takes."""
import math
import operator

import cv2
import numpy as np

# Darknet's 0.5 in [0, 1].
GREY = 128


def to_interleaved(img):
    """Image for OpenCV.

    Args:
        img (ndarray): ``(3, H, W)``.

    Returns:
        ndarray: ``(H, W, 3)``, contiguous; no copy if ``img`` is a view of such an array, as
        :func:`yolo_dist.datasets.read_image` returns.
    """
    return np.ascontiguousarray(img.transpose(1, 2, 0))


def to_rgbx(img, shrink, last_row):
    """Image with four interleaved channels, with which OpenCV is fastest.

    Args:
        img (ndarray or ~yolo_dist.datasets.EncodedImage): uint8 ``(3, H, W)``; not yet decoded
            or decoded.
        shrink (float): By how much the image will be shrunk at least; see
            :func:`reduced_warp`.
        last_row (float): The last row of the image that will be sampled; may lie beyond it.

    Returns:
        tuple: uint8 ``(H', W', 4)``, contiguous; and what the size of the image was divided by
        to get it: 2, 4 or 8, at most ``shrink``, where a file can be decoded so, else 1. Of a
        file there may be no rows that are not sampled.
    """
    if isinstance(img, np.ndarray):
        return cv2.cvtColor(to_interleaved(img), cv2.COLOR_RGB2RGBA), 1
    divisor = min(8, 2 ** max(0, math.floor(math.log2(shrink))))
    # Between two rows of the reduced image a mixture of both is taken.
    return img.decode_rgbx(divisor, max(1, math.ceil(last_row) + 2 * divisor))


def reduced_warp(warp, divisor):
    """Return a warp of an image, for the image in reduced size.

    An image whose pixels are means of ``d x d`` and which is then sampled at distances of at
    least one such pixel shows no less than the image itself, sampled at distances of ``d``.

    Args:
        warp (ndarray): float ``(2, 3)``; takes pixel indices of the result to ``(x, y)`` of the
            image.
        divisor (int): ``d``.

    Returns:
        ndarray: float64 ``(2, 3)``.
    """
    if divisor == 1:
        return warp
    warp = np.array(warp, np.float64)
    # Pixel i has its centre at i + 1/2.
    warp[:, 2] += 0.5
    warp /= divisor
    warp[:, 2] -= 0.5
    return warp


def to_planes(pixels):
    """Image for the models.

    Args:
        pixels (ndarray): ``(H, W, 3)``.

    Returns:
        ndarray: ``(3, H, W)``, contiguous, of the same dtype.
    """
    planes = np.empty((3, *pixels.shape[:2]), pixels.dtype)
    # Several times as fast as copying the transposed view.
    cv2.split(pixels, list(planes))
    return planes


def height_width(insize):
    """Both sides of the network input.

    Args:
        insize (int or tuple of int): Side of a square, or height and width, in pixels.

    Returns:
        tuple of int: Height and width.
    """
    sides = insize if isinstance(insize, (tuple, list)) else (insize, insize)
    height, width = map(operator.index, sides)
    return height, width
