"""What `predict` of all links takes and refuses."""
import pathlib

import chainer
import numpy as np
import pytest
from PIL import Image

from yolo_dist.errors import InputError
from yolo_dist.links import Darknet19, Darknet53, YOLOv2, YOLOv3

LINKS = (Darknet19, Darknet53, YOLOv2, YOLOv3)
IMG = np.random.default_rng(0).integers(0, 256, (3, 40, 60), np.uint8)


def build(link):
    model = link(3, width=0.05)
    model.insize = 64
    if hasattr(model, 'score_thresh'):
        model.score_thresh = 0.1
    return model


@pytest.mark.parametrize('link', LINKS)
@pytest.mark.parametrize('dtype', ['float32', 'float64', 'float16'])
def test_floats_of_chainercv_are_bytes(link, dtype):
    """Images in 0..255, as ChainerCV's ``read_image`` gives them, predict what uint8 does."""
    model = build(link)
    for of_bytes, of_floats in zip(model.predict([IMG]), model.predict([IMG.astype(dtype)])):
        assert np.size(of_bytes)
        np.testing.assert_array_equal(of_bytes, of_floats)


@pytest.mark.parametrize('img', [
    IMG / 255, (IMG / 255).astype('f'), IMG / 255 * 1.3, (IMG > 128).astype('f')])
def test_what_may_be_either_range_is_refused(img):
    """0..1, also with overshoot, and nearly black images: a guess would give wrong boxes."""
    with pytest.raises(InputError, match=r'may be 0\.\.1 or a nearly black image.*img \* 255'):
        build(YOLOv2).predict([IMG, img])


def test_black_is_black():
    """An image of zeros is the same in both ranges."""
    build(YOLOv2).predict([np.zeros((3, 40, 60), 'f')])


@pytest.mark.parametrize('imgs, message', [
    (IMG, r'found one numpy.ndarray of shape \(3, 40, 60\), not a list.*predict\(\[img\]\)'),
    (IMG.transpose(1, 2, 0), r'not a list.*transpose\(2, 0, 1\)'),
    ([IMG.transpose(1, 2, 0)], r'image 0: found shape \(40, 60, 3\).*transpose\(2, 0, 1\)'),
    ([IMG, np.zeros((40, 60, 4), 'u1')], r'image 1: .*\[:, :, :3\].transpose'),
    (np.zeros((2, 40, 60, 3), 'u1'), r'image 0: found shape .*transpose'),
    ([IMG[0]], r'image 0: found shape \(40, 60\)'),
    ([np.zeros((3, 0, 4), 'u1')], r'found shape \(3, 0, 4\)'),
    ('a.jpg', r"found the path 'a.jpg'.*read_image\(path\)"),
    ([pathlib.Path('a.jpg')], r"image 0: found the path 'a.jpg'.*read_image\(path\)"),
    (Image.new('RGB', (4, 4)), 'not a list.*PIL image by'),
    ([Image.new('RGB', (4, 4))], 'image 0: found PIL.*PIL image by'),
    ([chainer.Variable(IMG.astype('f'))], 'image 0: found chainer.variable.Variable'),
    ([IMG.astype(int)], 'found dtype int64'), ([IMG.astype('f') - 1], 'found values from -1 to'),
    ([np.full((3, 4, 4), np.nan)], 'found values from nan'), (None, 'found one NoneType'),
    ([[1]], 'image 0: found list')])
def test_anything_else_is_refused(imgs, message):
    """The error says what was found, what is expected, and what to do."""
    with pytest.raises(InputError, match=message) as error:
        build(YOLOv2).predict(imgs)
    assert 'expected a list of RGB images (3, height, width), uint8' in str(error.value)


@pytest.mark.parametrize('link', (YOLOv2, YOLOv3))
def test_a_detectors_size_is_an_attribute(link):
    """Without a keyword it counts; the keyword counts more."""
    model = build(link)
    default = model.predict([IMG])
    other = model.predict([IMG], insize=96)
    assert len(default[0][0]) != len(other[0][0])
    model.insize = 96
    np.testing.assert_array_equal(model.predict([IMG])[0][0], other[0][0])
    model.insize = 100
    with pytest.raises(InputError, match='multiple of 32'):
        model.predict([IMG])


@pytest.mark.parametrize('link', (Darknet19, Darknet53))
def test_a_classifier_predicts_probabilities(link):
    """Of each image's central square, as evaluation sees it, float32 ``(B, n_class)``."""
    model = build(link)
    wide = np.concatenate((IMG[:, :, :10] * 0, IMG[:, :, 10:50], IMG[:, :, :10] * 0), axis=2)
    probabilities = model.predict([IMG, wide])
    assert probabilities.shape == (2, 3) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(probabilities[0], probabilities[1], rtol=1e-4)
    square = IMG[:, :, 10:50].repeat(8, axis=1).repeat(8, axis=2)[:, 2::5, 2::5]  # 64 px
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        logits = model(square[None]).array
    assert model.predict([IMG]).argmax() == logits.argmax()
    assert model.predict([]).shape == (0, 3)
    assert model.predict([IMG], insize=32).shape == (1, 3)
