"""Convolution and its gradients, by the algorithm that suits the layer.

Chainer's own convolution hands out arrays of shape ``(B, C, H, W)`` whose memory
is ``(B, H, W, C)``, and NumPy keeps that order through everything elementwise.
So does this backend: a pixel's channels are one vector, 1x1 convolutions are one
matrix product, and nothing is ever transposed between two layers.
"""
import functools

import numpy as np

from yolo_dist.kernels.cpu import im2col, packed_filters, pointwise, wide_pixels, winograd
from yolo_dist.kernels.cpu.layout import channels_first, channels_last
from yolo_dist.kernels.cpu.workspace import scratch_filters

_VECTOR = 8  # channels; fewer are no vector


class Geometry:
    """Size of filter, stride and padding, and the algorithm that suits them.

    The choice depends on nothing but the shapes: the same run gives the same
    bits again.

    Args:
        w_shape (tuple of int): ``(C', C, kh, kw)``.
        stride (tuple of int): Vertical and horizontal.
        pad (tuple of int): Vertical and horizontal.
    """

    def __init__(self, w_shape, stride, pad):
        n_out, n_in, *self.ksize = w_shape
        self.w_shape = w_shape
        self.stride = stride
        self.pad = pad
        if n_in < _VECTOR and self.ksize != [1, 1]:
            self.algorithm = 'few_channels'
        elif stride != (1, 1):
            self.algorithm = 'im2col'
        elif self.ksize == [1, 1] and pad == (0, 0):
            self.algorithm = 'pointwise'
        elif self.ksize == [3, 3] and pad in ((0, 0), (1, 1)) \
                and n_out >= _VECTOR:
            self.algorithm = 'winograd'
        else:
            self.algorithm = 'im2col'

    def out_shape(self, x_shape):
        """Shape of the output ``(B, H', W', C')`` for an input ``(B, C, H, W)``."""
        sizes = ((size + 2 * p - k) // s + 1
                 for size, k, s, p in zip(x_shape[2:], self.ksize, self.stride, self.pad))
        return (x_shape[0], *sizes, self.w_shape[0])

    def with_wide_pixels(self, y):
        """Look at some pixels of the output as one, see ``wide_pixels``.

        Args:
            y (ndarray): The output or its gradient, ``(B, H', W', C')``, contiguous.

        Returns:
            tuple: The number of pixels ``n``, the geometry, and ``y`` as
            ``(B, H', W' / n, n C')``.
        """
        n = 1 if self.algorithm in ('pointwise', 'winograd') else wide_pixels.count_pixels(y)
        n_out, n_in, kh, kw = self.w_shape
        sy, sx = self.stride
        wide = get_geometry((n * n_out, n_in, kh, (n - 1) * sx + kw), (sy, n * sx), self.pad)
        return n, wide, y.reshape(*y.shape[:2], -1, n * n_out)

    def check(self, x_shape, w_shape, y_shape=None):
        """Check that arrays fit each other: the kernels index memory without looking.

        Args:
            x_shape (tuple of int): ``(B, C, H, W)``.
            w_shape (tuple of int): ``(C', C, kh, kw)``.
            y_shape (tuple of int): ``(B, H', W', C')``; ``None`` before there is an output.

        Raises:
            ValueError: If they do not.
        """
        expected = self.out_shape(x_shape)
        if (w_shape != self.w_shape or x_shape[1] != w_shape[1] or min(expected) < 1
                or y_shape not in (None, expected)):
            raise ValueError(
                f'input {x_shape}, filters {w_shape} and output {y_shape or expected} do not fit '
                f'each other; expected filters {self.w_shape} and an output {expected}')


@functools.cache
def get_geometry(w_shape, stride, pad):
    """Make the :class:`Geometry` of a layer, or give the one made before."""
    return Geometry(w_shape, stride, pad)


def forward(x, w, geometry):
    """Convolves.

    Args:
        x (ndarray): ``(B, C, H, W)``.
        w (ndarray): ``(C', C, kh, kw)``.
        geometry (Geometry): The rest.

    Returns:
        ndarray: ``(B, H', W', C')``, contiguous.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    geometry.check(x.shape, w.shape)
    y = np.empty(geometry.out_shape(x.shape), x.dtype)
    w = np.ascontiguousarray(w)
    if geometry.algorithm == 'winograd':
        winograd.convolve(channels_last(x), w, y, geometry.pad[0])
        return y
    n, wide, wide_y = geometry.with_wide_pixels(y)
    w = wide_pixels.widen(w, n, geometry.stride[1])
    packed = packed_filters.pack(w, np.ones(len(w), w.dtype), None, empty=scratch_filters)
    nothing = np.empty(0, x.dtype)
    packed_filters.convolve(x, packed, wide_y, wide, nothing, x.dtype.type(1), nothing)
    return y


def backward_data(gy, w, x_shape, geometry):
    """Compute the gradient of the input.

    Args:
        gy (ndarray): ``(B, H', W', C')``, contiguous.
        w (ndarray): ``(C', C, kh, kw)``.
        x_shape (tuple of int): ``(B, C, H, W)``.
        geometry (Geometry): The rest.

    Returns:
        ndarray: ``(B, C, H, W)``.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    geometry.check(x_shape, w.shape, gy.shape)
    w = np.ascontiguousarray(w)
    batch, n_in, height, width = x_shape
    gx = np.empty((batch, height, width, n_in), gy.dtype)
    if geometry.algorithm == 'pointwise':
        pointwise.backward_data(gy, w, gx)
    elif geometry.algorithm == 'winograd':
        winograd.backward_data(gy, w, gx, geometry.pad[0])
    else:
        n, wide, gy = geometry.with_wide_pixels(gy)
        w = wide_pixels.widen(w, n, geometry.stride[1])
        im2col.backward_data(gy, w, gx, wide.stride, wide.pad)
    return channels_first(gx)


def backward_weights(x, gy, w_shape, geometry):
    """Compute the gradient of the filters.

    Args:
        x (ndarray): ``(B, C, H, W)``.
        gy (ndarray): ``(B, H', W', C')``, contiguous.
        w_shape (tuple of int): ``(C', C, kh, kw)``.
        geometry (Geometry): The rest.

    Returns:
        ndarray: ``(C', C, kh, kw)``, contiguous.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    geometry.check(x.shape, w_shape, gy.shape)
    n, wide, gy = geometry.with_wide_pixels(gy)
    gw = np.empty(wide.w_shape, x.dtype)
    if geometry.algorithm == 'pointwise':
        pointwise.backward_weights(channels_last(x), gy, gw)
    elif geometry.algorithm == 'winograd':
        winograd.backward_weights(channels_last(x), gy, gw, geometry.pad[0])
    else:
        im2col.backward_weights(channels_last(x), gy, gw, wide.stride, wide.pad)
    return wide_pixels.narrow(gw, n, geometry.stride[1])
