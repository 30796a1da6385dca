"""From a run directory and pictures to what the network finds in them."""

from yolo_dist.prediction.images import find_pictures, read_batches
from yolo_dist.prediction.open_model import OpenedModel, open_model, read_class_names
from yolo_dist.prediction.outputs import Outputs

__all__ = ['OpenedModel', 'Outputs', 'find_pictures', 'open_model', 'read_batches',
           'read_class_names']
