import importlib.util

import numpy as np

# What COCO's own table calls them.
_NAMES = {'ap_percent': 'AP_all', 'ap50_percent': 'AP_50', 'ap75_percent': 'AP_75',
          'ap_small_percent': 'AP_small', 'ap_medium_percent': 'AP_medium',
          'ap_large_percent': 'AP_large', 'ar_percent': 'AR_third'}


def coco_metrics(results):
    """COCO's average precision by faster-coco-eval, where that is installed.

    Areas are those of the boxes. Objects marked difficult are given as COCO's crowds: what
    overlaps them counts neither for nor against.

    Args:
        results (list of tuple): See :func:`~yolo_dist.evaluators.score_detections`.

    Returns:
        dict: ``ap_percent`` (mean over IoU 0.50 to 0.95), ``ap50_percent``, ``ap75_percent``,
        ``ap_small_percent``, ``ap_medium_percent``, ``ap_large_percent``, ``ar_percent`` (recall
        with 100 detections an image); ``None`` where there is no such object. Empty without
        faster-coco-eval, and without any object.
    """
    if importlib.util.find_spec('faster_coco_eval') is None or all(
            difficult.all() for *_, difficult in results):
        return {}
    from faster_coco_eval import COCO, COCOeval_faster  # an extra
    objects, detections = [], []
    for image_id, (bbox, label, score, gt_bbox, gt_label, gt_difficult) in enumerate(results):
        for box, one, is_difficult in zip(_corner_and_size(gt_bbox), gt_label.tolist(),
                                          gt_difficult.tolist()):
            # To COCO the id 0 is no match.
            objects.append({'id': len(objects) + 1, 'image_id': image_id, 'category_id': one,
                            'bbox': box, 'area': box[2] * box[3], 'iscrowd': int(is_difficult)})
        detections += [{'image_id': image_id, 'category_id': one, 'bbox': box, 'score': value}
                       for box, one, value in zip(_corner_and_size(bbox), label.tolist(),
                                                  score.tolist())]
    truth = COCO({'images': [{'id': i} for i in range(len(results))], 'annotations': objects,
                  'categories': [{'id': i} for i in {one['category_id'] for one in objects}]})
    evaluation = COCOeval_faster(truth, truth.loadRes(detections), 'bbox')
    evaluation.run()
    found = evaluation.stats_as_dict
    return {name: None if found[key] < 0 else 100 * found[key] for name, key in _NAMES.items()}


def _corner_and_size(bbox):
    """Turn boxes into COCO's ``[x, y, width, height]``."""
    corner, size = bbox[:, :2], bbox[:, 2:] - bbox[:, :2]
    return np.hstack([corner[:, ::-1], size[:, ::-1]]).astype(float).tolist()
