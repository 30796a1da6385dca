"""How cuDNN looks at Chainer's arrays: always as ``(N, C, H, W)``, with strides."""
from yolo_dist.kernels.cudnn9 import constants


def semantic_shape(shape, layout):
    """Shape ``(N, C, H, W)`` of an array.

    Args:
        shape (tuple of int): Of the array, as it lies in memory.
        layout (int): ``CUDNN_TENSOR_NCHW`` or ``CUDNN_TENSOR_NHWC``.

    Raises:
        ValueError: If it is neither, or there are not four axes.
    """
    if len(shape) != 4:
        raise ValueError(
            f'found an array of shape {tuple(shape)}, but cuDNN 9 is set up for four axes only; '
            "let Chainer compute it: `with chainer.using_config('use_cudnn', 'never')`")
    if layout == constants.CUDNN_TENSOR_NCHW:
        return tuple(shape)
    if layout == constants.CUDNN_TENSOR_NHWC:
        n, h, w, c = shape
        return n, c, h, w
    raise ValueError(f'found layout {layout!r}, expected CUDNN_TENSOR_NCHW or CUDNN_TENSOR_NHWC')


def strides(dims, layout):
    """Strides, in elements, of contiguous ``(N, C, H, W)`` in a layout."""
    _, c, h, w = dims
    if layout == constants.CUDNN_TENSOR_NHWC:
        return c * h * w, 1, c * w, c
    return c * h * w, h * w, w, 1


def along_channels(vector, layout):
    """Return a vector of one value a channel, shaped to be added to an array of a layout."""
    return vector.reshape((1, -1, 1, 1) if layout == constants.CUDNN_TENSOR_NCHW else (-1,))
