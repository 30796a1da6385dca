"""Loops over tiles and filters around the transforms of :mod:`tile_transforms`."""
import numpy as np
from numba import njit

from yolo_dist.backends.tile_transforms import input_transform
from yolo_dist.backends.tile_transforms import output_gradient_transform
from yolo_dist.backends.tile_transforms import output_transform
from yolo_dist.backends.tile_transforms import weight_gradient_transform
from yolo_dist.backends.tile_transforms import weight_transform

_jit = njit(nogil=True, cache=True, error_model='numpy')


def _over_channels(transform):
    """Makes a loop over all channels, in vectors of 16, 8 and 1."""
    @njit(nogil=True, error_model='numpy', inline='never')
    def loop(src, s, s_row, s_col, dst, d, d_row, d_col, n_channels):
        c = 0
        while c + 16 <= n_channels:
            transform(src, s + c, s_row, s_col, dst, d + c, d_row, d_col, 16)
            c += 16
        while c + 8 <= n_channels:
            transform(src, s + c, s_row, s_col, dst, d + c, d_row, d_col, 8)
            c += 8
        while c < n_channels:
            transform(src, s + c, s_row, s_col, dst, d + c, d_row, d_col, 1)
            c += 1
    return loop


_input = _over_channels(input_transform)
_output = _over_channels(output_transform)
_output_gradient = _over_channels(output_gradient_transform)
_weight = _over_channels(weight_transform)
_weight_gradient = _over_channels(weight_gradient_transform)


@_jit
def transform_input(x, v, first, begin, end, tiles_y, tiles_x, pad):
    """``v[k, i] = B' d B`` for tiles ``first + i``, ``begin <= i < end``; ``x`` is ``(B, H, W, C)``."""
    _, height, width, n_channels = x.shape
    plane = v.shape[1] * n_channels
    patch = np.empty((4, 4, n_channels), x.dtype)
    for i in range(begin, end):
        t = first + i
        b = t // (tiles_y * tiles_x)
        y = t // tiles_x % tiles_y * 2 - pad
        z = t % tiles_x * 2 - pad
        if y >= 0 and z >= 0 and y + 4 <= height and z + 4 <= width:
            s = ((b * height + y) * width + z) * n_channels
            _input(x, s, width * n_channels, n_channels,
                   v, i * n_channels, 4 * plane, plane, n_channels)
            continue
        for p in range(4):
            for q in range(4):
                if 0 <= y + p < height and 0 <= z + q < width:
                    for c in range(n_channels):
                        patch[p, q, c] = x[b, y + p, z + q, c]
                else:
                    for c in range(n_channels):
                        patch[p, q, c] = 0
        _input(patch, 0, 4 * n_channels, n_channels,
               v, i * n_channels, 4 * plane, plane, n_channels)


@_jit
def transform_output(m, y, first, begin, end, tiles_y, tiles_x):
    """``y = A' m[:, i] A`` for tiles ``first + i``, ``begin <= i < end``."""
    _, height, width, n_channels = y.shape
    plane = m.shape[1] * n_channels
    patch = np.empty((2, 2, n_channels), y.dtype)
    for i in range(begin, end):
        t = first + i
        b = t // (tiles_y * tiles_x)
        p0 = t // tiles_x % tiles_y * 2
        q0 = t % tiles_x * 2
        if p0 + 2 <= height and q0 + 2 <= width:
            d = ((b * height + p0) * width + q0) * n_channels
            _output(m, i * n_channels, 4 * plane, plane,
                    y, d, width * n_channels, n_channels, n_channels)
            continue
        _output(m, i * n_channels, 4 * plane, plane,
                patch, 0, 2 * n_channels, n_channels, n_channels)
        for p in range(min(2, height - p0)):
            for q in range(min(2, width - q0)):
                for c in range(n_channels):
                    y[b, p0 + p, q0 + q, c] = patch[p, q, c]


@_jit
def transform_output_gradient(gy, z, first, begin, end, tiles_y, tiles_x):
    """``z[k, i] = A gy A'``, the adjoint of :func:`transform_output`."""
    _, height, width, n_channels = gy.shape
    plane = z.shape[1] * n_channels
    patch = np.empty((2, 2, n_channels), gy.dtype)
    for i in range(begin, end):
        t = first + i
        b = t // (tiles_y * tiles_x)
        p0 = t // tiles_x % tiles_y * 2
        q0 = t % tiles_x * 2
        if p0 + 2 <= height and q0 + 2 <= width:
            s = ((b * height + p0) * width + q0) * n_channels
            _output_gradient(gy, s, width * n_channels, n_channels,
                             z, i * n_channels, 4 * plane, plane, n_channels)
            continue
        for p in range(2):
            for q in range(2):
                if p0 + p < height and q0 + q < width:
                    for c in range(n_channels):
                        patch[p, q, c] = gy[b, p0 + p, q0 + q, c]
                else:
                    for c in range(n_channels):
                        patch[p, q, c] = 0
        _output_gradient(patch, 0, 2 * n_channels, n_channels,
                         z, i * n_channels, 4 * plane, plane, n_channels)


@_jit
def transform_weights(w, u, begin, end, is_flipped):
    """``u[k, o] = G w G'`` of the filters ``begin <= o < end``.

    With ``is_flipped`` each filter is turned by 180 degrees first, as the gradient of the
    input needs it.
    """
    n_out, n_in = w.shape[:2]
    plane = n_out * n_in
    rows = np.empty((9, n_in), w.dtype)
    for o in range(begin, end):
        for c in range(n_in):
            for k in range(9):
                rows[k, c] = w[o, c, k // 3, k % 3]
        if is_flipped:
            for k in range(4):
                for c in range(n_in):
                    rows[k, c], rows[8 - k, c] = rows[8 - k, c], rows[k, c]
        _weight(rows, 0, 3 * n_in, n_in, u, o * n_in, 4 * plane, plane, n_in)


@_jit
def transform_weight_gradient(gu, gw, begin, end):
    """``gw[o] = G' gu[:, o] G``, the adjoint of :func:`transform_weights`."""
    n_out, n_in = gw.shape[:2]
    plane = n_out * n_in
    rows = np.empty((9, n_in), gw.dtype)
    for o in range(begin, end):
        _weight_gradient(gu, o * n_in, 4 * plane, plane, rows, 0, 3 * n_in, n_in, n_in)
        for c in range(n_in):
            for k in range(9):
                gw[o, c, k // 3, k % 3] = rows[k, c]
