import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.links import YOLOv2, YOLOv3

MODELS = (YOLOv2, YOLOv3)


def plant(model, monkeypatch, insize, detections):
    """Let the network see given boxes ``(image, y, x, h, w, class)``, input pixels."""
    boxes = model.default_boxes(insize)

    def forward(imgs):
        assert imgs.dtype == np.uint8 and imgs.shape[1:] == (3, insize, insize)
        n = len(boxes.cell)
        locs = np.zeros((len(imgs), n, 4), 'f')
        objs = np.full((len(imgs), n), -20, 'f')
        confs = np.full((len(imgs), n, model.n_fg_class), -20, 'f')
        for b, y, x, h, w, lb in detections:
            position = np.array((y, x)) / boxes.step_px[0]
            k = np.flatnonzero((boxes.cell == np.floor(position)).all(axis=1)
                               & (boxes.step_px == boxes.step_px[0]))[0]
            inside = position % 1
            locs[b, k] = (*np.log(inside / (1 - inside)), *np.log((h, w) / boxes.anchor_px[k]))
            objs[b, k], confs[b, k, lb] = 20, 20
        return tuple(map(FakeVariable, (locs, objs, confs)))
    monkeypatch.setattr(model, 'forward', forward)


class FakeVariable:
    def __init__(self, array):
        self.array = array


@pytest.mark.parametrize('build', MODELS)
def test_boxes_come_back_in_the_images_own_pixels(build, monkeypatch):
    """A box in the letterboxed input is found at its place in images smaller and larger."""
    model = build(3, width=0.02)
    # 100 x 200 is enlarged 2.08 times into 208 x 416, 104 rows of border above
    plant(model, monkeypatch, 416, [(0, 104 + 104, 250, 104, 52, 1), (1, 210, 110, 52, 104, 2)])
    imgs = [np.zeros((3, 100, 200), 'u1'), np.zeros((3, 832, 832), 'u1')]
    bboxes, labels, scores = model.predict(imgs, insize=416)
    s = 200 / 416
    np.testing.assert_allclose(
        bboxes[0], [[(104 - 52) * s, (250 - 26) * s, (104 + 52) * s, (250 + 26) * s]], atol=0.1)
    np.testing.assert_allclose(bboxes[1], [[368, 116, 472, 324]], atol=0.1)
    assert [x.tolist() for x in labels] == [[1], [2]]
    for group, dtype in ((bboxes, 'f'), (labels, 'i'), (scores, 'f')):
        assert isinstance(group, list) and all(x.dtype == dtype for x in group)


@pytest.mark.parametrize('build', MODELS)
def test_boxes_are_clipped_to_the_image(build, monkeypatch):
    """Boxes end at the border; one that lies in the letterbox's margin alone is dropped."""
    model = build(3, width=0.02)
    plant(model, monkeypatch, 416, [(0, 210, 20, 100, 100, 0), (0, 30, 200, 40, 40, 1)])
    bboxes, labels, _ = model.predict([np.zeros((3, 100, 200), 'u1')], insize=416)
    assert labels[0].tolist() == [0]
    assert bboxes[0][0, 1] == 0 and bboxes[0][0, 0] > 0


@pytest.mark.parametrize('build', MODELS)
def test_batch_and_single_images_agree(build):
    """Images predicted together and one by one give the same detections.

    The outputs of an untrained network are of some hundreds, and sizes are their
    exponentials; made small, rounding stays rounding.
    """
    rng = np.random.default_rng(0)
    model = build(2, width=0.05)
    for param in model.subnet.params():
        if param.ndim == 4:
            param.array *= 1e-3
    model.score_thresh = 0.2
    imgs = [rng.integers(0, 256, (3, *size)).astype('u1') for size in ((40, 70), (90, 60))]
    together = model.predict(imgs, insize=(64, 96))
    assert sum(map(len, together[0])) > 0
    for i, img in enumerate(imgs):
        for a, b in zip(together, model.predict([img], insize=(64, 96)), strict=True):
            np.testing.assert_allclose(a[i], b[0], rtol=1e-4, atol=1e-3)


def test_no_images():
    """An empty batch gives empty lists."""
    assert YOLOv3(2, width=0.02).predict([], insize=64) == ([], [], [])


def test_equal_candidates_enter_in_the_networks_order():
    """Where the limit falls among equal scores, the first boxes enter."""
    model = YOLOv3(n_fg_class=1, width=0.03)
    model.score_thresh, model.max_candidates = 0.1, 300
    index = np.arange(1000, dtype='f')
    bbox = np.stack((10 * index, 0 * index, 10 * index + 5, 0 * index + 5), axis=1)
    score = np.where(index % 10 == 9, 0.9, 0.5).astype('f')[:, None]
    kept, _, kept_score = model._select(bbox, score)
    better, equal = index[index % 10 == 9], index[index % 10 != 9]
    assert (kept[:, 0] / 10).tolist() == [*better, *equal[:200]]
    assert (np.diff(kept_score) <= 0).all()


def test_candidates_are_limited_to_the_best():
    """With more candidates than the limit, those of the highest scores enter suppression."""
    model = YOLOv3(2, width=0.02)
    model.score_thresh, model.max_candidates = 0.1, 10
    rng = np.random.default_rng(0)
    corner = np.arange(100)[:, None] * 10.
    bbox = np.concatenate((corner, corner, corner + 5, corner + 5), axis=1).astype('f')
    score = rng.uniform(0, 1, (100, 2)).astype('f')
    _, _, selected = model._select(bbox, score)
    assert sorted(selected) == sorted(score.ravel())[-10:]


@pytest.mark.parametrize('preset,score_thresh', [('visualize', 0.5), ('evaluate', 0.005)])
def test_presets(preset, score_thresh):
    """Both presets have ChainerCV's thresholds; another word is refused."""
    model = YOLOv2(2, width=0.02)
    model.use_preset(preset)
    assert (model.score_thresh, model.nms_thresh) == (score_thresh, 0.45)
    with pytest.raises(ValueError, match='preset'):
        model.use_preset('test')


@pytest.mark.parametrize('insize', [100, 0, (416, 400), (416, 416, 3)])
def test_insize_that_does_not_fit(insize):
    """Only multiples of 32 are accepted."""
    with pytest.raises(InputError, match='multiple of 32'):
        YOLOv3(2, width=0.02).default_boxes(insize)


@pytest.mark.parametrize('build,anchors', [
    (YOLOv2, ((1, 2, 3),)), (YOLOv2, ((1, 0),)), (YOLOv3, ((1, 2),) * 3),
    (YOLOv3, (((1, 2),),) * 2)])
def test_anchors_that_do_not_fit(build, anchors):
    """Anchors must be positive pairs, for YOLOv3 one list for each of three scales."""
    with pytest.raises(InputError, match='anchors'):
        build(2, width=0.02, anchors=anchors)


@pytest.mark.parametrize('build,anchors,n_box', [
    (YOLOv2, ((1, 2), (3, 4)), 2 * 4),
    (YOLOv3, (((60, 60),), ((30, 30),), ((9, 9),)), 4 + 16 + 64)])
def test_own_anchors(build, anchors, n_box):
    """Any number of anchors can be given; the output and the default boxes follow."""
    model = build(2, width=0.02, anchors=anchors)
    locs, objs, confs = model(np.zeros((1, 3, 64, 64), 'u1'))
    assert (locs.shape, objs.shape, confs.shape) == ((1, n_box, 4), (1, n_box), (1, n_box, 2))
    assert len(model.default_boxes(64).cell) == n_box
