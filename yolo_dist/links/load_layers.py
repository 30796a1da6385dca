from typing import NamedTuple

import chainer.links as L
from chainer.serializers import NpzDeserializer

from yolo_dist.links.conv_block import ConvBlock
from yolo_dist.links.weights_file import check_weights, differences, read_weights


class Taken(NamedTuple):
    """Which convolutions of a network came from a file, each with its normalisation.

    Attributes:
        taken (list of str): Paths of their links in the network, ``extractor/0``.
        left (list of str): Of those that stay as they were.
    """

    taken: list
    left: list


def load_layers(model, path, *, weights=None):
    """Initialise a network from the weights of another one with the same backbone.

    Each convolution is taken with its batch-normalisation statistics where the file has it in
    the same shape. The backbone must be there as a whole: the paper's "first 52 layers" of
    Darknet53 in YOLOv3, the 18 of Darknet19 in YOLOv2. Other layers stay as they are where the
    file lacks them or has another shape, such as the output for another number of classes.

    Args:
        model (~chainer.Link): A :class:`~yolo_dist.links.Darknet19`, ``Darknet53``, ``YOLOv2``
            or ``YOLOv3`` to fill.
        path (str or ~pathlib.Path): File of weights of a classifier or a detector.
        weights (dict of str to ndarray): What the file holds, where it was read already.

    Returns:
        Taken: Names of the layers; together all of the network.

    Raises:
        InputError: If the file is missing, no npz file, or of another backbone or width;
            nothing is loaded then.
    """
    weights = read_weights(path) if weights is None else weights
    check_weights(weights, model, path, prefix=tuple(
        f'extractor/{i}/' for i in range(model.extractor.n_backbone_links)))
    unfit = differences(weights, model)
    found = Taken([], [])
    for name, layer in _layers(model):
        if any(array.startswith(f'{name}/') for array in unfit):
            found.left.append(name)
        else:
            found.taken.append(name)
            NpzDeserializer(weights, path=f'{name}/').load(layer)
    return found


def _layers(model):
    """Blocks, and convolutions that are in none, with their paths."""
    of_a_block = set()
    for name, link in model.namedlinks(skipself=True):
        if isinstance(link, ConvBlock):
            of_a_block.add(link.conv)
        elif not isinstance(link, L.Convolution2D) or link in of_a_block:
            continue
        yield name.lstrip('/'), link
