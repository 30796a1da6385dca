"""Random change of hue, saturation and exposure."""
import cv2
import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.transforms.layout import to_planes


class ColourDistortion:
    """Darknet's ``random_distort_image`` (``image.c:1167-1188``).

    In HSV, the hue is shifted, saturation and value are multiplied; the result is cut to the
    range of pixels only after the way back to RGB.

    At a fixed hue each of R, G, B is ``V (1 - S f)`` with an ``f`` of its own, so the two
    multiplications are the same as ``exposure * (V - saturation * (V - c))`` for each channel
    ``c``. Only a shift of the hue takes the way through HSV.

    Args:
        hue (float): The shift is uniform in ``[-hue, hue]``, in turns of the colour circle, in
            steps of 1/256; 0.1 in Darknet.
        saturation (float): The factor is uniform between 1 and this, or with probability 1/2 the
            inverse of such a number; 0.75 for classification and 1.5 for detection in Darknet.
        exposure (float): Likewise for the value.

    Raises:
        InputError: If ``hue`` is not in [0, 1], or a factor is not positive.
    """

    def __init__(self, *, hue, saturation, exposure):
        if not 0 <= hue <= 1:
            raise InputError(f'data.augmentation.hue: found {hue}, expected 0 to 1')
        for name, value in (('saturation', saturation), ('exposure', exposure)):
            if not value > 0:
                raise InputError(f'data.augmentation.{name}: found {value}, expected a positive '
                                 'number; 1 changes nothing')
        self._hue = hue
        self._saturation = saturation
        self._exposure = exposure

    def __call__(self, pixels, rng):
        """Distorts an image.

        Args:
            pixels (ndarray): uint8 ``(H, W, 3)`` in [0, 255], RGB, contiguous.
            rng (numpy.random.Generator): Source of the three numbers.

        Returns:
            ndarray: uint8 ``(3, H, W)``, contiguous.
        """
        turns = rng.uniform(-self._hue, self._hue)
        saturation = random_scale(self._saturation, rng)
        exposure = random_scale(self._exposure, rng)

        step = round(turns * 256) % 256
        if step:
            pixels = _shift_hue(pixels, step)
        planes = to_planes(pixels)
        if saturation == exposure == 1:
            return planes
        value = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
        for plane in planes:
            cv2.addWeighted(plane, exposure * saturation, value, exposure * (1 - saturation), 0,
                            dst=plane)
        return planes


def random_scale(limit, rng):
    """Darknet's ``rand_scale`` (``utils.c:708-713``).

    Args:
        limit (float): Positive.
        rng (numpy.random.Generator): Source of randomness.

    Returns:
        float: Uniform between 1 and ``limit``, or with probability 1/2 the inverse of that.
    """
    scale = rng.uniform(min(1, limit), max(1, limit))
    return scale if rng.random() < 0.5 else 1 / scale


def _shift_hue(pixels, step):
    # The "full" kind of HSV divides the circle into 256 steps: uint8 arithmetic wraps as hue does.
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV_FULL)
    cv2.insertChannel(cv2.extractChannel(hsv, 0) + np.uint8(step), hsv, 0)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
