import chainer
import chainer.functions as F
import numpy as np

from yolo_dist.kernels.cpu.backend_switch import is_cpu_backend_on
from yolo_dist.kernels.cpu.fixed_weights import keep
from yolo_dist.kernels.cpu.layout import are_supported


def convolution_2d(x, w, b=None, *, stride, pad):
    """Compute ``F.convolution_2d``, on NumPy arrays in this package's kernels.

    Chainer computes what the kernels do not: other arrays, and shapes that do not fit, for
    which it raises its own errors.

    Args:
        x (ndarray or ~chainer.Variable): Float ``(B, C, H, W)``.
        w (ndarray or ~chainer.Variable): Filters ``(C', C, kh, kw)``.
        b (ndarray or ~chainer.Variable): Bias ``(C',)``; ``None`` for no bias.
        stride (tuple of int): Vertical and horizontal, pixels.
        pad (tuple of int): Zeros above and below, left and right of ``x``.

    Returns:
        ~chainer.Variable: Float ``(B, C', H', W')``.
    """
    inputs = [chainer.as_variable(value) for value in (x, w, b) if value is not None]
    if not (is_cpu_backend_on() and _is_known(inputs, stride, pad)):
        return F.convolution_2d(x, w, b, stride, pad)
    from yolo_dist.kernels.cpu.conv_algorithms import get_geometry
    from yolo_dist.kernels.cpu.convolution_2d_function import Convolution2DFunction
    geometry = get_geometry(inputs[1].shape, tuple(stride), tuple(pad))
    if not chainer.config.enable_backprop:
        return chainer.as_variable(_infer(*(variable.array for variable in inputs),
                                          geometry=geometry))
    return Convolution2DFunction(geometry).apply(inputs)[0]


def _infer(x, w, b=None, *, geometry):
    from yolo_dist.kernels.cpu.fixed_block import FixedBlock

    def create():
        one, zero = np.ones(len(w), w.dtype), np.zeros(len(w), w.dtype)
        return FixedBlock(w, one, zero if b is None else b, zero, one, geometry=geometry, eps=0,
                          slope=1)
    return keep((id(w), id(b), geometry), create)(x)


def _is_known(inputs, stride, pad):
    x, w, *bias = inputs
    return (are_supported(*(variable.array for variable in inputs))
            and all(variable.layout is None for variable in inputs)
            and x.ndim == w.ndim == 4 and x.shape[1] == w.shape[1]
            and all(b.shape == w.shape[:1] for b in bias)
            and n_pixels(x.shape, w.shape, stride, pad) > 0)


def n_pixels(x_shape, w_shape, stride, pad):
    """Count the pixels of the output of a convolution, over a batch.

    Args:
        x_shape (tuple of int): ``(B, C, H, W)``.
        w_shape (tuple of int): ``(C', C, kh, kw)``.
        stride (tuple of int): Vertical and horizontal.
        pad (tuple of int): Vertical and horizontal.

    Returns:
        int: ``B H' W'``; 0 where the filter is larger than the padded image.
    """
    n = x_shape[0]
    for size, k, s, p in zip(x_shape[2:], w_shape[2:], stride, pad):
        n *= max(0, (size + 2 * p - k) // s + 1)
    return n
