import chainer.functions as F
from chainer import backend

from yolo_dist.functions.bbox_overlap import overlaps_any
from yolo_dist.functions.decode_bboxes import decode_bboxes
from yolo_dist.functions.loss_terms import check_outputs, normalize_terms
from yolo_dist.functions.soft_cross_entropy import soft_cross_entropy
from yolo_dist.functions.truth_assignment import assign_truths


def yolo_v3_loss(locs, objs, confs, bboxes, labels, default_boxes, *,
                 ignore_thresh=0.5, loss_norm):
    """Loss of YOLOv3 for one batch, term by term.

    The gradient is Darknet's ``delta`` [2]. A default box assigned to a truth is
    trained by cross entropy on the centre and by half the squared error on the
    logarithm of the size, both weighted by ``2 - h * w``. Objectness is trained
    by cross entropy, except at unassigned boxes that already overlap a truth by
    more than ``ignore_thresh``. At the assigned boxes each class is trained by a
    cross entropy of its own. If truths share a default box, the last one gives
    the box, and all of them give classes.

    Darknet prints the squared ``delta`` as its cost. Here the value is the
    function that has this gradient. Cross entropy with a target between 0 and 1
    does not reach 0. The minimum of ``xy`` is therefore above 0.

    Args:
        locs (~chainer.Variable): Raw box outputs, float ``(B, N, 4)``,
            ``(t_y, t_x, t_h, t_w)``; float16 is converted to float32.
        objs (~chainer.Variable): Objectness logits, float ``(B, N)``.
        confs (~chainer.Variable): Class logits, float ``(B, N, C)``.
        bboxes (ndarray): Truths, float32 ``(B, T, 4)``, ``(y_min, x_min,
            y_max, x_max)`` in pixels of the network's input. Truths without
            area are skipped.
        labels (ndarray): Int32 ``(B, T)`` in ``0..C-1``; -1 marks padding.
        default_boxes (DefaultBoxes): The ``N`` boxes of the input size.
        ignore_thresh (float): 0.5 for VOC and 0.7 for COCO in Darknet.
        loss_norm (str): The divisor of each sum, see
            :func:`~yolo_dist.functions.normalize_terms`.

    Returns:
        LossTerms: Four scalars ``xy``, ``wh``, ``obj``, ``conf``.

    Raises:
        ValueError: If the outputs disagree in ``B`` or ``N``, or
            ``loss_norm`` is unknown.

    References:
        [1] J. Redmon, A. Farhadi. YOLOv3: An Incremental Improvement. 2018, Sec. 2.
        [2] Darknet f6afaab, ``src/yolo_layer.c:132-245``.
    """
    locs, objs, confs = check_outputs(locs, objs, confs, default_boxes)
    xp = backend.get_array_module(objs)
    truth = assign_truths(bboxes, labels, default_boxes, dtype=locs.dtype)
    index = (xp.arange(len(objs))[:, None], truth.slot)

    loc = locs[index]
    weight = xp.repeat(truth.box_weight[..., None], 2, axis=2)
    xy = F.sum(soft_cross_entropy(loc[..., :2], truth.centre) * weight)
    wh = 0.5 * F.sum((loc[..., 2:] - truth.log_size) ** 2 * weight)

    ignored = overlaps_any(
        decode_bboxes(locs.array, default_boxes), truth.bboxes, ignore_thresh)
    trained = (truth.positive | ~ignored).astype(objs.dtype)
    obj = F.sum(soft_cross_entropy(objs, truth.positive.astype(objs.dtype)) * trained)

    one_hot = (truth.labels[..., None] == xp.arange(confs.shape[2])).astype(confs.dtype)
    n_truth = xp.matmul(truth.same_slot.astype(confs.dtype), one_hot)
    conf = F.sum(soft_cross_entropy(confs[index], xp.minimum(n_truth, 1))
                 * truth.last.astype(confs.dtype)[..., None])

    return normalize_terms((xy, wh, obj, conf), loss_norm, confs, truth.valid)
