import math
import pickle

import cv2
import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.transforms import ClassificationTrainTransform

DARKNET = {'min_crop_px': 128, 'max_crop_px': 448, 'aspect_ratio': 0.75, 'angle_degrees': 7,
           'hue': 0.1, 'saturation': 0.75, 'exposure': 0.75, 'flip': True}
STILL = {'aspect_ratio': 1, 'angle_degrees': 0, 'hue': 0, 'saturation': 1, 'exposure': 1,
         'flip': False}


def create(**changes):
    return ClassificationTrainTransform(**{**DARKNET, **changes})


@pytest.fixture
def img():
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3).transpose(2, 0, 1)


def sample_slowly(img, warp, out_hw):
    """Bilinear interpolation in float64, pixel by pixel, zero outside of the image."""
    _, height, width = img.shape
    out = np.zeros((3, *out_hw))

    def at(y, x):
        inside = 0 <= y < height and 0 <= x < width
        return img[:, y, x].astype(float) if inside else np.zeros(3)

    for y, x in np.ndindex(*out_hw):
        sx, sy = warp @ (x, y, 1)
        x0, y0 = math.floor(sx), math.floor(sy)
        fx, fy = sx - x0, sy - y0
        out[:, y, x] = ((1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x0 + 1))
                        + fy * ((1 - fx) * at(y0 + 1, x0) + fx * at(y0 + 1, x0 + 1)))
    return out


@pytest.mark.parametrize('seed', range(4))
def test_pixels_are_those_of_the_drawn_warp(img, seed):
    """The image is sampled bilinearly where the warp says, and black outside."""
    transform = create(hue=0, saturation=1, exposure=1, min_crop_px=20, max_crop_px=60)
    out, _ = transform(img, 0, insize=32, rng=np.random.default_rng(seed))
    warp = transform.draw_warp((60, 80), (32, 32), np.random.default_rng(seed))
    # Weights of 1/32 px, and full steps of brightness at the black border.
    error = np.abs(out - sample_slowly(img, warp, (32, 32)))
    assert error.mean() < 0.5 and error.max() <= 6
    # Negative control: shifted by a pixel of the result it does not fit.
    shifted = np.column_stack([warp[:, :2], warp @ (1, 1, 1)])
    assert np.abs(out - sample_slowly(img, shifted, (32, 32))).mean() > 1


def test_no_change_drawn_no_change_made():
    """With the image's own size and nothing to draw, all pixels stay."""
    img = np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    transform = create(**STILL, min_crop_px=40, max_crop_px=40)
    out, label = transform(img, np.int32(3), insize=40, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(out, img)
    assert label == 3 and isinstance(label, np.int32)
    assert out.dtype == np.uint8 and out.flags.c_contiguous


def test_same_random_state_same_pixels(img):
    """Pixels depend on the random state alone, also after pickling; another gives others."""
    transform = create()
    first, again, other = (
        t(img, 0, insize=64, rng=np.random.default_rng(seed))[0]
        for t, seed in ((transform, 5), (pickle.loads(pickle.dumps(transform)), 5),
                        (transform, 6)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_scale_rotation_and_flip_have_darknets_ranges():
    """Short side 128 to 448 px, aspect 3/4 to 4/3, plus or minus 7 degrees, half mirrored."""
    rng = np.random.default_rng(0)
    transform = create()
    mirrored, degrees, aspects, short_px = [], [], [], []
    for _ in range(3000):
        linear = transform.draw_warp((375, 500), (256, 256), rng)[:, :2]
        mirrored.append(np.linalg.det(linear) < 0)
        degrees.append(math.degrees(math.atan2(-linear[0, 1], linear[1, 1])))
        scale = 1 / np.hypot(*linear[:, 1])
        aspects.append(np.hypot(*linear[:, 0]) * scale)
        short_px.append(scale * min(375, 500 * aspects[-1]))
    assert 0.47 < np.mean(mirrored) < 0.53
    assert 6.9 < max(degrees) <= 7.0001 and -7.0001 <= min(degrees) < -6.9
    assert 0.75 <= min(aspects) + 1e-9 and min(aspects) < 0.76
    assert 1.32 < max(aspects) <= 4 / 3 + 1e-9
    assert abs(min(short_px) - 128) < 1 and abs(max(short_px) - 448) < 1
    np.testing.assert_allclose(short_px, np.rint(short_px), atol=1e-6)


def test_crops_lie_anywhere_in_the_image_and_nowhere_else():
    """Whatever the aspect, an unrotated crop smaller than the image reaches both edges of it."""
    rng = np.random.default_rng(0)
    transform = create(angle_degrees=0, min_crop_px=200, max_crop_px=200)
    corners = []
    for _ in range(4000):
        warp = transform.draw_warp((375, 500), (128, 128), rng)
        # The outer edges of the first and last pixels, sorted for mirrored crops.
        edges = np.array([warp @ (at, at, 1) for at in (-0.5, 127.5)]) + 0.5
        corners.append(np.sort(edges, axis=0))
    first, last = np.array(corners).transpose(1, 0, 2)
    assert first.min() > -1e-6 and (last < np.array([500, 375]) + 1e-6).all()
    assert (first.min(axis=0) < 1).all() and (last.max(axis=0) > (499, 374)).all()
    # As often left as right, as often above as below.
    np.testing.assert_allclose(((first + last) / 2).mean(axis=0), (250, 187.5), rtol=0.02)


def test_large_crops_stay_inside_and_small_ones_are_padded_black():
    """Above the network's size no border is seen; below it the whole image is, on black."""
    white = np.full((3, 50, 50), 255, np.uint8)
    rng = np.random.default_rng(0)
    inside = create(**STILL, min_crop_px=80, max_crop_px=120)
    padded = create(**STILL, min_crop_px=40, max_crop_px=40)
    places = set()
    for _ in range(50):
        out = inside(white, 0, insize=64, rng=rng)[0]
        # Half a pixel of the image at its edge is mixed with the black around.
        assert (out[:, 2:-2, 2:-2] == 255).all() and out.min() >= 127
        out = padded(white, 0, insize=64, rng=rng)[0]
        # 40 x 40 white pixels, blurred at the edge, somewhere on the canvas.
        assert abs(out[0].sum() / 255 - 40 * 40) < 85
        rows = np.flatnonzero(out[0].max(axis=1) > 127)
        places.add(int(rows[0]))
        assert abs(len(rows) - 40) <= 1
    assert min(places) <= 2 and max(places) >= 22


def test_flip_mirrors_left_and_right():
    """A mirrored example shows the left half on the right."""
    img = np.zeros((3, 40, 40), np.uint8)
    img[:, :, :20] = 255
    transform = create(**{**STILL, 'flip': True}, min_crop_px=40, max_crop_px=40)
    rng = np.random.default_rng(0)
    outs = [transform(img, 0, insize=40, rng=rng)[0] for _ in range(20)]
    as_is = [np.array_equal(out, img) for out in outs]
    mirrored = [np.array_equal(out, img[:, :, ::-1]) for out in outs]
    assert all(a != b for a, b in zip(as_is, mirrored)) and 0 < sum(as_is) < 20


@pytest.mark.parametrize('size_hw', [(1, 1), (1, 300), (500, 3)])
def test_extreme_images(size_hw):
    """Images of a single row or pixel are augmented like others, to non-square sizes too."""
    img = np.full((3, *size_hw), 9, np.uint8)
    for seed in range(5):
        out, _ = create()(img, 0, insize=(64, 96), rng=np.random.default_rng(seed))
        assert out.shape == (3, 64, 96)


@pytest.mark.parametrize('changes', [
    {'min_crop_px': 0}, {'min_crop_px': 500}, {'aspect_ratio': 0}, {'hue': 2}])
def test_impossible_arguments_are_refused(changes):
    """The error names the key of the experiment file."""
    with pytest.raises(InputError, match=f'data.augmentation.{next(iter(changes))}'):
        create(**changes)
