"""Trainer extensions, one for each thing that happens beside updates."""

from yolo_dist.training.extensions.after_resume import AfterResume
from yolo_dist.training.extensions.batch_statistics_mean import BatchStatisticsMean
from yolo_dist.training.extensions.best_weights import BestWeights
from yolo_dist.training.extensions.console import Console
from yolo_dist.training.extensions.curves import Curves
from yolo_dist.training.extensions.evaluation import Evaluation
from yolo_dist.training.extensions.finite_check import FiniteCheck
from yolo_dist.training.extensions.float16_sum_report import Float16SumReport
from yolo_dist.training.extensions.frozen_backbone import FrozenBackbone
from yolo_dist.training.extensions.interruption import Interruption
from yolo_dist.training.extensions.learning_rate import LearningRate
from yolo_dist.training.extensions.log import Log
from yolo_dist.training.extensions.report_mean import ReportMean
from yolo_dist.training.extensions.run_identity import RunIdentity
from yolo_dist.training.extensions.snapshot import Snapshot
from yolo_dist.training.extensions.tensorboard import TensorBoard, check_tensorboard
from yolo_dist.training.extensions.throughput import Throughput

__all__ = [
    'BatchStatisticsMean', 'BestWeights', 'Console', 'Curves', 'Evaluation', 'FiniteCheck',
    'Float16SumReport', 'FrozenBackbone', 'Interruption', 'LearningRate', 'Log', 'AfterResume',
    'ReportMean', 'RunIdentity', 'Snapshot', 'TensorBoard', 'Throughput', 'check_tensorboard',
]
