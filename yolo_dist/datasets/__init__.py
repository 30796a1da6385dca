"""Examples as stored: image files and their annotations, nothing resized or altered."""

from yolo_dist.datasets.check_images import Finding, check_images
from yolo_dist.datasets.encoded_image import IMAGE_SUFFIXES, EncodedImage
from yolo_dist.datasets.file_tree import is_data_there, open_file_tree, pack_files
from yolo_dist.datasets.fingerprint import fingerprint
from yolo_dist.datasets.fit_anchors import box_sizes, fit_anchors, mean_iou
from yolo_dist.datasets.imported_image import write_voc_set
from yolo_dist.datasets.labelled_image_dataset import LabelledImageDataset
from yolo_dist.datasets.load_imagenet import load_imagenet
from yolo_dist.datasets.mini.imagenet import make_mini_imagenet
from yolo_dist.datasets.mini.sources import DIGIT_NAMES, load_mini_sources
from yolo_dist.datasets.mini.voc import make_mini_voc
from yolo_dist.datasets.problems import raise_problems
from yolo_dist.datasets.read_coco import read_coco
from yolo_dist.datasets.read_image import decode_image, read_image
from yolo_dist.datasets.read_yolo_labels import read_yolo_labels
from yolo_dist.datasets.synthetic import SyntheticClassification, SyntheticDetection
from yolo_dist.datasets.voc_annotation import format_voc_annotation
from yolo_dist.datasets.voc_detection_dataset import VOC_CLASS_NAMES, VOCDetectionDataset

__all__ = [
    'DIGIT_NAMES', 'IMAGE_SUFFIXES', 'VOC_CLASS_NAMES', 'EncodedImage', 'Finding',
    'LabelledImageDataset', 'SyntheticClassification', 'SyntheticDetection',
    'VOCDetectionDataset', 'box_sizes', 'check_images', 'decode_image', 'fingerprint',
    'fit_anchors', 'format_voc_annotation', 'is_data_there', 'load_imagenet', 'load_mini_sources',
    'make_mini_imagenet', 'make_mini_voc', 'mean_iou', 'open_file_tree', 'pack_files',
    'raise_problems', 'read_coco', 'read_image', 'read_yolo_labels', 'write_voc_set',
]
