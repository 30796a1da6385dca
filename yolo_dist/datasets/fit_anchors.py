"""Anchors that fit the boxes of a training set."""
import numpy as np

from yolo_dist.errors import InputError

_N_STARTS = 10
_MAX_ROUNDS = 300


def box_sizes(examples, input_size):
    """Collect the sizes of boxes as the network sees them, letterboxed.

    Args:
        examples (iterable of tuple): What
            :meth:`~yolo_dist.datasets.VOCDetectionDataset.read_boxes` returned.
        input_size (int): Side of the network's input, pixels.

    Returns:
        ndarray: float64 ``(R, 2)``, height and width in pixels of the input. Objects marked
        difficult are left out, as in training.
    """
    sizes = [np.zeros((0, 2))]
    for bbox, _, difficult, size_hw in examples:
        bbox = bbox[~difficult].astype(np.float64)
        sizes.append((bbox[:, 2:] - bbox[:, :2]) * (input_size / max(size_hw)))
    return np.concatenate(sizes)


def mean_iou(sizes, anchors):
    """Mean over all boxes of the overlap with the best anchor, both around one centre.

    Args:
        sizes (ndarray): float ``(R, 2)``, height and width.
        anchors (array-like): float ``(N, 2)``, in the same unit.

    Returns:
        float: 0 to 1; NaN without a box.
    """
    return float(_iou(sizes, np.asarray(anchors)).max(axis=1).mean()) if len(sizes) else np.nan


def fit_anchors(sizes, n_anchors):
    """Find the anchors of a set by k-means with the distance 1 - IoU [1, Sec. 2].

    Of ten starts by k-means++ the one whose anchors overlap most with the boxes is taken. The same
    boxes give the same anchors.

    Args:
        sizes (ndarray): float ``(R, 2)``, height and width of each box.
        n_anchors (int): How many anchors.

    Returns:
        ndarray: float64 ``(n_anchors, 2)``, by rising area.

    Raises:
        InputError: If there are fewer different sizes than anchors.

    References:
        [1] J. Redmon, A. Farhadi. YOLO9000: Better, Faster, Stronger. CVPR 2017.
    """
    n_different = len(np.unique(sizes, axis=0))
    if n_different < n_anchors:
        raise InputError(
            f'model.anchors: {n_anchors} anchors cannot be fitted to a training set whose boxes '
            f'have {n_different} different sizes; give the anchors, or null for those of Darknet')
    rng = np.random.default_rng(0)
    fits = [_k_means(sizes, _choose_start(sizes, n_anchors, rng)) for _ in range(_N_STARTS)]
    best = max(fits, key=lambda anchors: mean_iou(sizes, anchors))
    return best[np.argsort(best.prod(axis=1), kind='stable')]


def _iou(sizes, anchors):
    """Overlap of each box with each anchor, ``(R, N)``."""
    intersection = np.minimum(sizes[:, None], anchors).prod(axis=2)
    return intersection / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=1) - intersection)


def _choose_start(sizes, n_anchors, rng):
    """k-means++: a box far from all chosen ones is likely to be the next."""
    chosen = [sizes[rng.integers(len(sizes))]]
    while len(chosen) < n_anchors:
        distance = 1 - _iou(sizes, np.array(chosen)).max(axis=1)
        weight = np.maximum(distance, 0) ** 2
        chosen.append(sizes[rng.choice(len(sizes), p=weight / weight.sum())])
    return np.array(chosen)


def _k_means(sizes, anchors):
    nearest = None
    for _ in range(_MAX_ROUNDS):
        before, nearest = nearest, _iou(sizes, anchors).argmax(axis=1)
        if np.array_equal(before, nearest):
            break
        # A cluster that has lost all its boxes keeps its anchor.
        anchors = np.array([sizes[nearest == n].mean(axis=0) if (nearest == n).any() else anchor
                            for n, anchor in enumerate(anchors)])
    return anchors
