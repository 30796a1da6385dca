"""Draw a rectangle of an image into a rectangle of a grey canvas, and map its boxes."""
from typing import NamedTuple

import cv2
import numpy as np

from yolo_dist.transforms.pixel_layout import GREY, reduced_warp


class Placement(NamedTuple):
    """A part of an image, and its place on a canvas.

    Rectangles are ``(y_min, x_min, y_max, x_max)`` in whole pixels. The maxima are one past the
    last pixel. The same numbers therefore describe pixels and the edges of boxes, and boxes are
    mapped without rounding.

    Attributes:
        source (tuple of int): Rectangle of the image, not empty.
        target (tuple of int): Rectangle of the canvas, not empty.
        canvas_hw (tuple of int): Height and width of the canvas.
    """

    source: tuple
    target: tuple
    canvas_hw: tuple

    @property
    def shrink(self):
        """Factor by which the image is shrunk, float; the smaller one of its two directions."""
        y_min, x_min, y_max, x_max = self.source
        top, left, bottom, right = self.target
        return min((y_max - y_min) / (bottom - top), (x_max - x_min) / (right - left))

    def draw(self, pixels):
        """Draw the image on a grey canvas.

        Args:
            pixels (ndarray): uint8 in [0, 255], or float in [0, 1], ``(H, W, 3)``.

        Returns:
            ndarray: Canvas ``(*canvas_hw, 3)`` of the same dtype, grey where nothing was drawn.
        """
        drawn = self.resize(pixels)
        if drawn.shape[:2] == self.canvas_hw:
            return drawn
        top, left, bottom, right = self.target
        grey = GREY if pixels.dtype == np.uint8 else 0.5
        canvas = np.full((*self.canvas_hw, 3), grey, pixels.dtype)
        canvas[top:bottom, left:right] = drawn
        return canvas

    def resize(self, pixels, divisor=1):
        """Return the part of the canvas that the image covers, interpolated bilinearly.

        Args:
            pixels (ndarray): ``(H', W', C)``.
            divisor (int): Size of the image divided by the size of ``pixels``.

        Returns:
            ndarray: ``(bottom - top, right - left, C)`` of the same dtype.
        """
        y_min, x_min, y_max, x_max = self.source
        top, left, bottom, right = self.target
        size_wh = right - left, bottom - top
        if divisor == 1:
            return cv2.resize(pixels[y_min:y_max, x_min:x_max], size_wh,
                              interpolation=cv2.INTER_LINEAR)
        # This is the same, but the edges need not lie between pixels.
        step_y, step_x = (y_max - y_min) / size_wh[1], (x_max - x_min) / size_wh[0]
        warp = [[step_x, 0, x_min + 0.5 * step_x - 0.5], [0, step_y, y_min + 0.5 * step_y - 0.5]]
        return cv2.warpAffine(pixels, reduced_warp(warp, divisor), size_wh,
                              flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REPLICATE)

    def map_bbox(self, bbox):
        """Map boxes from the image to the canvas.

        Args:
            bbox (ndarray): float ``(R, 4)`` in image pixels.

        Returns:
            ndarray: float32 ``(R, 4)`` in canvas pixels; may reach beyond the canvas.
        """
        return _map(bbox, self.source, self.target)

    def unmap_bbox(self, bbox):
        """Map boxes from the canvas to the image: the inverse of :meth:`map_bbox`.

        Args:
            bbox (ndarray): float ``(R, 4)`` in canvas pixels.

        Returns:
            ndarray: float32 ``(R, 4)`` in image pixels; may reach beyond the image.
        """
        return _map(bbox, self.target, self.source)


def _map(bbox, source, target):
    source, target = np.array(source, np.float64), np.array(target, np.float64)
    scale = np.tile((target[2:] - target[:2]) / (source[2:] - source[:2]), 2)
    bbox = np.asarray(bbox).reshape(-1, 4)
    return ((bbox - np.tile(source[:2], 2)) * scale + np.tile(target[:2], 2)).astype(np.float32)
