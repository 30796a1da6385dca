"""Exact evaluation: each image once, whatever the number of processes."""

from yolo_dist.evaluators.classification import evaluate_classification  # noqa: F401
from yolo_dist.evaluators.detection import evaluate_detection  # noqa: F401
