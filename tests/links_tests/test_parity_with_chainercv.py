"""The links against ChainerCV's, at full width (the only one ChainerCV has)."""
import chainer
import chainer.functions as F
import chainercv
import numpy as np
import pytest
from chainer.serializers import load_npz, save_npz

from yolo_dist.kernels.cpu import using_cpu_backend
from yolo_dist.links import YOLOv2, YOLOv3, load_weights

PAIRS = [(YOLOv2, 'YOLOv2'), (YOLOv3, 'YOLOv3')]


def randomise_statistics(model, rng):
    for link in model.links():
        if isinstance(link, chainer.links.BatchNormalization):
            link.avg_mean[:] = rng.normal(0, 0.1, link.avg_mean.shape)
            link.avg_var[:] = rng.uniform(0.5, 2, link.avg_var.shape)
            link.gamma.array[:] = rng.uniform(0.5, 1.5, link.gamma.shape)


def make_twin(name, weights):
    twin = getattr(chainercv.links, name)(n_fg_class=20)
    load_npz(weights, twin)
    for link in twin.links():
        if isinstance(link, chainer.links.BatchNormalization):
            link.eps = 1e-5  # ChainerCV's is 2e-5
    return twin


def outputs(model, imgs, train):
    with chainer.using_config('train', train), chainer.no_backprop_mode():
        return [x.array for x in model(imgs)]


@pytest.mark.parametrize('build,name', PAIRS)
def test_weights_go_both_ways_and_outputs_agree(build, name, tmp_path, monkeypatch):
    """npz files of either load into the other; outputs agree to 1e-5 in test and train mode.

    Negative control: with the concatenation turned round they do not agree,
    although every shape still fits.
    """
    path = tmp_path / 'weights.npz'
    rng = np.random.default_rng(0)
    imgs = rng.random((2, 3, 64, 64)).astype('f')
    ours = build(20)
    randomise_statistics(ours, rng)
    save_npz(path, ours, compression=False)
    twin = make_twin(name, path)
    expected = outputs(twin, imgs, False)
    scale = max(abs(x).max() for x in expected)
    for a, b in zip(outputs(ours, imgs, False), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(scale, 1))

    with monkeypatch.context() as patch:
        concat = F.concat
        patch.setattr(F, 'concat', lambda xs, **kw: concat(
            xs[::-1] if len({x.shape[2:] for x in xs}) == 1 and xs[0].ndim == 4 else xs, **kw))
        turned = outputs(ours, imgs, False)
    assert max(abs(a - b).max() for a, b in zip(turned, expected, strict=True)) > 1e-2 * scale

    # By the same arithmetic: normalisation over 8 pixels amplifies the rounding of float32. The
    # kernels' distance from float64 is 1e-4 here, that of Chainer's own code 2e-4.
    with using_cpu_backend(False):
        expected = outputs(twin, imgs, True)
        for a, b in zip(outputs(ours, imgs, True), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * max(scale, 1))

    next(twin.subnet.params()).array[...] *= 2
    save_npz(path, twin, compression=False)
    load_weights(ours, path)
    for a, b in zip(outputs(ours, imgs, False), outputs(twin, imgs, False), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(abs(b).max(), 1))
    path.unlink()


@pytest.mark.parametrize('build,name', PAIRS)
def test_detections_agree_at_416_px(build, name):
    """The same raw outputs give the same boxes, classes, scores, and order."""
    rng = np.random.default_rng(0)
    ours, twin = build(20, width=0.02), getattr(chainercv.links, name)(n_fg_class=20)
    boxes = ours.default_boxes(416)
    n_box = len(boxes.cell)
    loc = rng.normal(0, 0.5, (n_box, 4)).astype('f')
    obj = rng.normal(-3 if name == 'YOLOv2' else -6, 2, n_box).astype('f')
    conf = rng.normal(-2, 3, (n_box, 20)).astype('f')
    for preset in ('visualize', 'evaluate'):
        ours.use_preset(preset)
        twin.use_preset(preset)
        ours.score_thresh = twin.score_thresh = max(ours.score_thresh, 0.05)
        bbox, label, score = ours._select(
            ours.decode(loc, boxes), ours._scores(obj, conf))
        for a, b in zip((bbox, label, score), twin._decode(loc, obj, conf), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-3)
        assert 10 < len(bbox) < ours.max_candidates
