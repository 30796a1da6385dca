"""Random change of hue, saturation and exposure."""
import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.transforms.pixel_layout import GREY


class ColourDistortion:
    """Darknet's ``random_distort_image`` (``image.c:1167-1188``).

    In HSV, the hue is shifted, and saturation and value are multiplied. The result is clipped to
    the range of pixels only after the conversion back to RGB.

    Args:
        hue (float): The shift is uniform in ``[-hue, hue]``, in turns of the colour circle; 0.1
            in Darknet.
        saturation (float): The factor is uniform between 1 and this, or with probability 1/2 the
            inverse of such a number; 0.75 for classification and 1.5 for detection in Darknet.
        exposure (float): The same for the value.

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

    def __call__(self, pixels, rng, *, canvas_hw=None, corner=(0, 0)):
        """Distort an image. If it lies on a grey canvas, distort the canvas with it.

        Args:
            pixels (ndarray): uint8 ``(H, W, 4)`` in [0, 255], RGB and an unused byte;
                contiguous.
            rng (numpy.random.Generator): Source of the three numbers.
            canvas_hw (tuple of int): Height and width of the canvas; ``None`` is no canvas.
            corner (tuple of int): Row and column of the canvas where the image begins.

        Returns:
            ndarray: uint8 ``(3, H, W)`` or ``(3, *canvas_hw)``, contiguous.
        """
        # The import is here because it loads Numba, which a network alone does not need.
        from yolo_dist.transforms.colour_kernel import distort_colours

        turns = rng.uniform(-self._hue, self._hue)
        saturation = random_scale(self._saturation, rng)
        exposure = random_scale(self._exposure, rng)

        height, width = pixels.shape[:2]
        planes = np.empty((3, *(canvas_hw or (height, width))), np.uint8)
        if planes.shape[1:] != (height, width):
            # Grey has no hue and no saturation.
            planes[...] = min(255, int(exposure * GREY + 0.5))
        # Four bytes are one number with R in the lowest byte, on every machine.
        words = pixels.view('<u4')[..., 0].astype(np.uint32, copy=False)
        distort_colours(words, planes, *corner, turns % 1, saturation, exposure)
        return planes


def random_scale(limit, rng):
    """Darknet's ``rand_scale`` (``utils.c:708-713``).

    Args:
        limit (float): Positive.
        rng (numpy.random.Generator): Source of randomness.

    Returns:
        float: A number uniform between 1 and ``limit``, or with probability 1/2 its inverse.
    """
    scale = rng.uniform(min(1, limit), max(1, limit))
    return scale if rng.random() < 0.5 else 1 / scale

