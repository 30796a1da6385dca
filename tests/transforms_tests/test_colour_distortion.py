import colorsys

import cv2
import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.transforms.colour_distortion import ColourDistortion, random_scale


class ScriptedRng:
    """Stands for a generator; returns the numbers it was given, in order."""

    def __init__(self, hue, saturation, exposure):
        self._uniform = iter([hue, saturation, exposure])

    def uniform(self, low, high):
        return next(self._uniform)

    def random(self):
        return 0.0


def distort_slowly(pixels, hue, saturation, exposure):
    """Darknet's three steps in float64, pixel by pixel, cut to the range at the end."""
    out = np.empty(pixels.shape)
    for at in np.ndindex(pixels.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*pixels[at] / 255)
        out[at] = colorsys.hsv_to_rgb((h + hue) % 1, s * saturation, v * exposure)
    return np.clip(out, 0, 1).transpose(2, 0, 1) * 255


@pytest.fixture
def pixels():
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 0.7)


def with_unused_byte(pixels):
    """As decoders give pixels for speed: R, G, B and anything."""
    rest = np.random.default_rng(1).integers(0, 256, (*pixels.shape[:2], 1), np.uint8)
    return np.concatenate([pixels, rest], axis=2)


def distort(pixels, hue, saturation, exposure):
    transform = ColourDistortion(hue=1, saturation=2, exposure=2)
    return transform(with_unused_byte(pixels), ScriptedRng(hue, saturation, exposure))


@pytest.mark.parametrize('saturation', [0.5, 1, 1.5])
@pytest.mark.parametrize('exposure', [1 / 1.5, 1, 1.5])
def test_factors_are_those_of_hsv(pixels, saturation, exposure):
    """Without a shift of hue the result is Darknet's, rounded once; saturated colours too."""
    expected = distort_slowly(pixels, 0, saturation, exposure)
    assert np.abs(distort(pixels, 0, saturation, exposure) - expected).max() <= 0.51


@pytest.mark.parametrize('hue', [-0.1, -3 / 256, 0.0371, 0.1, 1 / 3, 0.45, -0.99])
@pytest.mark.parametrize('saturation, exposure', [(1, 1), (1.5, 1.5), (0.75, 1.3)])
def test_hue_shift_is_that_of_hsv(pixels, hue, saturation, exposure):
    """The result is Darknet's in exact arithmetic, rounded once."""
    expected = distort_slowly(pixels, hue, saturation, exposure)
    assert np.abs(distort(pixels, hue, saturation, exposure) - expected).max() <= 0.51
    # Negative control: the other direction of the shift is far away.
    assert np.abs(distort(pixels, -hue, saturation, exposure) - expected).mean() > 2


def test_red_shifted_by_a_third_of_the_circle_is_green():
    """The direction of the shift is that of the colour circle: red, yellow, green."""
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    assert distort(red, 1 / 3, 1, 1)[:, 0, 0].tolist() == [0, 255, 0]
    # A pure blue wraps around to red, a negative shift of red to magenta.
    blue = np.full((2, 2, 3), (0, 0, 255), np.uint8)
    assert distort(blue, 1 / 3, 1, 1)[:, 0, 0].tolist() == [255, 0, 0]
    assert distort(red, -1 / 6, 1, 1)[:, 0, 0].tolist() == [255, 0, 255]


def test_grey_stays_grey(pixels):
    """Hue and saturation do not touch grey; exposure scales it and stops at white."""
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    out = distort(grey, 0.1, 1.5, 1.5)
    assert np.abs(out - np.minimum(1.5 * np.arange(256), 255)).max() <= 1


def test_nothing_drawn_nothing_changed(pixels):
    """With limits 0, 1, 1 every pixel stays as it is."""
    transform = ColourDistortion(hue=0, saturation=1, exposure=1)
    out = transform(with_unused_byte(pixels), np.random.default_rng(0))
    np.testing.assert_array_equal(out, pixels.transpose(2, 0, 1))
    assert out.flags.c_contiguous


@pytest.mark.parametrize('limit', [0.75, 1.5])
def test_scale_stays_within_limits_and_reaches_them(limit):
    """Half of the factors lie above 1, none beyond the limit or its inverse."""
    rng = np.random.default_rng(0)
    scales = np.array([random_scale(limit, rng) for _ in range(4000)])
    low, high = min(limit, 1 / limit), max(limit, 1 / limit)
    assert low <= scales.min() < low + 0.01 and high - 0.01 < scales.max() <= high
    assert 0.47 < (scales > 1).mean() < 0.53


def test_limits_hold_for_pixels():
    """Over many draws hue, saturation and exposure of a colour stay within their limits."""
    pixel = np.full((1, 1, 4), (120, 80, 60, 9), np.uint8)
    before = colorsys.rgb_to_hsv(120 / 255, 80 / 255, 60 / 255)
    transform = ColourDistortion(hue=0.1, saturation=1.5, exposure=1.5)
    rng = np.random.default_rng(0)
    after = np.array([colorsys.rgb_to_hsv(*transform(pixel, rng)[:, 0, 0] / 255.0)
                      for _ in range(2000)])
    shift = (after[:, 0] - before[0] + 0.5) % 1 - 0.5
    # Rounding to 8 bits moves the hue of this dark colour by up to 0.01.
    assert np.abs(shift).max() <= 0.112 and shift.max() > 0.09 and shift.min() < -0.09
    for channel in (1, 2):
        ratio = after[:, channel] / before[channel]
        assert 1 / 1.5 - 0.06 <= ratio.min() < 0.7 and 1.45 < ratio.max() <= 1.5 + 0.06


@pytest.mark.parametrize('changes', [
    {'hue': -0.1}, {'hue': 1.1}, {'saturation': 0}, {'exposure': -1}, {'hue': float('nan')}])
def test_impossible_limits_are_refused(changes):
    """The error names the key of the experiment file."""
    with pytest.raises(InputError, match=f'data.augmentation.{next(iter(changes))}'):
        ColourDistortion(**{'hue': 0.1, 'saturation': 1.5, 'exposure': 1.5, **changes})
