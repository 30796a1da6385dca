import math

import chainer
import numpy as np
import pytest
from chainer.gradient_check import check_backward

from yolo_dist.functions import yolo_v3_loss

STEPS = (32, 16, 8)
ANCHORS = (((90, 116), (198, 156), (326, 373)),
           ((61, 30), (45, 62), (119, 59)),
           ((13, 10), (30, 16), (23, 33)))


def darknet_delta(case, oracle, *, ignore_thresh=0.5, last_wins=True):
    """Darknet's delta of the three yolo layers, in the order of the logits."""
    locs, objs, confs = (x.array.astype(float) for x in case.outputs)
    height, width = case.insize
    all_anchors = [(w, h) for anchors in case.anchors[::-1] for h, w in anchors]
    d_locs, d_objs, d_confs = np.zeros_like(locs), np.zeros_like(objs), np.zeros_like(confs)
    n_ignored = 0
    for b in range(len(locs)):
        truths = list(oracle.darknet_truths(case.bboxes[b], case.labels[b], case.insize))
        first_box = 0
        for layer, step in enumerate(case.steps):
            lw, lh = width // step, height // step
            mask = [3 * (2 - layer) + n for n in range(3)]

            def index(i, j, n, first_box=first_box, lw=lw):
                return first_box + (j * lw + i) * 3 + n

            for j in range(lh):
                for i in range(lw):
                    for n in range(3):
                        k = index(i, j, n)
                        ty, tx, th, tw = locs[b, k]
                        anchor_w, anchor_h = all_anchors[mask[n]]
                        pred = ((i + oracle.sigmoid(tx)) / lw, (j + oracle.sigmoid(ty)) / lh,
                                math.exp(tw) * anchor_w / width,
                                math.exp(th) * anchor_h / height)
                        best_iou = max((oracle.box_iou(pred, t[:4]) for t in truths), default=0)
                        d_objs[b, k] = 0 - oracle.sigmoid(objs[b, k])
                        if best_iou > ignore_thresh:
                            d_objs[b, k] = 0
                            n_ignored += 1
            for x, y, w, h, label in truths if last_wins else truths[::-1]:
                i, j = min(int(x * lw), lw - 1), min(int(y * lh), lh - 1)
                best = oracle.best_anchor((x, y, w, h), all_anchors, case.insize)
                if best not in mask:
                    continue
                k = index(i, j, mask.index(best))
                ty, tx, th, tw = locs[b, k]
                anchor_w, anchor_h = all_anchors[best]
                scale = 2 - w * h
                d_locs[b, k] = (
                    scale * (y * lh - j - oracle.sigmoid(ty)),
                    scale * (x * lw - i - oracle.sigmoid(tx)),
                    scale * (math.log(h * height / anchor_h) - th),
                    scale * (math.log(w * width / anchor_w) - tw))
                d_objs[b, k] = 1 - oracle.sigmoid(objs[b, k])
                if d_confs[b, k, 0] != 0:
                    d_confs[b, k, label] = 1 - oracle.sigmoid(confs[b, k, label])
                    continue
                for c in range(case.n_class):
                    d_confs[b, k, c] = (c == label) - oracle.sigmoid(confs[b, k, c])
            first_box += lw * lh * 3
    return (d_locs, d_objs, d_confs), n_ignored


def loss_terms(case, *, loss_norm='image', ignore_thresh=0.5):
    return yolo_v3_loss(*case.outputs, case.bboxes, case.labels, case.boxes,
                        ignore_thresh=ignore_thresh, loss_norm=loss_norm)


def gradients(case, **kwargs):
    for x in case.outputs:
        x.cleargrad()
    sum(loss_terms(case, **kwargs)).backward()
    return [x.grad for x in case.outputs]


@pytest.mark.parametrize('dtype,tolerance', [('float64', 1e-9), ('float32', 2e-5)])
@pytest.mark.parametrize('ignore_thresh', [0.3, 0.5])
@pytest.mark.parametrize('seed', [0, 1])
def test_gradient_is_darknets_delta(make_case, oracle, dtype, tolerance, ignore_thresh, seed):
    """B times the gradient is minus the delta of the reference, at every logit."""
    case = make_case(STEPS, ANCHORS, dtype=dtype, seed=seed)
    delta, n_ignored = darknet_delta(case, oracle, ignore_thresh=ignore_thresh)
    assert n_ignored > 3
    for grad, d in zip(gradients(case, ignore_thresh=ignore_thresh), delta, strict=True):
        assert grad.dtype == dtype
        np.testing.assert_allclose(-3 * grad, d, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize('wrong', [{'ignore_thresh': 1.0}, {'last_wins': False}])
def test_reference_tells_wrong_semantics_apart(make_case, oracle, wrong):
    """Negative control: without the ignore test, or with the first truth winning, it differs."""
    case = make_case(STEPS, ANCHORS, dtype='float64')
    delta, _ = darknet_delta(case, oracle, **{'ignore_thresh': 0.3, **wrong})
    grads = gradients(case, ignore_thresh=0.3)
    assert max(abs(-3 * g - d).max() for g, d in zip(grads, delta, strict=True)) > 0.01


def test_numeric_gradient(make_case):
    """The value belongs to the gradient (the ignored boxes do not change within 1e-4)."""
    case = make_case(STEPS, ANCHORS, dtype='float64')

    def total(*outputs):
        return sum(yolo_v3_loss(*outputs, case.bboxes, case.labels, case.boxes,
                                loss_norm='image'))
    check_backward(total, tuple(x.array for x in case.outputs), None, eps=1e-4,
                   atol=1e-6, rtol=1e-6)


def test_truths_that_share_a_box(make_case):
    """The last truth gives the box, all of them give classes, the box counts once."""
    case = make_case(STEPS, ANCHORS, dtype='float64')
    case.labels[[0, 1]] = -1
    case.labels[2, 2:] = -1
    both = gradients(case)
    case.labels[2, 0] = -1
    alone = gradients(case)
    np.testing.assert_array_equal(both[0], alone[0])
    slot = np.flatnonzero(both[0][2].any(axis=1))
    assert len(slot) == 1
    assert both[1][2, slot] == alone[1][2, slot]
    assert case.labels[2, 1] == 0
    assert (both[2][2, slot] < 0).tolist() == [[True, False, True, False]]
    assert (alone[2][2, slot] < 0).tolist() == [[True, False, False, False]]


def test_truth_trains_only_the_scale_of_its_best_anchor(make_case):
    """A truth of the shape of an anchor of stride 16 has one default box, and none elsewhere."""
    case = make_case(STEPS, ANCHORS, dtype='float64')
    case.bboxes = np.array([[[0, 0, 90, 60]]] * 3, 'f')
    case.labels = np.array([[-1], [-1], [1]], 'i')
    grad = gradients(case)[0]
    rows = np.argwhere(grad.any(axis=2)).tolist()
    # after 3 x 2 cells of stride 32: cell (2, 1) of 6 x 4 cells, anchor 2 (119 x 59)
    assert rows == [[2, 3 * (3 * 2) + 3 * (2 * 4 + 1) + 2]]


def test_no_truths(make_case):
    """Without truths only objectness is trained; all padding and no rows at all agree."""
    case = make_case(STEPS, ANCHORS, dtype='float32')
    case.labels[:] = -1
    padded = loss_terms(case, loss_norm='positive')
    grads = gradients(case)
    assert not grads[0].any() and not grads[2].any() and (grads[1] > 0).all()
    case.bboxes, case.labels = case.bboxes[:, :0], case.labels[:, :0]
    for a, b in zip(padded, loss_terms(case, loss_norm='positive'), strict=True):
        assert a.array == b.array and np.isfinite(a.array)


@pytest.mark.parametrize('corner', [(96, 64), (96, 10), (10, 64)])
def test_centre_on_the_border(make_case, oracle, corner):
    """A centre exactly on the right or bottom border belongs to the last cell."""
    case = make_case(STEPS, ANCHORS, dtype='float64')
    y, x = corner
    case.bboxes = np.array([[[y - 6, x - 7, y + 6, x + 7]]] * 3, 'f')
    case.labels = np.array([[0], [1], [2]], 'i')
    delta, _ = darknet_delta(case, oracle)
    for grad, d in zip(gradients(case), delta, strict=True):
        np.testing.assert_allclose(-3 * grad, d, atol=1e-9)


def test_truth_without_area_and_padding_change_nothing(make_case):
    """Degenerate boxes and padding rows leave the loss as it was, and finite."""
    case = make_case(STEPS, ANCHORS, dtype='float64')
    before = [t.array for t in loss_terms(case, loss_norm='positive')]
    extra = np.array([[[5, 5, 5, 20], [7, 7, 9, 7], [np.nan] * 4, [0, 0, 0, 0]]] * 3, 'f')
    case.bboxes = np.concatenate((extra[:, :2], case.bboxes, extra[:, 2:]), axis=1)
    case.labels = np.pad(case.labels, ((0, 0), (2, 2)), constant_values=1)
    case.labels[:, -1] = -1
    np.testing.assert_allclose(
        [t.array for t in loss_terms(case, loss_norm='positive')], before, rtol=1e-12)


def test_loss_norms_differ_by_their_divisor(make_case):
    """The same sums divided by B, truths, B N, and the elements of each term's output."""
    case = make_case(STEPS, ANCHORS, dtype='float64')
    image, positive, cell, element = (
        np.array([t.array for t in loss_terms(case, loss_norm=norm)])
        for norm in ('image', 'positive', 'cell', 'element'))
    np.testing.assert_allclose(image * 3, positive * 10, rtol=1e-12)
    np.testing.assert_allclose(image * 3, cell * case.outputs[1].size, rtol=1e-12)
    sizes = [output.size for output in (case.outputs[0], *case.outputs)]
    np.testing.assert_allclose(image * 3, element * sizes, rtol=1e-12)
    with pytest.raises(ValueError, match='loss_norm'):
        loss_terms(case, loss_norm='batch')


def test_perfect_prediction_has_no_loss(make_case):
    """All terms but the centre's are 0 where the logits say exactly what is there."""
    case = make_case(STEPS, ANCHORS, dtype='float64')
    case.bboxes = np.array([[[8, 12, 8 + 13, 12 + 10]]] * 3, 'f')  # an anchor's shape
    case.labels = np.array([[2]] * 3, 'i')
    locs, objs, confs = case.outputs
    k = 3 * (3 * 2 + 6 * 4) + (1 * 8 + 2) * 3
    centre = np.array((14.5, 17)) / 8 - (1, 2)
    locs.array[:, k] = [*np.log(centre / (1 - centre)), 0, 0]
    objs.array[:], objs.array[:, k] = -50, 50
    confs.array[:], confs.array[:, k, 2] = -50, 50
    terms = loss_terms(case)
    entropy = -(centre * np.log(centre) + (1 - centre) * np.log(1 - centre)).sum()
    assert terms.xy.array == pytest.approx(entropy * (2 - 130 / (96 * 64)))
    for term in terms[1:]:
        assert abs(term.array) < 1e-9


def test_float16_logits_are_lifted(make_case):
    """float16 logits give the loss of the same values in float32, and float16 gradients."""
    case = make_case(STEPS, ANCHORS, dtype='float16')
    half, half_grads = loss_terms(case), gradients(case)
    case.outputs = tuple(chainer.Variable(x.array.astype('f')) for x in case.outputs)
    for a, b in zip(half, loss_terms(case), strict=True):
        assert a.dtype == np.float32 and a.array == b.array
    for a, b in zip(half_grads, gradients(case), strict=True):
        assert a.dtype == np.float16
        np.testing.assert_array_equal(a, b.astype(np.float16))


@pytest.mark.parametrize('value', [-1e3, 1e3])
def test_extreme_logits_stay_finite(make_case, value):
    """A diverging network has a large loss, not NaN, and no warning is raised."""
    case = make_case(STEPS, ANCHORS, dtype='float32')
    for x in case.outputs:
        x.array[:] = value
    with np.errstate(all='raise', under='ignore'):
        assert all(np.isfinite(term.array) for term in loss_terms(case))
        assert all(np.isfinite(grad).all() for grad in gradients(case))


def test_outputs_that_do_not_fit(make_case):
    """Logits of another input size are refused, with the shapes in the message."""
    case = make_case(STEPS, ANCHORS, dtype='float32')
    case.outputs = (case.outputs[0][:, :-1], *case.outputs[1:])
    with pytest.raises(ValueError, match='default boxes'):
        loss_terms(case)
