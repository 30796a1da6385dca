"""Between planes, which the models take, and interleaved pixels, which OpenCV takes."""
import operator

import cv2
import numpy as np


def to_interleaved(img):
    """Image for OpenCV.

    Args:
        img (ndarray): ``(3, H, W)``.

    Returns:
        ndarray: ``(H, W, 3)``, contiguous; no copy if ``img`` is a view of such an array, as
        :func:`yolo_dist.datasets.read_image` returns.
    """
    return np.ascontiguousarray(img.transpose(1, 2, 0))


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
