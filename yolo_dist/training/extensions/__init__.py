"""Trainer extensions, each the home of one thing that happens beside updates."""

from yolo_dist.training.extensions.batch_statistics_mean import BatchStatisticsMean  # noqa: F401
from yolo_dist.training.extensions.best_weights import BestWeights  # noqa: F401
from yolo_dist.training.extensions.console import Console  # noqa: F401
from yolo_dist.training.extensions.curves import Curves  # noqa: F401
from yolo_dist.training.extensions.evaluation import Evaluation  # noqa: F401
from yolo_dist.training.extensions.half_sum_counts import HalfSumCounts  # noqa: F401
from yolo_dist.training.extensions.interruption import Interruption  # noqa: F401
from yolo_dist.training.extensions.learning_rate import LearningRate  # noqa: F401
from yolo_dist.training.extensions.throughput import Throughput  # noqa: F401
from yolo_dist.training.extensions.worker_mean import WorkerMean  # noqa: F401
