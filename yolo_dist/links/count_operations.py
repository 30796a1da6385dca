"""Floating-point operations of a network's convolutions."""
from yolo_dist.links.extrapolate import extrapolate
from yolo_dist.links.list_layers import list_layers


def count_operations(model, *, input_size):
    """Count the operations of a forward pass of one image.

    Args:
        model (~chainer.Chain): The network.
        input_size (int): Pixels, a multiple of 32.

    Returns:
        int: Two for each multiplication and addition in the definition of the
        convolutions, whatever the algorithm needs: 18.57e9 for Darknet53 at 256 px.
    """
    def count(size):
        return [sum(layer.n_operations for layer in list_layers(model, input_size=size))]
    n_operations, = extrapolate(count, input_size)
    return round(n_operations)
