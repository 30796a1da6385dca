import math

import chainer
import numpy as np
import pytest
from chainer.gradient_check import check_backward

from yolo_dist.functions import yolo_v2_loss

ANCHORS_CELLS = ((1.73145, 1.3221), (4.00944, 3.19275), (8.09892, 5.05587),
                 (4.84053, 9.47112), (10.0071, 11.2364))
# Darknet's five anchors are for 13 x 13 cells; a third of them fits this small case.
ANCHORS_PX = (tuple((h * 32 / 3, w * 32 / 3) for h, w in ANCHORS_CELLS),)
PRIOR = {'n_images_seen': 12_799}
NO_PRIOR = {'n_images_seen': 12_800}


def darknet_delta(case, oracle, *, n_images_seen, thresh=0.6, rescore=True, last_wins=True):
    """Darknet's delta of the region layer times its activations' derivatives."""
    locs, objs, confs = (x.array.astype(float) for x in case.outputs)
    height, width = case.insize
    lw, lh = width // 32, height // 32
    anchors = [(w / 32, h / 32) for h, w in case.anchors[0]]
    d_locs, d_objs, d_confs = np.zeros_like(locs), np.zeros_like(objs), np.zeros_like(confs)
    n_ignored = 0

    def predicted(b, k, i, j, n):
        ty, tx, th, tw = locs[b, k]
        return ((i + oracle.sigmoid(tx)) / lw, (j + oracle.sigmoid(ty)) / lh,
                math.exp(tw) * anchors[n][0] / lw, math.exp(th) * anchors[n][1] / lh)

    def box_delta(b, k, i, j, n, truth, scale):
        x, y, w, h = truth
        ty, tx, th, tw = locs[b, k]
        d_locs[b, k] = (scale * (y * lh - j - oracle.sigmoid(ty)),
                        scale * (x * lw - i - oracle.sigmoid(tx)),
                        scale * (math.log(h * lh / anchors[n][1]) - th),
                        scale * (math.log(w * lw / anchors[n][0]) - tw))

    for b in range(len(locs)):
        truths = list(oracle.darknet_truths(case.bboxes[b], case.labels[b], case.insize))
        for j in range(lh):
            for i in range(lw):
                for n in range(5):
                    k = (j * lw + i) * 5 + n
                    pred = predicted(b, k, i, j, n)
                    best_iou = max((oracle.box_iou(pred, t[:4]) for t in truths), default=0)
                    d_objs[b, k] = 0 - oracle.sigmoid(objs[b, k])
                    if best_iou > thresh:
                        d_objs[b, k] = 0
                        n_ignored += 1
                    if n_images_seen < 12_800:
                        prior = ((i + 0.5) / lw, (j + 0.5) / lh,
                                 anchors[n][0] / lw, anchors[n][1] / lh)
                        box_delta(b, k, i, j, n, prior, 0.01)
        for x, y, w, h, label in truths if last_wins else truths[::-1]:
            i, j = min(int(x * lw), lw - 1), min(int(y * lh), lh - 1)
            anchors_px = [(a_w * 32, a_h * 32) for a_w, a_h in anchors]
            n = oracle.best_anchor((x, y, w, h), anchors_px, case.insize)
            k = (j * lw + i) * 5 + n
            box_delta(b, k, i, j, n, (x, y, w, h), 1 * (2 - w * h))
            iou = oracle.box_iou(predicted(b, k, i, j, n), (x, y, w, h))
            d_objs[b, k] = 5 * ((iou if rescore else 1) - oracle.sigmoid(objs[b, k]))
            exps = np.exp(confs[b, k])
            for c in range(case.n_class):
                d_confs[b, k, c] = (c == label) - exps[c] / exps.sum()
    # the backward pass: the logistic's derivative for x, y and objectness
    for d, logits in ((d_locs[..., :2], locs[..., :2]), (d_objs, objs)):
        s = 1 / (1 + np.exp(-logits))
        d *= s * (1 - s)
    return (d_locs, d_objs, d_confs), n_ignored


def loss_terms(case, *, loss_norm='image', n_images_seen=12_800, **kwargs):
    return yolo_v2_loss(*case.outputs, case.bboxes, case.labels, case.boxes,
                        n_images_seen=n_images_seen, loss_norm=loss_norm, **kwargs)


def gradients(case, **kwargs):
    for x in case.outputs:
        x.cleargrad()
    sum(loss_terms(case, **kwargs)).backward()
    return [np.zeros_like(x.array) if x.grad is None else x.grad for x in case.outputs]


@pytest.mark.parametrize('dtype,tolerance', [('float64', 1e-9), ('float32', 2e-5)])
@pytest.mark.parametrize('phase', [PRIOR, NO_PRIOR])
@pytest.mark.parametrize('thresh', [0.3, 0.45])
def test_gradient_is_darknets_delta(make_case, oracle, dtype, tolerance, phase, thresh):
    """B times the gradient is minus the delta of the reference, at every logit."""
    case = make_case((32,), ANCHORS_PX, dtype=dtype, insize=(160, 128))
    delta, n_ignored = darknet_delta(case, oracle, thresh=thresh, **phase)
    assert n_ignored > 0
    for grad, d in zip(gradients(case, ignore_thresh=thresh, **phase), delta, strict=True):
        assert grad.dtype == dtype
        np.testing.assert_allclose(-3 * grad, d, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize('wrong', [
    {'rescore': False}, {'thresh': 1.0}, {'last_wins': False}, PRIOR])
def test_reference_tells_wrong_semantics_apart(make_case, oracle, wrong):
    """Negative control: each semantic detail left out changes the delta visibly."""
    case = make_case((32,), ANCHORS_PX, dtype='float64', insize=(160, 128))
    delta, _ = darknet_delta(case, oracle, **{'thresh': 0.3, **NO_PRIOR, **wrong})
    grads = gradients(case, ignore_thresh=0.3)
    assert max(abs(-3 * g - d).max() for g, d in zip(grads, delta, strict=True)) > 1e-3


@pytest.mark.parametrize('phase', [PRIOR, NO_PRIOR])
def test_numeric_gradient(make_case, phase):
    """The value belongs to the gradient, where the rescored overlap is held constant.

    The overlap depends on ``locs`` alone, so objectness and classes are
    checked with ``locs`` fixed, and the box terms by themselves.
    """
    case = make_case((32,), ANCHORS_PX, dtype='float64', insize=(160, 128))
    locs, objs, confs = (x.array for x in case.outputs)

    def terms(*outputs):
        return yolo_v2_loss(*outputs, case.bboxes, case.labels, case.boxes,
                            loss_norm='image', **phase)
    tolerance = {'eps': 1e-4, 'atol': 1e-6, 'rtol': 1e-6}
    check_backward(lambda o, c: sum(terms(locs, o, c)[2:]), (objs, confs), None, **tolerance)
    check_backward(lambda x: sum(terms(x, objs, confs)[:2]), locs, None, **tolerance)


def test_truths_that_share_a_box(make_case):
    """Only the last truth of a default box counts, for its class as well."""
    case = make_case((32,), ANCHORS_PX, dtype='float64', insize=(160, 128))
    case.labels[[0, 1]] = -1
    case.labels[2, 2:] = -1
    both = gradients(case)
    case.labels[2, 0] = -1
    for a, b in zip(both, gradients(case), strict=True):
        np.testing.assert_array_equal(a, b)
    assert ((both[2] < 0).sum(), (both[2] < 0)[2, :, 0].sum()) == (1, 1)


def test_prior_phase_ends_after_its_images(make_case):
    """Image 12,799 still pulls boxes without a truth to their anchors, image 12,800 does not."""
    case = make_case((32,), ANCHORS_PX, dtype='float64', insize=(160, 128))
    assert gradients(case, n_images_seen=12_799)[0].all()
    assert not gradients(case, n_images_seen=12_800)[0].all()
    assert gradients(case, n_images_seen=12_800, prior_images=12_801)[0].all()


def test_no_truths(make_case):
    """Without truths only objectness is trained; all padding and no rows at all agree."""
    case = make_case((32,), ANCHORS_PX, dtype='float32', insize=(160, 128))
    case.labels[:] = -1
    padded = loss_terms(case, loss_norm='positive')
    grads = gradients(case)
    assert not grads[0].any() and not grads[2].any() and (grads[1] > 0).all()
    case.bboxes, case.labels = case.bboxes[:, :0], case.labels[:, :0]
    for a, b in zip(padded, loss_terms(case, loss_norm='positive'), strict=True):
        assert a.array == b.array and np.isfinite(a.array)


def test_centre_on_the_border(make_case, oracle):
    """A centre exactly on the right and bottom border belongs to the last cell."""
    case = make_case((32,), ANCHORS_PX, dtype='float64', insize=(160, 128))
    case.bboxes = np.array([[[140, 108, 180, 148]]] * 3, 'f')
    case.labels = np.array([[0], [1], [2]], 'i')
    delta, _ = darknet_delta(case, oracle, **NO_PRIOR)
    for grad, d in zip(gradients(case), delta, strict=True):
        np.testing.assert_allclose(-3 * grad, d, atol=1e-9)


def test_loss_norms_differ_by_their_divisor(make_case):
    """The same sums divided by B, truths, B N, and the elements of each term's output."""
    case = make_case((32,), ANCHORS_PX, dtype='float64', insize=(160, 128))
    image, positive, cell, element = (
        np.array([t.array for t in loss_terms(case, loss_norm=norm, **PRIOR)])
        for norm in ('image', 'positive', 'cell', 'element'))
    np.testing.assert_allclose(image * 3, positive * 10, rtol=1e-12)
    np.testing.assert_allclose(image * 3, cell * case.outputs[1].size, rtol=1e-12)
    sizes = [output.size for output in (case.outputs[0], *case.outputs)]
    np.testing.assert_allclose(image * 3, element * sizes, rtol=1e-12)


def test_perfect_prediction_has_no_loss(make_case):
    """All terms are 0 where the logits say exactly what is there."""
    case = make_case((32,), ANCHORS_PX, dtype='float64', insize=(160, 128))
    h, w = case.anchors[0][1]
    case.bboxes = np.array([[[80 - h / 2, 80 - w / 2, 80 + h / 2, 80 + w / 2]]] * 3, 'f')
    case.labels = np.array([[2]] * 3, 'i')
    locs, objs, confs = case.outputs
    k = (2 * 4 + 2) * 5 + 1
    locs.array[:, k] = 0
    objs.array[:], objs.array[:, k] = -50, 50
    confs.array[:, k, 2] = 50
    for term in loss_terms(case):
        assert abs(term.array) < 1e-9


def test_float16_logits_are_lifted(make_case):
    """float16 logits give the loss of the same values in float32, and float16 gradients."""
    case = make_case((32,), ANCHORS_PX, dtype='float16', insize=(160, 128))
    half, half_grads = loss_terms(case, **PRIOR), gradients(case, **PRIOR)
    case.outputs = tuple(chainer.Variable(x.array.astype('f')) for x in case.outputs)
    for a, b in zip(half, loss_terms(case, **PRIOR), strict=True):
        assert a.dtype == np.float32 and a.array == b.array
    for a, b in zip(half_grads, gradients(case, **PRIOR), strict=True):
        assert a.dtype == np.float16
        np.testing.assert_array_equal(a, b.astype(np.float16))


@pytest.mark.parametrize('value', [-1e3, 1e3])
def test_extreme_logits_stay_finite(make_case, value):
    """A diverging network has a large loss, not NaN, and no warning is raised."""
    case = make_case((32,), ANCHORS_PX, dtype='float32', insize=(160, 128))
    for x in case.outputs:
        x.array[:] = value
    with np.errstate(all='raise', under='ignore'):
        assert all(np.isfinite(term.array) for term in loss_terms(case, **PRIOR))
        assert all(np.isfinite(grad).all() for grad in gradients(case, **PRIOR))
