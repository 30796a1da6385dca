from yolo_dist.errors import InputError
from yolo_dist.links.darknet19 import Darknet19
from yolo_dist.links.darknet53 import Darknet53
from yolo_dist.links.load_weights import load_weights
from yolo_dist.links.weights_file import read_weights, recognise_weights
from yolo_dist.links.yolo_v2 import YOLOv2
from yolo_dist.links.yolo_v3 import YOLOv3

_NETWORKS = {link.__name__: link for link in (Darknet19, Darknet53, YOLOv2, YOLOv3)}


def build_from_weights(path):
    """Build the network that an npz file of weights belongs to, and fill it.

    Names and shapes tell the network, its width and its classes. They do not tell the anchors:
    a detector gets the paper's. ChainerCV's files of YOLOv2 and YOLOv3 are read alike.

    Args:
        path (str or ~pathlib.Path): File that
            ``chainer.serializers.save_npz(path, model)`` wrote, or a snapshot
            of a training run.

    Returns:
        ~chainer.Chain: One of the four networks.

    Raises:
        InputError: If the file is missing, no npz file, cut, or of another network.
    """
    found = recognise_weights(read_weights(path))
    if found is None:
        raise InputError(f'{path}: found weights of an unknown network; expected '
                         f'{", ".join(_NETWORKS)}, of this package or of ChainerCV')
    model = _NETWORKS[found.name](found.n_class, width=found.width)
    load_weights(model, path)
    return model
