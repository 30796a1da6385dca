"""Which arrays the backend takes, and how it looks at them."""
import chainer
import numpy as np

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def are_supported(*arrays):
    """Whether all are plain NumPy arrays of one dtype, float32 or float64, none empty."""
    return all(type(array) is np.ndarray and array.dtype in _DTYPES
               and array.dtype == arrays[0].dtype and array.size for array in arrays)


def are_flat(*arrays):
    """Whether all are supported, of one shape and contiguous: their elements pair up in memory."""
    return are_supported(*arrays) and all(
        array.shape == arrays[0].shape and array.flags.c_contiguous for array in arrays)


def channels_last(x):
    """View ``(B, C, H, W)`` as contiguous ``(B, H, W, C)``; copies where it must."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x):
    """View ``(B, H, W, C)`` as ``(B, C, H, W)``, the shape that Chainer expects."""
    return x.transpose(0, 3, 1, 2)


def constant(array):
    """Wrap a gradient for Chainer where no further derivative is asked for."""
    return None if array is None else chainer.Variable(array, requires_grad=False)
