import chainer.functions as F
from chainer import backend

from yolo_dist.functions.bbox_overlap import overlaps_any, paired_iou
from yolo_dist.functions.decode_bboxes import decode_bboxes
from yolo_dist.functions.loss_terms import check_outputs, normalize_terms
from yolo_dist.functions.truth_assignment import assign_truths

_OBJECT_SCALE = 5    # yolov2-voc.cfg l.252-255; its other scales are 1
_PRIOR_SCALE = 0.01  # region_layer.c:260


def yolo_v2_loss(locs, objs, confs, bboxes, labels, default_boxes, *,
                 ignore_thresh=0.6, loss_norm, n_images_seen, prior_images=12_800):
    """Loss of YOLOv2 for one batch, term by term.

    The gradient is Darknet's ``delta`` times the derivative of its activations
    [2]. All terms but the classes are half a squared error. Centres and
    objectness are compared after the sigmoid. The box term of a default box
    assigned to a truth is weighted by ``2 - h * w``. Its objectness is weighted
    by 5. The target of the objectness is the overlap of the predicted box with
    the truth (``rescore``; a constant for the gradient). The target of all other
    boxes is 0, unless they overlap a truth by more than ``ignore_thresh``.
    Classes have a softmax cross entropy. If truths share a default box, only
    the last one counts.

    During the first ``prior_images`` images all other boxes are also pulled
    to their anchor at the centre of their cell, weighted by 0.01.

    Args:
        locs (~chainer.Variable): Raw box outputs, float ``(B, N, 4)``,
            ``(t_y, t_x, t_h, t_w)``; float16 is converted to float32.
        objs (~chainer.Variable): Objectness logits, float ``(B, N)``.
        confs (~chainer.Variable): Class logits, float ``(B, N, C)``.
        bboxes (ndarray): Truths, float32 ``(B, T, 4)``, ``(y_min, x_min,
            y_max, x_max)`` in pixels of the network's input. Truths without
            area are skipped. All other truths are used, whereas Darknet takes
            at most 30 of an image.
        labels (ndarray): Int32 ``(B, T)`` in ``0..C-1``; -1 marks padding.
        default_boxes (DefaultBoxes): The ``N`` boxes of the input size.
        ignore_thresh (float): Darknet's ``thresh`` is 0.6.
        loss_norm (str): The divisor of each sum, see
            :func:`~yolo_dist.functions.normalize_terms`.
        n_images_seen (int): Images trained on so far by all workers, this
            batch included.
        prior_images (int): The prior phase lasts while ``n_images_seen`` is
            smaller than this; 12,800 in Darknet.

    Returns:
        LossTerms: Four scalars ``xy``, ``wh``, ``obj``, ``conf``.

    Raises:
        ValueError: If the outputs disagree in ``B`` or ``N``, or
            ``loss_norm`` is unknown.

    References:
        [1] J. Redmon, A. Farhadi. YOLO9000: Better, Faster, Stronger. CVPR 2017, Sec. 2.
        [2] Darknet f6afaab, ``src/region_layer.c:158-321`` and ``478-494``.
    """
    locs, objs, confs = check_outputs(locs, objs, confs, default_boxes)
    xp = backend.get_array_module(objs)
    dtype = objs.dtype
    truth = assign_truths(bboxes, labels, default_boxes, dtype=dtype)
    rows = xp.arange(len(objs))[:, None]
    index = (rows, truth.slot)
    last = truth.last.astype(dtype)

    loc = locs[index]
    weight = xp.repeat(truth.box_weight[..., None], 2, axis=2)
    xy = 0.5 * F.sum((F.sigmoid(loc[..., :2]) - truth.centre) ** 2 * weight)
    wh = 0.5 * F.sum((loc[..., 2:] - truth.log_size) ** 2 * weight)
    if n_images_seen < prior_images:
        prior_xy, prior_wh = _prior_terms(locs, truth.positive)
        xy += prior_xy
        wh += prior_wh

    predicted = decode_bboxes(locs.array, default_boxes)
    ignored = overlaps_any(predicted, truth.bboxes, ignore_thresh)
    background = (~(truth.positive | ignored)).astype(dtype)
    rescored = paired_iou(predicted[index], truth.bboxes)
    obj = 0.5 * (F.sum(F.sigmoid(objs) ** 2 * background)
                 + _OBJECT_SCALE * F.sum((F.sigmoid(objs[index]) - rescored) ** 2 * last))

    one_hot = (truth.labels[..., None] == xp.arange(confs.shape[2])).astype(dtype)
    conf = -F.sum(F.log_softmax(confs[index], axis=2) * (one_hot * last[..., None]))

    return normalize_terms((xy, wh, obj, conf), loss_norm, confs, truth.valid)


def _prior_terms(locs, positive):
    xp = backend.get_array_module(positive)
    scale = (_PRIOR_SCALE * ~positive).astype(locs.dtype)[..., None]
    scale = xp.broadcast_to(scale, locs.shape[:2] + (2,))
    t_yx, t_hw = F.split_axis(locs, 2, axis=2)
    return (0.5 * F.sum((F.sigmoid(t_yx) - 0.5) ** 2 * scale),
            0.5 * F.sum(t_hw ** 2 * scale))
