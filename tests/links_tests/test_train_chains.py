import chainer
import numpy as np
import pytest

from yolo_dist.links import (
    ClassificationTrainChain,
    Darknet19,
    Darknet53,
    YOLOTrainChain,
    YOLOv2,
    YOLOv3,
)


def observe(chain, *batch):
    reporter = chainer.Reporter()
    reporter.add_observer('main', chain)
    observation = {}
    with reporter.scope(observation):
        loss = chain(*batch)
    return loss, {key.removeprefix('main/'): float(getattr(value, 'array', value))
                  for key, value in observation.items()}


@pytest.fixture
def detection_batch():
    rng = np.random.default_rng(0)
    imgs = rng.integers(0, 256, (2, 3, 64, 64)).astype('u1')
    bboxes = np.array([[[4, 8, 30, 60], [0, 0, 0, 0]], [[33, 20, 64, 64], [1, 2, 12, 9]]], 'f')
    return imgs, bboxes, np.array([[1, -1], [2, 0]], 'i')


@pytest.mark.parametrize('build', [Darknet19, Darknet53])
def test_classification_reports_loss_and_accuracy(build):
    """The loss is the mean cross entropy and the accuracy the share of arg max hits."""
    chain = ClassificationTrainChain(build(4, width=0.05))
    imgs = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64)).astype('u1')
    labels = np.array([0, 3, 1], 'i')
    loss, seen = observe(chain, imgs, labels)
    logits = chain.model(imgs).array.astype('d')
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[range(3), labels]
    assert seen == pytest.approx({
        'loss': expected.mean(), 'accuracy': (logits.argmax(axis=1) == labels).mean()}, rel=1e-4)
    assert loss.shape == () and loss.dtype == np.float32


@pytest.mark.parametrize('build', [YOLOv2, YOLOv3])
def test_detection_reports_its_terms(build, detection_batch):
    """The loss is the sum of the reported terms, and its gradient reaches every parameter."""
    chain = YOLOTrainChain(build(3, width=0.05), loss_norm='image')
    loss, seen = observe(chain, *detection_batch)
    assert seen.keys() == {'loss', 'loss_xy', 'loss_wh', 'loss_obj', 'loss_conf'}
    assert all(0 < value < 1e4 for value in seen.values())
    assert seen['loss'] == pytest.approx(sum(seen.values()) / 2, rel=1e-5)
    assert loss.shape == () and loss.dtype == np.float32
    chain.cleargrads()
    loss.backward()
    assert all(np.isfinite(p.grad).all() and p.grad.any() for p in chain.params())


@pytest.mark.parametrize('build,differs', [(YOLOv2, True), (YOLOv3, False)])
def test_only_yolo_v2_has_a_prior_phase(build, differs, detection_batch):
    """YOLOv2's loss changes when 12,800 images have been seen, YOLOv3's does not."""
    chain = YOLOTrainChain(build(3, width=0.05), loss_norm='image')
    losses = []
    for chain.n_images_seen in (12_799, 12_800):
        losses.append(float(chain(*detection_batch).array))
    assert (losses[0] != losses[1]) is differs


@pytest.mark.parametrize('build,thresh', [(YOLOv2, 0.6), (YOLOv3, 0.5)])
def test_ignore_threshold_defaults_to_darknets(build, thresh, detection_batch):
    """None stands for 0.6 in YOLOv2 and 0.5 in YOLOv3; other values change the loss."""
    model = build(3, width=0.05)
    losses = [float(YOLOTrainChain(model, loss_norm='image', ignore_thresh=t)
                    (*detection_batch).array) for t in (None, thresh, 0.01)]
    assert losses[0] == losses[1] != losses[2]


def test_loss_norm_that_does_not_fit():
    """Another word is refused when the chain is made, not at the first batch."""
    with pytest.raises(ValueError, match='loss_norm'):
        YOLOTrainChain(YOLOv3(2, width=0.02), loss_norm='batch')


@pytest.mark.parametrize('build', [YOLOv2, YOLOv3])
def test_loss_falls(build, detection_batch):
    """Twenty steps of SGD on one batch reduce the loss well."""
    np.random.seed(0)
    chain = YOLOTrainChain(build(3, width=0.1), loss_norm='positive')
    optimizer = chainer.optimizers.CorrectedMomentumSGD(lr=0.01).setup(chain)
    losses = []
    for _ in range(20):
        loss = chain(*detection_batch)
        losses.append(float(loss.array))
        chain.cleargrads()
        loss.backward()
        optimizer.update()
    assert losses[-1] < 0.5 * losses[0]
