import pickle

import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.transforms import DetectionTrainTransform
from yolo_dist.transforms.detection_train_transform import draw_crop, draw_place

COLOURS = {'hue': 0.1, 'saturation': 1.5, 'exposure': 1.5}
NO_COLOURS = {'hue': 0, 'saturation': 1, 'exposure': 1}


def create(kind='place', jitter=0.3, flip=True, **colours):
    return DetectionTrainTransform(jitter_kind=kind, jitter=jitter, flip=flip,
                                   **{**NO_COLOURS, **colours})


@pytest.mark.parametrize('kind', ['place', 'crop'])
@pytest.mark.parametrize('insize', [320, 608, (224, 416)])
def test_rectangle_lies_where_its_box_is_mapped(marked, kind, insize):
    """Placed, cropped, mirrored: an object's pixels coincide with its box within 1 px."""
    transform = create(kind)
    mirrored = 0
    for seed in range(12):
        img, bbox, label = transform(marked.img, marked.bbox, marked.label, insize=insize,
                                     rng=np.random.default_rng(seed))
        found = marked.find(img)
        if len(bbox) == 0:
            # Cut away, but for a sliver that resizing may leave.
            assert len(found) == 0 or (found[0, 2:] - found[0, :2]).min() <= 1
            continue
        assert np.abs(found - bbox).max() <= 1
        assert label.tolist() == [7]
        # Negative control: neither a shifted box nor that of the mirror image fits.
        assert np.abs(found - bbox - 3).max() > 1
        mirror = bbox.copy()
        mirror[:, [1, 3]] = img.shape[2] - bbox[:, [3, 1]]
        mirrored += np.abs(found - mirror).max() > 1
    assert mirrored > 0


@pytest.mark.parametrize('kind', ['place', 'crop'])
def test_no_jitter_no_flip_is_a_plain_resize(marked, kind):
    """Without jitter 'place' keeps the aspect and 'crop' stretches the image to the canvas."""
    for seed in range(3):
        img, bbox, _ = create(kind, 0, False)(
            marked.img, marked.bbox, marked.label, insize=96, rng=np.random.default_rng(seed))
        size_hw = np.array(marked.img.shape[1:])
        sides = bbox[0, 2:] - bbox[0, :2]
        expected = (marked.bbox[0, 2:] - marked.bbox[0, :2]) * 96 / (
            size_hw.max() if kind == 'place' else size_hw)
        # The drawn image has whole pixels: at most one is cut off its shorter side.
        np.testing.assert_allclose(sides, expected, atol=1.0)
        if kind == 'crop':
            np.testing.assert_allclose(sides, expected, rtol=1e-5)


def test_same_random_state_same_example(marked):
    """Examples depend on the random state alone, also after pickling; another gives others."""
    for kind in ('place', 'crop'):
        transform = create(kind, **COLOURS)
        copy = pickle.loads(pickle.dumps(transform))
        first, again, other = (
            t(marked.img, marked.bbox, marked.label, insize=96, rng=np.random.default_rng(seed))
            for t, seed in ((transform, 5), (copy, 5), (transform, 6)))
        for a, b in zip(first, again):
            np.testing.assert_array_equal(a, b)
        assert (first[0] != other[0]).mean() > 0.5
        assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize('kind', ['place', 'crop'])
def test_input_is_left_alone(marked, kind):
    """Neither the image nor the boxes that a dataset may keep are written to."""
    img, bbox = marked.img.copy(), marked.bbox.copy()
    for seed in range(4):
        create(kind, **COLOURS)(marked.img, marked.bbox, marked.label, insize=64,
                                rng=np.random.default_rng(seed))
    np.testing.assert_array_equal(marked.img, img)
    np.testing.assert_array_equal(marked.bbox, bbox)


@pytest.mark.parametrize('kind', ['place', 'crop'])
def test_types_and_shapes_without_boxes(kind):
    """No boxes stay no boxes, with their types; so do boxes that are all cut away."""
    img = np.zeros((3, 100, 100), np.uint8)
    bboxes = [np.zeros((0, 4), np.float32), np.array([[0, 0, 0.01, 50]], np.float32)]
    for bbox in bboxes:
        out, out_bbox, label = create(kind)(
            img, bbox, np.zeros(len(bbox), np.int32), insize=64, rng=np.random.default_rng(0))
        assert out.shape == (3, 64, 64) and out.dtype == np.uint8 and out.flags.c_contiguous
        assert out_bbox.shape == (0, 4) and out_bbox.dtype == np.float32
        assert label.shape == (0,) and label.dtype == np.int32


def test_boxes_are_cut_at_the_canvas_and_dropped_below_a_thousandth():
    """What is left of a box lies on the canvas and has 0.001 of its sides; labels go along."""
    img = np.zeros((3, 200, 300), np.uint8)
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, (190, 290), (300, 2))
    sides = np.minimum(rng.exponential(8, (300, 2)), (200, 300) - corners)
    bbox = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    label = np.arange(300, dtype=np.int32)
    n_dropped = 0
    for seed in range(10):
        _, kept, kept_label = create('crop')(img, bbox, label, insize=(320, 608),
                                             rng=np.random.default_rng(seed))
        assert (kept >= 0).all() and (kept <= (320, 608, 320, 608)).all()
        assert (kept[:, 2:] - kept[:, :2] >= np.array([0.32, 0.608]) - 1e-4).all()
        assert (np.diff(kept_label) > 0).all() and len(kept_label) == len(kept)
        n_dropped += 300 - len(kept)
    assert n_dropped > 0


def test_place_has_darknets_ranges():
    """The whole image is placed, touching two opposite edges; its aspect changes by 0.7 / 1.3."""
    rng = np.random.default_rng(0)
    aspects, shares = [], []
    for _ in range(3000):
        placement = draw_place((375, 500), (416, 416), 0.3, rng)
        assert placement.source == (0, 0, 375, 500)
        top, left, bottom, right = placement.target
        assert 0 <= top < bottom <= 416 and 0 <= left < right <= 416
        assert (top, bottom) == (0, 416) or (left, right) == (0, 416)
        aspects.append((right - left) / (bottom - top) / (500 / 375))
        if bottom - top < 300:
            shares.append(top / (416 - (bottom - top)))
    assert 0.7 / 1.3 - 0.01 < min(aspects) < 0.58 and 1.75 < max(aspects) < 1.3 / 0.7 + 0.01
    # Anywhere in the free direction.
    assert min(shares) < 0.05 and max(shares) > 0.93 and 0.45 < np.mean(shares) < 0.52


def test_crop_has_its_ranges():
    """Each edge moves by up to 0.3 of the side, in or out; what is outside is grey."""
    rng = np.random.default_rng(0)
    zooms = []
    for _ in range(3000):
        placement = draw_crop((375, 500), (416, 416), 0.3, rng)
        y_min, x_min, y_max, x_max = placement.source
        top, left, bottom, right = placement.target
        assert 0 <= y_min <= 0.3 * 375 + 1 and 0.7 * 375 - 1 <= y_max <= 375
        assert 0 <= x_min <= 0.3 * 500 and 0.7 * 500 <= x_max <= 500
        assert top == 0 or y_min == 0
        assert right == 416 or x_max == 500
        zooms.append((bottom - top) / (y_max - y_min) * 375 / 416)
    assert 1 / 1.6 - 0.01 < min(zooms) < 0.68 and 2.2 < max(zooms) < 1 / 0.4 + 0.05
    img, _, _ = create('crop', 0.49)(
        np.zeros((3, 100, 100), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int32),
        insize=64, rng=np.random.default_rng(1))
    assert set(img.ravel().tolist()) == {0, 128}


@pytest.mark.parametrize('kind', ['place', 'crop'])
@pytest.mark.parametrize('size_hw', [(1, 1), (1, 400), (900, 2)])
def test_extreme_images(kind, size_hw):
    """Images of a single row or pixel never end in an empty rectangle."""
    img = np.zeros((3, *size_hw), np.uint8)
    for seed in range(20):
        out, _, _ = create(kind)(img, np.zeros((0, 4), np.float32), np.zeros(0, np.int32),
                                 insize=32, rng=np.random.default_rng(seed))
        assert out.shape == (3, 32, 32)


@pytest.mark.parametrize('arguments, key', [
    (('mosaic',), 'jitter_kind'), (('crop', 0.5), 'jitter'), (('place', 1.0), 'jitter'),
    (('place', -0.1), 'jitter')])
def test_impossible_arguments_are_refused(arguments, key):
    """The error names the key of the experiment file."""
    with pytest.raises(InputError, match=f'data.augmentation.{key}:'):
        create(*arguments)
