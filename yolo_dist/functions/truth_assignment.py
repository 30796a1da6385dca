from typing import Any, NamedTuple

from chainer import backend


class TruthAssignment(NamedTuple):
    """The default box for each truth, and its targets.

    Attributes:
        valid (ndarray): Bool ``(B, T)``; false for padding and for truths
            without area, which are ignored.
        labels (ndarray): Int32 ``(B, T)``, class of each truth, -1 where
            invalid.
        slot (ndarray): Int32 ``(B, T)``, index of the truth's default box in
            ``0..N-1``; arbitrary but in range where ``valid`` is false.
        same_slot (ndarray): Bool ``(B, T, T)``; valid truths of one image
            that share a default box, a truth with itself included.
        last (ndarray): Bool ``(B, T)``; the last one of the truths that share a
            default box. Only this truth trains the box and its objectness.
        positive (ndarray): Bool ``(B, N)``; default boxes with a truth.
        bboxes (ndarray): Float ``(B, T, 4)``, the truths in pixels, with
            every invalid one replaced by zeros.
        centre (ndarray): Float ``(B, T, 2)``, position ``(y, x)`` of the truth's
            centre in its cell, 0..1.
        log_size (ndarray): Float ``(B, T, 2)``, logarithm of truth over
            anchor, ``(height, width)``.
        box_weight (ndarray): Float ``(B, T)``, ``2 - h * w`` with sizes as
            shares of the input for the last truths, 0 for all others.
    """

    valid: Any
    labels: Any
    slot: Any
    same_slot: Any
    last: Any
    positive: Any
    bboxes: Any
    centre: Any
    log_size: Any
    box_weight: Any


def assign_truths(bboxes, labels, default_boxes, *, dtype):
    """Assign each truth to the same default box as Darknet.

    The cell is the cell that contains the centre of the truth. The anchor is the
    anchor of all scales whose shape overlaps the truth most. Among equal anchors
    it is the first in Darknet's order (``yolo_layer.c:195-218``,
    ``region_layer.c:265-295``). A centre on the right or bottom border of the
    image belongs to the last cell.

    Args:
        bboxes (ndarray): Float32 ``(B, T, 4)``, ``(y_min, x_min, y_max,
            x_max)`` in pixels of the network's input.
        labels (ndarray): Int32 ``(B, T)``; -1 marks padding.
        default_boxes (DefaultBoxes): ``N`` boxes for the network's input size.
        dtype (numpy.dtype): Float type of the results.

    Returns:
        TruthAssignment: Arrays on the device of ``bboxes``. No value is read
        back to the host.
    """
    xp = backend.get_array_module(bboxes)
    n_image, n_box = len(bboxes), len(default_boxes.step_px)
    if bboxes.shape[1] == 0:
        bboxes = xp.zeros((n_image, 1, 4), dtype)
        labels = xp.full((n_image, 1), -1, 'i')
    valid = (labels >= 0) & (bboxes[..., 2:] > bboxes[..., :2]).all(axis=2)
    bboxes = xp.where(valid[..., None], bboxes, 0).astype(dtype)

    size = xp.where(valid[..., None], bboxes[..., 2:] - bboxes[..., :2], 1)
    anchors = default_boxes.anchor_table_px.astype(dtype)
    intersection = xp.minimum(size[:, :, None], anchors).prod(axis=3)
    area = size.prod(axis=2)
    iou = intersection / (area[..., None] + anchors.prod(axis=1) - intersection)
    best = iou.argmax(axis=2)

    step, rows, columns, n_anchor, first = xp.moveaxis(default_boxes.anchor_grid[best], 2, 0)
    position = 0.5 * (bboxes[..., :2] + bboxes[..., 2:]) / step[..., None].astype(dtype)
    limit = xp.stack((rows, columns), axis=2) - 1
    cell = xp.clip(xp.floor(position).astype('i'), 0, limit)
    slot = first + (cell[..., 0] * columns + cell[..., 1]) * n_anchor

    same_slot = (slot[:, :, None] == slot[:, None, :]) & valid[:, :, None] & valid[:, None, :]
    order = xp.arange(slot.shape[1])
    last = valid & ~(same_slot & (order[:, None] < order)).any(axis=2)
    # Invalid truths write to an extra column that is cut off afterwards. Truths that
    # share a box write the same value. Their order does not matter.
    positive = xp.zeros((n_image, n_box + 1), bool)
    positive[xp.arange(n_image)[:, None], xp.where(valid, slot, n_box)] = True

    height, width = default_boxes.insize
    return TruthAssignment(
        valid, xp.where(valid, labels, -1), slot, same_slot, last, positive[:, :n_box], bboxes,
        position - cell.astype(dtype), xp.log(size / anchors[best]),
        xp.where(last, 2 - area / (height * width), 0).astype(dtype))
