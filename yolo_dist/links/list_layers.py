"""The layers of a network that have weights."""
from typing import NamedTuple

import chainer
import chainer.links as L
import numpy as np

from yolo_dist.links.conv_block import ConvBlock


class Layer(NamedTuple):
    """A convolution, or a :class:`~yolo_dist.links.conv_block.ConvBlock`, in a forward pass.

    Attributes:
        name (str): Path of the link in the network.
        kind (str): Its operations, such as ``conv 3x3/2, bn, leaky``.
        in_shape (tuple of int): Channels, height and width of its input.
        out_shape (tuple of int): Channels, height and width of its output.
        n_parameters (int): Trained numbers.
        n_operations (int): Two for each multiplication and addition of the convolution.
    """

    name: str
    kind: str
    in_shape: tuple
    out_shape: tuple
    n_parameters: int
    n_operations: int


class _LayerHook(chainer.LinkHook):
    name = 'yolo_dist_layers'

    def __init__(self, names):
        self.layers = []
        self._names = names
        self._block = None

    def forward_preprocess(self, args):
        if isinstance(args.link, ConvBlock):
            self._block = args.link

    def forward_postprocess(self, args):
        link = args.link
        if link is self._block:
            self._block = None
            self._add(args, link.conv, ', bn, leaky')
        elif isinstance(link, L.Convolution2D) and self._block is None:
            self._add(args, link, '' if link.b is None else ', bias')

    def _add(self, args, conv, rest):
        (height, width), (stride, _) = conv.W.shape[2:], conv.stride
        self.layers.append(Layer(
            self._names[id(args.link)], f'conv {height}x{width}/{stride}{rest}',
            args.args[0].shape[1:], args.out.shape[1:], args.link.count_params(),
            2 * args.out.size * conv.W[0].size))


def list_layers(model, *, input_size):
    """List the convolutions of a network in the order of a forward pass of one image.

    Args:
        model (~chainer.Chain): The network.
        input_size (int): Pixels.

    Returns:
        list of Layer: One for each convolution. A block is listed as one layer.
    """
    hook = _LayerHook({id(link): name for name, link in model.namedlinks()})
    imgs = np.zeros((1, 3, input_size, input_size), np.uint8)
    with hook, chainer.using_config('train', False), chainer.no_backprop_mode():
        model(imgs)
    return hook.layers
