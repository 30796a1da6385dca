"""From a run directory and pictures to what the network finds in them."""

from yolo_dist.prediction.class_names import (
    check_class_names,
    class_names_of_run,
    read_class_names,
)
from yolo_dist.prediction.images import find_pictures, read_batches
from yolo_dist.prediction.open_model import OpenedModel, open_model
from yolo_dist.prediction.outputs import Outputs

__all__ = ['OpenedModel', 'Outputs', 'check_class_names', 'class_names_of_run', 'find_pictures',
           'open_model', 'read_batches', 'read_class_names']
