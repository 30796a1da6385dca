import cv2
import numpy as np


def non_maximum_suppression(bbox, label, score, *, thresh):
    """Drop each box that overlaps a better box of the same class.

    The selection is the same as that of ChainerCV's function of this name for each
    class, except that an overlap of exactly ``thresh`` does not suppress. It is fast
    enough for the thousands of candidates of an untrained network.

    Args:
        bbox (ndarray): Float32 ``(R, 4)``, ``(y_min, x_min, y_max, x_max)``.
        label (ndarray): Int ``(R,)``.
        score (ndarray): Float32 ``(R,)``, positive, larger is better.
        thresh (float): Intersection over union above which the worse box is dropped.

    Returns:
        ndarray: Int64 indices of the boxes that stay, sorted by class, then
        by falling score. Equal scores keep the given order (OpenCV's sort is stable).
    """
    if not len(bbox):
        return np.zeros(0, np.int64)
    tlwh = np.concatenate((bbox[:, 1::-1], bbox[:, 3:1:-1] - bbox[:, 1::-1]), axis=1)
    keep = [np.zeros(0, np.int64)]
    for lb in np.unique(label):
        index = np.flatnonzero(label == lb)
        selected = cv2.dnn.NMSBoxes(
            tlwh[index].astype(np.float64), score[index].astype(np.float32),
            score_threshold=0, nms_threshold=thresh)
        keep.append(index[np.asarray(selected, np.int64)])
    return np.concatenate(keep)
