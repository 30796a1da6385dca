"""Networks of the paper as Chainer links, and the chains that train them."""

from yolo_dist.links.classification_train_chain import ClassificationTrainChain
from yolo_dist.links.conv_block import scale_channels
from yolo_dist.links.count_activations import Activations, count_activations
from yolo_dist.links.count_operations import count_operations
from yolo_dist.links.darknet19 import Darknet19
from yolo_dist.links.darknet53 import Darknet53
from yolo_dist.links.list_layers import list_layers
from yolo_dist.links.load_layers import load_layers
from yolo_dist.links.load_weights import load_weights
from yolo_dist.links.non_maximum_suppression import non_maximum_suppression
from yolo_dist.links.prepare_images import height_and_width
from yolo_dist.links.weights_file import DARKNET_HEADER, read_npz, read_weights
from yolo_dist.links.yolo_train_chain import YOLOTrainChain
from yolo_dist.links.yolo_v2 import YOLOv2
from yolo_dist.links.yolo_v3 import YOLOv3

__all__ = [
    'DARKNET_HEADER', 'Activations', 'ClassificationTrainChain', 'Darknet19', 'Darknet53',
    'YOLOTrainChain', 'YOLOv2', 'YOLOv3', 'count_activations', 'count_operations',
    'height_and_width', 'list_layers', 'load_layers', 'load_weights',
    'non_maximum_suppression', 'read_npz', 'read_weights', 'scale_channels',
]
