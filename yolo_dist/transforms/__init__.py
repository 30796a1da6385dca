"""From an example as stored to one of the network's size: uint8 in, uint8 out.

All randomness comes from the ``rng`` that a transform is called with; transforms keep no state.
"""

from yolo_dist.transforms.centre_crop import centre_crop
from yolo_dist.transforms.classification_train_transform import ClassificationTrainTransform
from yolo_dist.transforms.colour_distortion import ColourDistortion
from yolo_dist.transforms.detection_train_transform import DetectionTrainTransform
from yolo_dist.transforms.letterbox import letterbox, unletterbox_bbox
from yolo_dist.transforms.placement import Placement

__all__ = [
    'ClassificationTrainTransform', 'ColourDistortion', 'DetectionTrainTransform', 'Placement',
    'centre_crop', 'letterbox', 'unletterbox_bbox',
]
