"""Examples as stored: image files and their annotations, nothing resized or altered."""
from yolo_dist.datasets.mini_imagenet import make_mini_imagenet
from yolo_dist.datasets.mini_sources import DIGIT_NAMES
from yolo_dist.datasets.mini_voc import make_mini_voc
from yolo_dist.datasets.read_image import read_image

__all__ = ['DIGIT_NAMES', 'make_mini_imagenet', 'make_mini_voc', 'read_image']
