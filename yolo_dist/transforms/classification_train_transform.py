"""Augmentation of a classification example."""
import math

import cv2
import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.transforms.colour_distortion import ColourDistortion, random_scale
from yolo_dist.transforms.pixel_layout import height_width, reduced_warp, to_rgbx


class ClassificationTrainTransform:
    """Darknet's random crop, scale, aspect, rotation, flip and colour (``data.c:105-136``).

    The image is scaled to ``r`` pixels on its short side. ``r`` is a whole number from
    ``min_crop_px`` to ``max_crop_px``. If ``r`` is below the network's size, the rest is black.
    All geometry is one bilinear warp (``image.c:657-674, 873-905``).

    Args:
        min_crop_px (int): Smallest ``r``; 128 in Darknet for 256 px.
        max_crop_px (int): Largest ``r``; 448 in Darknet for 256 px.
        aspect_ratio (float): The aspect is multiplied by a number between this and 1, or by the
            inverse of such a number; 0.75 in Darknet.
        angle_degrees (float): The rotation is uniform between minus this and plus this; 7 in
            Darknet.
        hue (float): See :class:`ColourDistortion`; 0.1 in Darknet.
        saturation (float): See :class:`ColourDistortion`; 0.75 in Darknet.
        exposure (float): See :class:`ColourDistortion`; 0.75 in Darknet.
        flip (bool): Whether half of the images are mirrored left to right.

    Raises:
        InputError: If an argument is out of its range.
    """

    def __init__(self, *, min_crop_px, max_crop_px, aspect_ratio, angle_degrees, hue, saturation,
                 exposure, flip):
        if not 1 <= min_crop_px <= max_crop_px:
            raise InputError(
                f'data.augmentation.min_crop_px, max_crop_px: found {min_crop_px} and '
                f'{max_crop_px}, expected 1 <= min_crop_px <= max_crop_px')
        if not aspect_ratio > 0:
            raise InputError(f'data.augmentation.aspect_ratio: found {aspect_ratio}, expected a '
                             'positive number; 1 changes nothing')
        self._min_crop_px = min_crop_px
        self._max_crop_px = max_crop_px
        self._aspect_ratio = aspect_ratio
        self._angle_degrees = angle_degrees
        self._flip = flip
        self._distort_colours = ColourDistortion(
            hue=hue, saturation=saturation, exposure=exposure)

    def __call__(self, img, label, *, insize, rng):
        """Augment one example.

        Args:
            img (ndarray or ~yolo_dist.datasets.EncodedImage): uint8 ``(3, H, W)`` in [0, 255],
                RGB; only the needed part of a file is decoded.
            label (numpy.int32): Returned unchanged.
            insize (int or tuple of int): Side of the result, or its height and width, in pixels.
            rng (numpy.random.Generator): Source of all randomness.

        Returns:
            tuple: ``img``, uint8 ``(3, *insize)``; ``label``.
        """
        out_hw = height_width(insize)
        warp = self.draw_warp(img.shape[1:], out_hw, rng)
        # The distance, in pixels of the image, between neighbouring pixels of the result along
        # the denser axis; and the row of the image at the lowest corner of the result.
        shrink = np.hypot(*warp[:, :2]).min()
        last_row = warp[1, 2] + sum(max(0, step * (side - 1))
                                    for step, side in zip(warp[1], out_hw[::-1]))
        pixels, divisor = to_rgbx(img, shrink, last_row)
        warped = cv2.warpAffine(pixels, reduced_warp(warp, divisor), out_hw[::-1],
                                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return self._distort_colours(warped, rng), label

    def draw_warp(self, size_hw, out_hw, rng):
        """Draw the geometry of one example.

        Args:
            size_hw (tuple of int): Height and width of the image.
            out_hw (tuple of int): Height and width of the result.
            rng (numpy.random.Generator): Source of all randomness.

        Returns:
            ndarray: float64 ``(2, 3)``; maps pixel indices ``(x, y, 1)`` of the result to
            ``(x, y)`` of the image.
        """
        (height, width), (out_h, out_w) = size_hw, out_hw
        aspect = random_scale(self._aspect_ratio, rng)
        short_px = rng.integers(self._min_crop_px, self._max_crop_px + 1)
        scale = short_px / min(height, width * aspect)
        angle = math.radians(rng.uniform(-1, 1) * self._angle_degrees)
        # The place is uniform between the outermost places, also if the result is larger.
        shift_x = rng.uniform(-0.5, 0.5) * (width * scale / aspect - out_w)
        shift_y = rng.uniform(-0.5, 0.5) * (height * scale - out_h)
        mirror = -1 if self._flip and rng.random() < 0.5 else 1

        # From the centre of the result to the centre of the image; pixel i has its centre at
        # i + 1/2.
        # Plain numbers are used, because arrays of four take many times as long.
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        along_x, along_y = cos * aspect * mirror, sin * aspect * mirror
        from_x = mirror * shift_x + 0.5 - out_w / 2
        from_y = shift_y + 0.5 - out_h / 2
        return np.array([
            [along_x, -sin, along_x * from_x - sin * from_y + width / 2 - 0.5],
            [along_y, cos, along_y * from_x + cos * from_y + height / 2 - 0.5]])
