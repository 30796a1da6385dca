"""Memory that a network keeps between its forward and its backward pass."""
from typing import NamedTuple

import chainer
import numpy as np

from yolo_dist.kernels.cpu.backend_switch import using_cpu_backend

# Two sizes are enough. All feature maps grow with the area of the input, except those behind a
# global pooling, which are constant. At 64 px the last maps still have enough pixels to normalise
# one image.
_SIZES_PX = (64, 128)


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

    The arrays that functions retain are counted in the graphs of two small images. They
    are extrapolated to ``input_size`` exactly. The functions are Chainer's, as on a GPU.
    In a block of convolution, normalisation and leaky ReLU they keep the output of the
    convolution and the output of the block.

    Args:
        model (~chainer.Chain): The network, without its loss.
        input_size (int): Pixels.

    Returns:
        Activations: Bytes for an image, in the dtype in which ``model`` computes.
    """
    model = model.copy(mode='copy')  # a pass in training mode changes its running statistics
    small, double = (_measure(model, size) for size in _SIZES_PX)
    areas = (input_size / _SIZES_PX[0]) ** 2

    def extrapolate(at_small, at_double):
        growing = (at_double - at_small) / 3
        return growing * areas + (at_small - growing)
    return Activations(*map(extrapolate, small, double))


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
