"""What lies behind the mAP of a detector: which detection found which object."""

import numpy as np

from yolo_dist.evaluators.detection import average_precisions, precision_recall

IOU_THRESH = 0.5  # of Pascal VOC
_POOR_BOX = 0.1  # overlap from which a false positive is a poor box of its object
_RECALLS = np.linspace(0, 1, 101)

FALSE, IGNORED = -1, -2  # a detection that found no object, or one marked difficult


def match_detections(bbox, label, score, gt_bbox, gt_label, gt_difficult):
    """Which object each detection of one image finds, as Pascal VOC counts.

    By falling score, each takes the object of its class that it overlaps most, if by
    ``IOU_THRESH`` or more. Of several that take the same object only the first finds it.

    Args:
        bbox (ndarray): Float ``(R, 4)``, detections.
        label (ndarray): Int ``(R,)``.
        score (ndarray): Float ``(R,)``.
        gt_bbox (ndarray): Float ``(G, 4)``, objects.
        gt_label (ndarray): Int ``(G,)``.
        gt_difficult (ndarray): Bool ``(G,)``.

    Returns:
        tuple: ``found``, int ``(R,)``: index of the object, ``FALSE`` or ``IGNORED``; ``iou``,
        float ``(R, G)``, overlaps of all classes.
    """
    found = np.full(len(bbox), FALSE)
    iou = _voc_iou(bbox, gt_bbox)
    if not iou.size:
        return found, iou
    of_class = np.where(label[:, None] == gt_label, iou, -1)
    nearest = of_class.argmax(axis=1)
    taken = np.zeros(len(gt_bbox), bool)
    for i in np.argsort(-score, kind='stable'):
        j = nearest[i]
        if of_class[i, j] >= IOU_THRESH:
            if gt_difficult[j]:
                found[i] = IGNORED
            elif not taken[j]:
                found[i] = j
            taken[j] = True
    return found, iou


def _voc_iou(bbox, gt_bbox):
    """Overlap of boxes whose last row and column of pixels belong to them, as in ChainerCV."""
    from chainercv.utils import bbox_iou

    if not len(bbox) or not len(gt_bbox):
        return np.zeros((len(bbox), len(gt_bbox)))
    last = np.array([0, 0, 1, 1])
    return bbox_iou(bbox + last, gt_bbox + last)


def find_score_thresh(results, matched=None):
    """Score from which detections reach the best F1 of all classes together.

    Args:
        results (list of tuple): See :func:`~yolo_dist.evaluators.score_detections`.
        matched (list): What :func:`match_detections` returns for each; ``None`` calls it.

    Returns:
        float: The threshold; 0.5 if nothing was found.
    """
    matched = matched or [match_detections(*result) for result in results]
    scores = np.concatenate([result[2] for result in results])
    found = np.concatenate([found for found, _ in matched])
    n_objects = sum((~result[5]).sum() for result in results)
    counted = found != IGNORED
    scores, is_found = scores[counted], (found >= 0)[counted]
    order = np.argsort(-scores, kind='stable')
    scores, n_found = scores[order], np.cumsum(is_found[order])
    if not len(scores) or not n_found[-1]:
        return 0.5
    f1 = 2 * n_found / (np.arange(1, len(scores) + 1) + n_objects)
    # All detections of one score are kept or dropped together.
    is_last = np.append(scores[1:] != scores[:-1], True)
    return float(scores[is_last][f1[is_last].argmax()])


def detection_details(results, class_names):
    """Numbers behind the mAP.

    Args:
        results (list of tuple): See :func:`~yolo_dist.evaluators.score_detections`.
        class_names (sequence of str): Names for the classes.

    Returns:
        dict: For JSON. ``score_thresh``: the threshold of the best F1, from which on all counts
        are. ``precision_percent``, ``recall_percent``: there. ``map_11_point_percent``,
        ``map_area_percent``: mAP in both metrics of VOC. ``classes``: for each class
        ``n_objects``, ``n_difficult``, ``n_found``, ``n_missed``, ``n_false``,
        ``ap_11_point_percent``, ``ap_area_percent`` and ``precision``, the best precision at the
        recalls 0, 0.01, ..., 1 and beyond, as far as they are reached. ``confusion``: counts,
        rows true and columns predicted classes, of both the last one the background.
    """
    n_class = len(class_names)
    precisions, recalls = precision_recall(results, n_class)
    ap = {name: average_precisions(precisions, recalls, use_07_metric)
          for name, use_07_metric in (('11_point', True), ('area', False))}
    matched = [match_detections(*result) for result in results]
    n_objects, n_difficult = (
        np.bincount(np.concatenate([label[difficult == marked] for *_, label, difficult
                                    in results]).astype(int), minlength=n_class)
        for marked in (False, True))
    score_thresh = find_score_thresh(results, matched)
    confusion = sum(_confusion(result, *match, score_thresh, n_class)
                    for result, match in zip(results, matched))
    n_found = confusion.diagonal()[:-1]
    n_false = confusion.sum(axis=0)[:-1] - n_found
    return {
        'n_images': len(results), 'score_thresh': score_thresh,
        'precision_percent': _percent(n_found.sum(), (n_found + n_false).sum()),
        'recall_percent': _percent(n_found.sum(), n_objects.sum()),
        **{f'map_{metric}_percent': _mean(values) for metric, values in ap.items()},
        'classes': {name: {
            'n_objects': int(n_objects[i]), 'n_difficult': int(n_difficult[i]),
            'n_found': int(n_found[i]), 'n_missed': int(n_objects[i] - n_found[i]),
            'n_false': int(n_false[i]), 'ap_11_point_percent': ap['11_point'][i],
            'ap_area_percent': ap['area'][i],
            'precision': _best_precision(precisions[i], recalls[i]),
        } for i, name in enumerate(class_names)},
        'confusion': confusion.tolist()}


def _confusion(result, found, iou, score_thresh, n_class):
    """Return the confusion of one image, int ``(n_class + 1, n_class + 1)``."""
    _, label, score, _, gt_label, gt_difficult = result
    counts = np.zeros((n_class + 1, n_class + 1), int)
    is_kept = score >= score_thresh
    is_left = ~gt_difficult
    is_left[found[is_kept & (found >= 0)]] = False
    for i in np.argsort(-score, kind='stable'):
        if not is_kept[i] or found[i] == IGNORED:
            continue
        true = gt_label[found[i]] if found[i] >= 0 else n_class
        if found[i] == FALSE:
            other = np.where(is_left & (gt_label != label[i]), iou[i], 0)
            if other.size and other.max() >= IOU_THRESH:
                true = gt_label[other.argmax()]
                is_left[other.argmax()] = False
        counts[true, label[i]] += 1
    np.add.at(counts, (gt_label[is_left], n_class), 1)
    return counts


def _best_precision(precision, recall):
    if precision is None:
        return []
    best = np.maximum.accumulate(np.nan_to_num(precision)[::-1])[::-1]
    index = np.searchsorted(recall, _RECALLS)
    return [round(float(best[i]), 4) for i in index[index < len(best)]]


def _percent(part, whole):
    return 100 * float(part / whole) if whole else None


def _mean(values):
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def worst_false_positives(results, class_names, n_chosen, *, n_of_image=2):
    """Choose the false positives of the highest scores.

    Args:
        results (list of tuple): See :func:`~yolo_dist.evaluators.score_detections`.
        class_names (sequence of str): Names for the classes.
        n_chosen (int): How many at most.
        n_of_image (int): How many of one image at most.

    Returns:
        list of tuple: ``(image, detection, reason)``, two indices and words.
    """
    found = []
    for image, result in enumerate(results):
        match, iou = match_detections(*result)
        false = np.flatnonzero(match == FALSE)
        best = false[np.argsort(-result[2][false], kind='stable')][:n_of_image]
        found += [(image, int(i), _reason(result, iou[i], i, class_names)) for i in best]
    found.sort(key=lambda one: -results[one[0]][2][one[1]])
    return found[:n_chosen]


def _reason(result, iou, i, class_names):
    _, label, _, _, gt_label, _ = result
    same = gt_label == label[i]
    overlap, other = (iou[mask].max(initial=0) for mask in (same, ~same))
    if overlap >= IOU_THRESH:
        return 'duplicate'
    if max(overlap, other) < _POOR_BOX:
        return 'background'
    if other < IOU_THRESH and overlap >= _POOR_BOX:
        return f'poor box, IoU {overlap:.2f}'
    name = class_names[gt_label[np.where(same, 0, iou).argmax()]]
    return f'is {name}' if other >= IOU_THRESH else f'part of {name}, IoU {other:.2f}'


def worst_misses(results, score_thresh, n_chosen, *, n_of_image=2):
    """Choose the largest objects that no detection of ``score_thresh`` or more finds.

    Args:
        results (list of tuple): See :func:`~yolo_dist.evaluators.score_detections`.
        score_thresh (float): Score from which a detection counts.
        n_chosen (int): How many at most.
        n_of_image (int): How many of one image at most.

    Returns:
        list of tuple: ``(image, object, score)``; the score of the detection that would have
        found the object, ``None`` if there is none.
    """
    missed = []
    for image, result in enumerate(results):
        bbox, _, score, gt_bbox, _, gt_difficult = result
        match, _ = match_detections(*result)
        by_object = {int(j): float(score[i]) for i, j in enumerate(match) if j >= 0}
        area = (gt_bbox[:, 2:] - gt_bbox[:, :2]).prod(axis=1)
        left = [(float(area[j]), image, j, by_object.get(j)) for j in np.flatnonzero(~gt_difficult)
                if by_object.get(int(j), -1) < score_thresh]
        missed += sorted(left, key=lambda one: -one[0])[:n_of_image]
    missed.sort(key=lambda one: -one[0])
    return [(image, int(j), score) for _, image, j, score in missed[:n_chosen]]
