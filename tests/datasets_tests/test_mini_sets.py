import importlib.util
import os

import cv2
import numpy as np
import pytest

from yolo_dist.datasets import (
    DIGIT_NAMES,
    VOCDetectionDataset,
    load_imagenet,
    make_mini_imagenet,
    make_mini_voc,
    read_image,
)
from yolo_dist.datasets.mini import sources as mini_sources
from yolo_dist.datasets.mini.digits import draw_background, draw_glyph, paste_glyph
from yolo_dist.datasets.mini.manifest import write_whole_set
from yolo_dist.errors import InputError


def files_of(directory):
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in directory.rglob('*') if path.is_file()}


MAKERS = {
    'imagenet': lambda directory, **kwargs: make_mini_imagenet(
        directory, **{'n_train': 30, 'n_val': 20, **kwargs}),
    'voc': lambda directory, **kwargs: make_mini_voc(
        directory, **{'n_trainval': 30, 'n_test': 20, **kwargs})}


@pytest.fixture(params=list(MAKERS))
def make(request):
    return MAKERS[request.param]


def test_same_seed_same_bytes_and_no_other(make, tmp_path):
    """The files depend on the arguments alone, and on the seed they do depend."""
    assert make(tmp_path / 'a') and make(tmp_path / 'b') and make(tmp_path / 'c', seed=1)
    a, b, c = (files_of(tmp_path / name) for name in 'abc')
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a if name.lower().endswith(('.jpeg', '.jpg')))
    assert len(set(a.values())) == len(a)


def test_mini_imagenet_is_read_as_imagenet(tmp_path):
    """Both parts have the ten classes, equally often, of the size asked for."""
    make_mini_imagenet(tmp_path / 'set', n_train=30, n_val=20, size_px=40)
    train = load_imagenet(tmp_path / 'set', 'train')
    val = load_imagenet(tmp_path / 'set', 'val', class_names=train.class_names)
    assert train.class_names == tuple(sorted(DIGIT_NAMES))
    assert np.bincount(train.labels).tolist() == [3] * 10
    assert np.bincount(val.labels).tolist() == [2] * 10
    assert all(val[i][0].shape == (3, 40, 40) for i in range(len(val)))


def test_mini_voc_is_read_as_voc(tmp_path):
    """Every image has one to three digits of the size asked for, apart from each other."""
    make_mini_voc(tmp_path / 'set', n_trainval=60, n_test=20)
    dataset = VOCDetectionDataset(
        tmp_path / 'set', ('VOC2007/trainval', 'VOC2007/test'), DIGIT_NAMES)
    dataset.check()
    assert len(dataset) == 80
    n_objects, shapes, n_difficult = [], set(), 0
    for i in range(len(dataset)):
        img, bbox, label, difficult = dataset[i]
        n_objects.append(len(bbox))
        n_difficult += difficult.sum()
        shapes.add(img.shape[1:])
        assert all(112 <= side <= 160 for side in img.shape[1:])
        # The reader's boxes end at the last pixel, not after it.
        assert ((27 <= bbox[:, 2] - bbox[:, 0]) & (bbox[:, 2] - bbox[:, 0] <= 71)).all()
        for a in range(len(bbox)):
            for b in range(a):
                top_left = np.maximum(bbox[a, :2], bbox[b, :2])
                assert (np.minimum(bbox[a, 2:], bbox[b, 2:]) < top_left).any()
    assert set(n_objects) == {1, 2, 3}
    assert any(h > w for h, w in shapes) and any(h < w for h, w in shapes)
    assert 0 < n_difficult < 0.2 * sum(n_objects)


@pytest.mark.parametrize('label', range(10))
def test_boxes_are_tight(label):
    """What is drawn brightly ends within 1 px of its box, on each side."""
    rng = np.random.default_rng(label)
    sources = mini_sources.load_mini_sources('test')
    for height_px in (28, 45, 72):
        glyph = draw_glyph(sources.digits[label][3], height_px, rng)
        assert len(glyph) == height_px
        scene = np.zeros((120, 130, 3), np.float32)
        box = paste_glyph(scene, glyph, 20, 10, opacity=1.0, rng=rng)
        # A third of the brightness: below that the edge fades out.
        bright = scene.max(axis=2) > 255 / 3
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        drawn = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        assert np.abs(np.subtract(drawn, box)).max() <= 1


def test_backgrounds_are_dark_and_varied():
    """Digits stand out: backgrounds are dark on average, yet no plain areas."""
    rng = np.random.default_rng(0)
    photographs = mini_sources.load_mini_sources('train').photographs
    scenes = [draw_background(photographs, (96, 120), rng) for _ in range(50)]
    assert all(scene.shape == (96, 120, 3) and scene.mean() <= 70.01 for scene in scenes)
    assert np.median([scene.std() for scene in scenes]) > 6
    # A photograph smaller than the picture is enlarged.
    small = [photographs[0][:, :50, :60]]
    assert draw_background(small, (96, 120), rng).shape == (96, 120, 3)


def test_digits_and_photographs_of_the_test_are_not_in_training():
    """The two parts have no digit image, no photograph, no pixel row of one in common."""
    train, test = (mini_sources.load_mini_sources(part) for part in ('train', 'test'))
    assert sum(map(len, train.digits)) + sum(map(len, test.digits)) == 1797
    # Some writers' digits may be equal by chance at 8 x 8; identity is by index.
    assert not set(mini_sources.TRAIN_PHOTOGRAPHS) & set(mini_sources.TEST_PHOTOGRAPHS)
    seen = {digit.tobytes() for digits in train.digits for digit in digits}
    repeated = sum(digit.tobytes() in seen for digits in test.digits for digit in digits)
    assert repeated == 0
    assert min(len(digits) for digits in test.digits) >= 25


def test_complete_set_is_left_alone(make, tmp_path):
    """A second call writes nothing, not even a time stamp."""
    make(tmp_path / 'set')
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'set').rglob('*')}
    assert make(tmp_path / 'set') is False
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / 'set').rglob('*')}


def test_anything_else_is_not_overwritten(make, tmp_path):
    """Another set, an altered one, foreign files and plain files stay as they are."""
    make(tmp_path / 'set')
    with pytest.raises(InputError, match='another set.*seed 5'):
        make(tmp_path / 'set', seed=5)
    first_image = next((tmp_path / 'set').rglob('*.[jJ]*[gG]'))
    content = first_image.read_bytes()
    first_image.write_bytes(content + b'x')
    with pytest.raises(InputError, match='no longer'):
        make(tmp_path / 'set')
    first_image.unlink()
    with pytest.raises(InputError, match='no longer'):
        make(tmp_path / 'set')
    first_image.write_bytes(content)
    assert make(tmp_path / 'set') is False

    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.tex').write_text('years of work')
    with pytest.raises(InputError, match='not empty'):
        make(tmp_path / 'mine')
    assert os.listdir(tmp_path / 'mine') == ['thesis.tex']
    with pytest.raises(InputError, match='is a file'):
        make(tmp_path / 'mine' / 'thesis.tex')
    with pytest.raises(InputError, match='cannot be written'):
        make(tmp_path / 'mine' / 'thesis.tex' / 'set')


def test_empty_folder_is_filled(make, tmp_path):
    """An existing empty folder, and parents that do not exist, are fine."""
    (tmp_path / 'empty').mkdir()
    assert make(tmp_path / 'empty')
    assert make(tmp_path / 'a' / 'b')


def test_interrupted_run_leaves_nothing(tmp_path):
    """Whole or absent: what stops halfway leaves neither the set nor a temporary folder."""
    for interruption in (KeyboardInterrupt, ValueError):
        with pytest.raises(interruption):
            with write_whole_set(tmp_path / 'set', {'set': 'x'}) as root:
                (root / 'half').write_text('half')
                raise interruption
        assert os.listdir(tmp_path) == []


def test_absent_packages_are_named(make, tmp_path, monkeypatch):
    """Without the packages that hold the pixels the error says what to install."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *args: (
        None if name == 'skimage' else find_spec(name, *args)))
    with pytest.raises(InputError, match='scikit-image.*quickstart'):
        make(tmp_path / 'set')
    assert os.listdir(tmp_path) == []


def test_sources_ship_with_the_packages():
    """Every photograph is a file of the installed packages, large enough, in colour or grey."""
    for path in mini_sources.TRAIN_PHOTOGRAPHS + mini_sources.TEST_PHOTOGRAPHS:
        package, _, rest = path.partition('/')
        folder = importlib.util.find_spec(package).submodule_search_locations[0]
        assert min(read_image(os.path.join(folder, rest)).shape[1:]) >= 300
    with pytest.raises(InputError, match='coffee'):
        mini_sources._packaged_file('skimage/data/coffee_not_there.png')


def test_negative_seed_is_refused(make, tmp_path):
    """A seed must be a whole number from 0."""
    with pytest.raises(InputError, match='seed'):
        make(tmp_path / 'set', seed=-1)


def test_nearest_neighbour_reads_the_digits(tmp_path):
    """The digits are legible: nearest neighbours on small grey pictures beat chance by far."""
    make_mini_imagenet(tmp_path / 'set', n_train=600, n_val=100)
    train = load_imagenet(tmp_path / 'set', 'train')
    val = load_imagenet(tmp_path / 'set', 'val')

    def features(dataset):
        rows = []
        for i in range(len(dataset)):
            # Digits are drawn light on dark: the brightest channel shows little else.
            light = dataset[i][0].max(axis=0)
            ink = (light > 0.5 * light.max()).astype(np.float32)
            y, x = np.nonzero(ink)
            tight = ink[y.min():y.max() + 1, x.min():x.max() + 1]
            rows.append(cv2.resize(tight, (10, 12), interpolation=cv2.INTER_AREA).ravel())
        return np.array(rows)

    a, b = features(train), features(val)
    nearest = ((b[:, None] - a[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (train.labels[nearest] == val.labels).mean() > 0.5
