"""Memory that a network keeps between its forward and its backward pass."""
import functools
from typing import NamedTuple

import chainer
import numpy as np

from yolo_dist.kernels.cpu.backend_switch import using_cpu_backend
from yolo_dist.links.extrapolate import extrapolate


class Activations(NamedTuple):
    """Bytes for one image.

    Attributes:
        kept (float): Feature maps that Chainer's functions keep for the backward pass.
        largest (float): The largest of these feature maps.
    """

    kept: float
    largest: float


def count_activations(model, *, input_size):
    """Count the memory that one image of a training batch needs.

    The arrays that functions retain are counted in the graphs of two small images. The
    functions are Chainer's, as on a GPU. In a block of convolution, normalisation and leaky
    ReLU they keep the output of the convolution and the output of the block.

    Args:
        model (~chainer.Chain): The network, without its loss.
        input_size (int): Pixels, a multiple of 32.

    Returns:
        Activations: Bytes for an image, in the dtype in which ``model`` computes.
    """
    model = model.copy(mode='share')
    for link in model.links():  # a pass in training mode changes running statistics
        if isinstance(link, chainer.links.BatchNormalization):
            link.avg_mean, link.avg_var = link.avg_mean.copy(), link.avg_var.copy()
    return Activations(*extrapolate(functools.partial(_measure, model), input_size))


def _measure(model, size):
    imgs = np.zeros((1, 3, size, size), np.uint8)
    with using_cpu_backend(False), chainer.using_config('train', True):
        outputs = model(imgs)
    sizes = [array.nbytes for array in _retained(outputs, model)]
    return Activations(sum(sizes), max(sizes))


def _retained(outputs, model):
    """Arrays of a graph that belong to the image, each one once."""
    parameters = {id(param.array) for param in model.params()}
    arrays, seen = {}, set()
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    nodes = [output.creator_node for output in outputs]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for kept in (*node.get_retained_inputs(), *node.get_retained_outputs()):
            # The first axis has length 1 if it is the batch. Weights cast to float16 have more.
            if id(kept.array) not in parameters and len(kept.array) == 1:
                arrays[id(kept.array)] = kept.array
        nodes += [variable.creator_node for variable in node.inputs]
    return list(arrays.values())
