"""Exact evaluation: each image once, whatever the number of processes."""

from yolo_dist.evaluators.classification import evaluate_classification
from yolo_dist.evaluators.detection import evaluate_detection, score_detections

__all__ = ['evaluate_classification', 'evaluate_detection', 'score_detections']
