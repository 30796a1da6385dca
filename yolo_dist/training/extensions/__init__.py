"""Trainer extensions, each the home of one thing that happens beside updates."""

from yolo_dist.training.extensions.batch_statistics_mean import BatchStatisticsMean  # noqa: F401
from yolo_dist.training.extensions.best_weights import BestWeights  # noqa: F401
from yolo_dist.training.extensions.console import Console  # noqa: F401
from yolo_dist.training.extensions.curves import Curves  # noqa: F401
from yolo_dist.training.extensions.evaluation import Evaluation  # noqa: F401
from yolo_dist.training.extensions.float16_sum_report import Float16SumReport  # noqa: F401
from yolo_dist.training.extensions.interruption import Interruption  # noqa: F401
from yolo_dist.training.extensions.learning_rate import LearningRate  # noqa: F401
from yolo_dist.training.extensions.report_mean import ReportMean  # noqa: F401
from yolo_dist.training.extensions.throughput import Throughput  # noqa: F401
