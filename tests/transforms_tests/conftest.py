import cv2
import numpy as np
import pytest


class Marked:
    """An image with one green rectangle on noise without green, and its box.

    The noise is smooth, and green is more than half only inside the rectangle; so the rectangle
    can be found again to a pixel, whatever was done to the image.
    """

    def __init__(self, size_hw, box):
        y_min, x_min, y_max, x_max = box
        noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        pixels = cv2.resize(noise, size_hw[::-1])
        pixels[..., 1] = 0
        pixels[y_min:y_max, x_min:x_max] = 0, 255, 0
        self.img = pixels.transpose(2, 0, 1)
        self.bbox = np.array([box], np.float32)
        self.label = np.array([7], np.int32)

    @staticmethod
    def find(img):
        """Box of the green pixels ``(1, 4)``, or ``(0, 4)`` if there are none."""
        red, green, blue = img.astype(int)
        found = np.argwhere((green > 127) & (red < 127) & (blue < 127))
        if not len(found):
            return np.zeros((0, 4))
        return np.concatenate([found.min(axis=0), found.max(axis=0) + 1])[None]


@pytest.fixture(params=[
    ((120, 200), (30, 50, 80, 170)), ((200, 120), (0, 0, 60, 120)), ((90, 90), (40, 10, 90, 50)),
    ((333, 500), (111, 7, 222, 411)), ((1000, 64), (500, 10, 700, 60))],
    ids=lambda value: 'x'.join(map(str, value[0])))
def marked(request):
    return Marked(*request.param)
