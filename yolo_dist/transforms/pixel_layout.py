"""Conversion between planes, for the models, and interleaved pixels, for OpenCV."""
import math
import operator

import cv2
import numpy as np

# Darknet's 0.5 in [0, 1].
GREY = 128


def to_interleaved(img):
    """Convert an image for OpenCV.

    Args:
        img (ndarray): ``(3, H, W)``.

    Returns:
        ndarray: ``(H, W, 3)``, contiguous. It is no copy if ``img`` is a view of such an array,
        as from :func:`yolo_dist.datasets.read_image`.
    """
    return np.ascontiguousarray(img.transpose(1, 2, 0))


def to_rgbx(img, shrink, last_row):
    """Convert an image to four interleaved channels, the fastest layout for OpenCV.

    Args:
        img (ndarray or ~yolo_dist.datasets.EncodedImage): uint8 ``(3, H, W)``, decoded or
            encoded.
        shrink (float): The smallest factor by which the image will be shrunk; see
            :func:`reduced_warp`.
        last_row (float): The last row of the image that will be sampled; may lie beyond it.

    Returns:
        tuple: uint8 ``(H', W', 4)``, contiguous; and the divisor of its size. The divisor is 2, 4
        or 8, at most ``shrink``, if the file can be decoded in reduced size, else 1. Rows of a
        file that are not sampled may be missing.
    """
    if isinstance(img, np.ndarray):
        return cv2.cvtColor(to_interleaved(img), cv2.COLOR_RGB2RGBA), 1
    divisor = min(8, 2 ** max(0, math.floor(math.log2(shrink))))
    # Sampling between two rows of the reduced image needs both of them.
    return img.decode_rgbx(divisor, max(1, math.ceil(last_row) + 2 * divisor))


def reduced_warp(warp, divisor):
    """Convert a warp of an image to a warp of the image in reduced size.

    Each pixel of the reduced image is a mean of ``d x d`` pixels. Sampling it at distances of at
    least one pixel loses no detail against sampling the image itself at distances of ``d``.

    Args:
        warp (ndarray): float ``(2, 3)``; maps pixel indices of the result to ``(x, y)`` of the
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
    """Convert an image for the models.

    Args:
        pixels (ndarray): ``(H, W, 3)``.

    Returns:
        ndarray: ``(3, H, W)``, contiguous, of the same dtype.
    """
    planes = np.empty((3, *pixels.shape[:2]), pixels.dtype)
    # This is several times as fast as copying the transposed view.
    cv2.split(pixels, list(planes))
    return planes


def height_width(insize):
    """Return both sides of the network input.

    Args:
        insize (int or tuple of int): Side of a square, or height and width, in pixels.

    Returns:
        tuple of int: Height and width.
    """
    sides = insize if isinstance(insize, (tuple, list)) else (insize, insize)
    height, width = map(operator.index, sides)
    return height, width
