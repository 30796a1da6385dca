"""Loops over tiles and filters around the transforms of :mod:`tile_transforms`.

A tile has ``m x m`` values of the output, ``m`` 2 or 4, and ``(m + 2) x (m + 2)`` of the input.
"""
import numpy as np
from numba import njit

from yolo_dist.kernels.cpu.finish import finish
from yolo_dist.kernels.cpu.jit import kernel
from yolo_dist.kernels.cpu.memory import clear_values, copy_values
from yolo_dist.kernels.cpu.products import (
    GAP,
    PANEL_BYTES,
    multiply_panel,
    multiply_planes,
)
from yolo_dist.kernels.cpu.tile_transforms import (
    input_transform,
    large_input_transform,
    large_output_gradient_transform,
    large_output_transform,
    large_weight_gradient_transform,
    large_weight_transform,
    output_gradient_transform,
    output_transform,
    weight_gradient_transform,
    weight_transform,
)

_FILTERS = 96  # whose planes and a panel of channels fit into an L2 cache


def _over_channels(transform):
    """Make a loop over all channels, in vectors of 16, 8 and 1."""
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


def _of_tiles(transform, large_transform):
    """Make the loop of both sizes of a tile, whose first argument is ``m``."""
    small, large = _over_channels(transform), _over_channels(large_transform)

    @njit(nogil=True, error_model='numpy', inline='never')
    def loop(m, src, s, s_row, s_col, dst, d, d_row, d_col, n_channels):
        if m == 2:
            small(src, s, s_row, s_col, dst, d, d_row, d_col, n_channels)
        else:
            large(src, s, s_row, s_col, dst, d, d_row, d_col, n_channels)
    return loop


_input = _of_tiles(input_transform, large_input_transform)
_output = _of_tiles(output_transform, large_output_transform)
_output_gradient = _of_tiles(output_gradient_transform, large_output_gradient_transform)
_weight = _of_tiles(weight_transform, large_weight_transform)
_weight_gradient = _of_tiles(weight_gradient_transform, large_weight_gradient_transform)


@njit(inline='always')
def _locate(t, tiles_y, tiles_x):
    """Image, row and column of tile ``t``."""
    return t // (tiles_y * tiles_x), t // tiles_x % tiles_y, t % tiles_x


@njit(inline='always')
def _next(b, ty, tx, tiles_y, tiles_x):
    """Return the tile after, counted along: a division takes as long as a small transform."""
    tx += 1
    if tx == tiles_x:
        tx = 0
        ty += 1
        if ty == tiles_y:
            ty = 0
            b += 1
    return b, ty, tx


@kernel
def transform_input(m, x, v, first, begin, end, tiles_y, tiles_x, pad):
    """``v[k, i] = B' d B`` for the tiles ``first + i`` of ``x``, ``begin <= i < end``.

    ``v`` and its like are ``(planes, values)``: in each plane the channels of one tile after the
    other, and room behind them.
    """
    _, height, width, n_channels = x.shape
    side = m + 2
    plane = v.shape[1]
    patch = np.empty((side, side, n_channels), x.dtype)
    b, ty, tx = _locate(first + begin, tiles_y, tiles_x)
    for i in range(begin, end):
        image, y, z = b, ty * m - pad, tx * m - pad
        b, ty, tx = _next(b, ty, tx, tiles_y, tiles_x)
        if y >= 0 and z >= 0 and y + side <= height and z + side <= width:
            s = ((image * height + y) * width + z) * n_channels
            _input(m, x, s, width * n_channels, n_channels,
                   v, i * n_channels, side * plane, plane, n_channels)
            continue
        for p in range(side):
            for q in range(side):
                to = (p * side + q) * n_channels
                if 0 <= y + p < height and 0 <= z + q < width:
                    at = ((image * height + y + p) * width + z + q) * n_channels
                    copy_values(patch, to, x, at, n_channels)
                else:
                    clear_values(patch, to, n_channels)
        _input(m, patch, 0, side * n_channels, n_channels,
               v, i * n_channels, side * plane, plane, n_channels)


@kernel
def transform_output(m, products, y, first, begin, end, tiles_y, tiles_x, bias, slope, shortcut):
    """``y = A' products[:, i] A`` for tiles ``first + i``, ``begin <= i < end``.

    Where there is a bias, :func:`~yolo_dist.kernels.cpu.finish.finish` follows on each tile.
    """
    _, height, width, n_channels = y.shape
    flat_y = y.reshape(-1)
    side = m + 2
    plane = products.shape[1]
    patch = np.empty((m, m, n_channels), y.dtype)
    b, ty, tx = _locate(first + begin, tiles_y, tiles_x)
    for i in range(begin, end):
        image, p0, q0 = b, ty * m, tx * m
        b, ty, tx = _next(b, ty, tx, tiles_y, tiles_x)
        if p0 + m <= height and q0 + m <= width:
            d = ((image * height + p0) * width + q0) * n_channels
            _output(m, products, i * n_channels, side * plane, plane,
                    y, d, width * n_channels, n_channels, n_channels)
        else:
            _output(m, products, i * n_channels, side * plane, plane,
                    patch, 0, m * n_channels, n_channels, n_channels)
            for p in range(min(m, height - p0)):
                for q in range(min(m, width - q0)):
                    to = ((image * height + p0 + p) * width + q0 + q) * n_channels
                    copy_values(y, to, patch, (p * m + q) * n_channels, n_channels)
        if bias.size:
            for p in range(min(m, height - p0)):
                at = ((image * height + p0 + p) * width + q0) * n_channels
                finish(flat_y, at, min(m, width - q0), n_channels, bias, 0, n_channels, slope,
                       shortcut)


@kernel
def transform_output_gradient(m, gy, z, first, begin, end, tiles_y, tiles_x):
    """``z[k, i] = A gy A'``, the adjoint of :func:`transform_output`."""
    _, height, width, n_channels = gy.shape
    side = m + 2
    plane = z.shape[1]
    patch = np.empty((m, m, n_channels), gy.dtype)
    b, ty, tx = _locate(first + begin, tiles_y, tiles_x)
    for i in range(begin, end):
        image, p0, q0 = b, ty * m, tx * m
        b, ty, tx = _next(b, ty, tx, tiles_y, tiles_x)
        if p0 + m <= height and q0 + m <= width:
            s = ((image * height + p0) * width + q0) * n_channels
            _output_gradient(m, gy, s, width * n_channels, n_channels,
                             z, i * n_channels, side * plane, plane, n_channels)
            continue
        for p in range(m):
            for q in range(m):
                to = (p * m + q) * n_channels
                if p0 + p < height and q0 + q < width:
                    at = ((image * height + p0 + p) * width + q0 + q) * n_channels
                    copy_values(patch, to, gy, at, n_channels)
                else:
                    clear_values(patch, to, n_channels)
        _output_gradient(m, patch, 0, m * n_channels, n_channels,
                         z, i * n_channels, side * plane, plane, n_channels)


@kernel
def pack_weights(m, w, scale, u, first, begin, end, is_flipped):
    """``u = G w scale G'`` as :func:`~yolo_dist.kernels.cpu.products.multiply_planes` reads it.

    The panels ``begin <= j < end`` are packed. ``u`` is ``(planes, panels, C, width)`` from panel
    ``first`` on, or has one panel and room behind it. Columns beyond the last filter are zeros.
    With ``is_flipped`` each filter is turned by 180 degrees first, and the panels are of ``C``, as
    the gradient of the input needs it.
    """
    n_filters, n_channels = w.shape[:2]
    n_columns, n_steps = (n_channels, n_filters) if is_flipped else (n_filters, n_channels)
    _, n_panels, n_rows, width = u.shape
    plane = n_panels * n_rows * width
    flat = w.reshape(-1)
    rows = np.zeros((9, width), w.dtype)
    for j in range(begin, end):
        n_valid = min(width, n_columns - j * width)
        for k in range(9):
            rows[k, n_valid:] = 0
        for s in range(n_steps):
            # Of the first filter; the next ones follow at a stride.
            if is_flipped:
                at, stride = (s * n_channels + j * width) * 9, 9
            else:
                at, stride = (j * width * n_channels + s) * 9, n_channels * 9
            for k in range(9):
                row, taps = rows[8 - k if is_flipped else k], flat[at + k:]
                for lane in range(n_valid):
                    row[lane] = taps[lane * stride]
            for lane in range(n_valid):
                factor = scale[s if is_flipped else j * width + lane]
                for k in range(9):
                    rows[k, lane] *= factor
            _weight(m, rows, 0, 3 * width, width,
                    u, ((j - first) * n_steps + s) * width, (m + 2) * plane, plane, width)


@kernel
def multiply_filters(m, w, scale, is_flipped, v, u, products, size, begin, end):
    """Multiply with the panels ``begin <= j < end`` of filters, each packed when it is needed.

    ``u`` is room for one, which stays in a cache; the rest is as of :func:`pack_weights` and
    :func:`~yolo_dist.kernels.cpu.products.multiply_planes`.
    """
    for j in range(begin, end):
        pack_weights(m, w, scale, u, j, j, j + 1, is_flipped)
        multiply_planes(v, u, products, size, (0, len(u)), (j, j + 1))


@kernel
def multiply_weight_gradient(m, z, v, gw, n_tiles, begin, end):
    """Gradient of the filters ``begin <= o < end`` from all tiles, at most ``MAX_STEPS``.

    The planes of a few filters and a panel of channels stay in a cache until they are
    transformed.

    Args:
        m (int): Side of a tile.
        z (ndarray): Transformed gradient of the output, see :func:`transform_input`.
        v (ndarray): Transformed input.
        gw (ndarray): ``(C', C, 3, 3)``; is overwritten.
        n_tiles (int): How many.
        begin (int): First filter.
        end (int): Filter after the last.
    """
    n_planes = len(z)
    n_out, n_in = gw.shape[:2]
    width = PANEL_BYTES // z.itemsize
    row = _FILTERS + GAP
    rows, steps = np.arange(_FILTERS), np.arange(n_tiles) * row
    block = np.empty(n_planes * n_tiles * row, z.dtype)
    plane = _FILTERS * width + GAP
    products = np.empty(n_planes * plane, z.dtype)
    panel, edge = np.zeros(n_tiles * width, z.dtype), np.empty(0, z.dtype)
    taps = np.empty((9, width), z.dtype)
    flat_z, flat_v, flat_gw = z.reshape(-1), v.reshape(-1), gw.reshape(-1)
    for top in range(begin, end, _FILTERS):
        n = min(_FILTERS, end - top)
        for k in range(n_planes):
            for s in range(n_tiles):
                copy_values(block, (k * n_tiles + s) * row,
                            flat_z, k * z.shape[1] + s * n_out + top, n)
        for c in range(0, n_in, width):
            n_valid = min(width, n_in - c)
            for k in range(n_planes):
                for s in range(n_tiles):
                    copy_values(panel, s * width, flat_v, k * v.shape[1] + s * n_in + c, n_valid)
                multiply_panel(block, k * n_tiles * row, rows, 0, n, steps, 0, n_tiles, panel, 0,
                               0, products, k * plane, width, 0, True, edge)
            for o in range(n):
                _weight_gradient(m, products, o * width, (m + 2) * plane, plane,
                                 taps, 0, 3 * width, width, width)
                at = ((top + o) * n_in + c) * 9
                for lane in range(n_valid):
                    for k in range(9):
                        flat_gw[at + lane * 9 + k] = taps[k, lane]


@kernel
def transform_weight_gradient(m, gu, gw, begin, end):
    """``gw[o] = G' gu[:, o] G``, the adjoint of :func:`pack_weights`."""
    n_in, plane = gw.shape[1], gu.shape[1]
    flat = gw.reshape(-1)
    rows = np.empty((9, n_in), gw.dtype)
    for o in range(begin, end):
        _weight_gradient(m, gu, o * n_in, (m + 2) * plane, plane, rows, 0, 3 * n_in, n_in, n_in)
        for c in range(n_in):
            for k in range(9):
                flat[(o * n_in + c) * 9 + k] = rows[k, c]
