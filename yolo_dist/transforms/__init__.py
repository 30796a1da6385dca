"""Transforms from a stored example to an example of the network's size, both in uint8.

All randomness comes from the argument ``rng`` of a transform. Transforms keep no state.
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
