"""Floating-point operations of a network's convolutions."""
import chainer
import chainer.links as L
import numpy as np


class _ConvolutionCounter(chainer.LinkHook):
    name = 'yolo_dist_convolution_counter'

    def __init__(self):
        self.n_operations = 0

    def forward_postprocess(self, args):
        if isinstance(args.link, L.Convolution2D):
            self.n_operations += 2 * args.out.array.size * args.link.W[0].size


def count_operations(model, *, input_size):
    """Count the operations of a forward pass of one image.

    Args:
        model (~chainer.Chain): The network.
        input_size (int): Pixels.

    Returns:
        int: Two for each multiplication and addition of the convolutions by
        definition, whatever the algorithm needs: 18.57e9 for Darknet53 at 256 px.
    """
    counter = _ConvolutionCounter()
    imgs = np.zeros((1, 3, input_size, input_size), np.uint8)
    with counter, chainer.using_config('train', False), chainer.no_backprop_mode():
        model(imgs)
    return counter.n_operations
