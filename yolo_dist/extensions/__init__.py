"""Trainer extensions, each the home of one thing that happens beside updates."""

from yolo_dist.extensions.batch_statistics_mean import BatchStatisticsMean  # noqa: F401
from yolo_dist.extensions.best_weights import BestWeights  # noqa: F401
from yolo_dist.extensions.console import Console  # noqa: F401
from yolo_dist.extensions.curves import Curves  # noqa: F401
from yolo_dist.extensions.evaluation import Evaluation  # noqa: F401
from yolo_dist.extensions.half_sum_counts import HalfSumCounts  # noqa: F401
from yolo_dist.extensions.interruption import Interruption  # noqa: F401
from yolo_dist.extensions.learning_rate import LearningRate  # noqa: F401
from yolo_dist.extensions.throughput import Throughput  # noqa: F401
from yolo_dist.extensions.worker_mean import WorkerMean  # noqa: F401
