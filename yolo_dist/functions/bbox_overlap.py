from chainer import backend


def overlaps_any(bboxes, truths, thresh):
    """Tell for each box whether it overlaps any truth of its image by more than a threshold.

    Args:
        bboxes (ndarray): Float ``(B, N, 4)``, ``(y_min, x_min, y_max, x_max)``.
        truths (ndarray): Float ``(B, T, 4)``, ``T`` at least 1; all zeros for
            a missing truth, which no box overlaps.
        thresh (float): Intersection over union that must be exceeded.

    Returns:
        ndarray: Bool ``(B, N)``.
    """
    xp = backend.get_array_module(bboxes)
    # Two arrays (B, T, N) exist at a time and are changed in place. At 608 px,
    # 16 images and 40 truths each array takes 58 MB.
    y_min, x_min, y_max, x_max = xp.moveaxis(bboxes, 2, 0)[:, :, None]
    t_y_min, t_x_min, t_y_max, t_x_max = xp.moveaxis(truths, 2, 0)[..., None]
    intersection = xp.minimum(y_max, t_y_max)
    scratch = xp.maximum(y_min, t_y_min)
    intersection -= scratch
    xp.maximum(intersection, 0, out=intersection)
    xp.minimum(x_max, t_x_max, out=scratch)
    scratch -= xp.maximum(x_min, t_x_min)
    xp.maximum(scratch, 0, out=scratch)
    intersection *= scratch
    # i / (a + b - i) > thresh, without the division
    intersection *= 1 + thresh
    xp.add((y_max - y_min) * (x_max - x_min),
           (t_y_max - t_y_min) * (t_x_max - t_x_min), out=scratch)
    scratch *= thresh
    return (intersection > scratch).any(axis=1)


def paired_iou(bboxes, truths):
    """Compute the intersection over union of boxes, pair by pair.

    Args:
        bboxes (ndarray): Float ``(..., 4)``, ``(y_min, x_min, y_max, x_max)``.
        truths (ndarray): Float of the same shape.

    Returns:
        ndarray: Float ``(...)``, 0..1; 0 if both boxes are empty.
    """
    xp = backend.get_array_module(bboxes)
    overlap = (xp.minimum(bboxes[..., 2:], truths[..., 2:])
               - xp.maximum(bboxes[..., :2], truths[..., :2]))
    intersection = xp.maximum(overlap, 0).prod(axis=-1)
    union = ((bboxes[..., 2:] - bboxes[..., :2]).prod(axis=-1)
             + (truths[..., 2:] - truths[..., :2]).prod(axis=-1) - intersection)
    return intersection / xp.maximum(union, xp.finfo(union.dtype).tiny)
