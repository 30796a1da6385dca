"""A rectangle of an image drawn into a rectangle of a grey canvas, and its boxes likewise."""
from typing import NamedTuple

import cv2
import numpy as np

# Darknet's 0.5 in [0, 1].
GREY = 128


class Placement(NamedTuple):
    """Which part of an image goes where on a canvas.

    Rectangles are ``(y_min, x_min, y_max, x_max)`` in whole pixels, the maxima one past the last
    pixel; so the same numbers describe pixels and the edges that boxes are made of, and boxes are
    mapped without rounding.

    Attributes:
        source (tuple of int): Rectangle of the image, not empty.
        target (tuple of int): Rectangle of the canvas, not empty.
        canvas_hw (tuple of int): Height and width of the canvas.
    """

    source: tuple
    target: tuple
    canvas_hw: tuple

    def draw(self, pixels):
        """Draws the image with bilinear interpolation, as Darknet does.

        Args:
            pixels (ndarray): uint8 in [0, 255], or float in [0, 1], ``(H, W, 3)``.

        Returns:
            ndarray: Canvas ``(*canvas_hw, 3)`` of the same dtype, grey where nothing was drawn.
        """
        y_min, x_min, y_max, x_max = self.source
        top, left, bottom, right = self.target
        drawn = cv2.resize(pixels[y_min:y_max, x_min:x_max], (right - left, bottom - top),
                           interpolation=cv2.INTER_LINEAR)
        if drawn.shape[:2] == self.canvas_hw:
            return drawn
        grey = GREY if pixels.dtype == np.uint8 else 0.5
        canvas = np.full((*self.canvas_hw, 3), grey, pixels.dtype)
        canvas[top:bottom, left:right] = drawn
        return canvas

    def map_bbox(self, bbox):
        """Maps boxes from the image to the canvas.

        Args:
            bbox (ndarray): float ``(R, 4)`` in image pixels.

        Returns:
            ndarray: float32 ``(R, 4)`` in canvas pixels; may reach beyond the canvas.
        """
        return _map(bbox, self.source, self.target)

    def unmap_bbox(self, bbox):
        """Maps boxes from the canvas to the image: the inverse of :meth:`map_bbox`.

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
