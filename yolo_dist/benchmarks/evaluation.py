"""What it takes to score the detections of a whole test set."""
import numpy as np

from yolo_dist.benchmarks.timing import alternate
from yolo_dist.datasets import VOC_CLASS_NAMES
from yolo_dist.evaluators import score_detections

_N_IMAGES = 4952  # of VOC2007 test
_MAX_OBJECTS = 5
_N_DETECTIONS = 100  # of an image, at the low threshold of an evaluation


def measure_evaluation(arguments):
    """Time VOC's metric on synthetic detections: true boxes, moved, half of them mislabelled.

    Args:
        arguments (~argparse.Namespace): Of the command line.

    Returns:
        dict: Figures.
    """
    rng = np.random.default_rng(0)
    results = [_make_up(rng) for _ in range(_N_IMAGES)]
    timing = alternate(
        {'evaluation': lambda: score_detections(results, True, VOC_CLASS_NAMES)},
        repeats=arguments.repeats)['evaluation']
    return {'n_images': _N_IMAGES, 'n_detections': _N_IMAGES * _N_DETECTIONS,
            'seconds': timing.median, 'spread': timing.spread}


def _make_up(rng):
    n_objects = rng.integers(1, _MAX_OBJECTS + 1)
    corner = rng.uniform(0, 300, (n_objects, 2))
    true_bbox = np.hstack([corner, corner + rng.uniform(20, 200, (n_objects, 2))])
    true_label = rng.integers(len(VOC_CLASS_NAMES), size=n_objects, dtype=np.int32)
    which = rng.integers(n_objects, size=_N_DETECTIONS)
    bbox = true_bbox[which] + rng.normal(0, 5, (_N_DETECTIONS, 4))
    label = np.where(rng.random(_N_DETECTIONS) < 0.5, true_label[which],
                     rng.integers(len(VOC_CLASS_NAMES), size=_N_DETECTIONS))
    return (bbox.astype(np.float32), label.astype(np.int32),
            rng.random(_N_DETECTIONS, dtype=np.float32), true_bbox.astype(np.float32),
            true_label, np.zeros(n_objects, bool))
