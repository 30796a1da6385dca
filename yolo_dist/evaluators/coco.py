import importlib.util

import numpy as np

_KEYS = {
    'ap_percent': 'map/iou=0.50:0.95/area=all/max_dets=100',
    'ap50_percent': 'map/iou=0.50/area=all/max_dets=100',
    'ap75_percent': 'map/iou=0.75/area=all/max_dets=100',
    'ap_small_percent': 'map/iou=0.50:0.95/area=small/max_dets=100',
    'ap_medium_percent': 'map/iou=0.50:0.95/area=medium/max_dets=100',
    'ap_large_percent': 'map/iou=0.50:0.95/area=large/max_dets=100',
    'ar_percent': 'mar/iou=0.50:0.95/area=all/max_dets=100',
}


def coco_metrics(results):
    """COCO's average precision by pycocotools, where that is installed.

    Areas are those of the boxes. Objects marked difficult are given as COCO's crowds: what
    overlaps them counts neither for nor against.

    Args:
        results (list of tuple): See :func:`~yolo_dist.evaluators.score_detections`.

    Returns:
        dict: ``ap_percent`` (mean over IoU 0.50 to 0.95), ``ap50_percent``, ``ap75_percent``,
        ``ap_small_percent``, ``ap_medium_percent``, ``ap_large_percent``, ``ar_percent`` (recall
        with 100 detections an image); ``None`` where there is no such object. Empty without
        pycocotools, and without any object.
    """
    *predicted, gt_bboxes, gt_labels, gt_difficults = zip(*results)
    if importlib.util.find_spec('pycocotools') is None or all(
            difficult.all() for difficult in gt_difficults):
        return {}
    from chainercv.evaluations import eval_detection_coco

    areas = [(bbox[:, 2:] - bbox[:, :2]).prod(axis=1) for bbox in gt_bboxes]
    found = eval_detection_coco(*predicted, gt_bboxes, gt_labels, areas, gt_difficults)
    return {name: None if np.isnan(found[key]) else 100 * float(found[key])
            for name, key in _KEYS.items()}
