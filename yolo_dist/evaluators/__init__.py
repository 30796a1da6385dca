"""Exact evaluation: each image once, whatever the number of processes.

ChainerCV is imported where something is scored: it brings Matplotlib and SciPy with it, which take
longer than all else of the start of a process.
"""

from yolo_dist.evaluators.classification import evaluate_classification
from yolo_dist.evaluators.classification_details import classification_details, worst_confusions
from yolo_dist.evaluators.coco import coco_metrics
from yolo_dist.evaluators.detection import evaluate_detection, score_detections
from yolo_dist.evaluators.detection_details import (
    FALSE,
    detection_details,
    find_score_thresh,
    match_detections,
    worst_false_positives,
    worst_misses,
)

__all__ = [
    'FALSE', 'classification_details', 'coco_metrics', 'detection_details',
    'evaluate_classification', 'evaluate_detection', 'find_score_thresh', 'match_detections',
    'score_detections', 'worst_confusions', 'worst_false_positives', 'worst_misses',
]
