"""3x3 convolution of stride 1 by Winograd's F(2x2, 3x3) and F(4x4, 3x3).

Each 2x2 tile of the output takes 16 multiplications a channel pair instead of
36, each 4x4 tile 36 instead of 144. The error of the first stays that of float32
sums, as its transforms hold nothing but 0, 1 and 1/2; that of the second is five
times as large, a few millionths of the largest value.

References:
    A. Lavin, S. Gray. Fast Algorithms for Convolutional Neural Networks. CVPR 2016.
"""
import math

import numpy as np

from yolo_dist.kernels.cpu import winograd_kernels as kernels
from yolo_dist.kernels.cpu.products import (
    GAP,
    MAX_STEPS,
    multiply_matrices,
    multiply_planes,
    panel_width,
)
from yolo_dist.kernels.cpu.threads import n_threads, parallel, parallel_ranges, split
from yolo_dist.kernels.cpu.workspace import scratch, scratch_filters

_CHUNK_BYTES = 1 << 22  # transformed values that a thread works on at a time
_MIN_CHUNK = 128  # tiles; fewer make a poor matrix product
_LARGE_TILES_FROM = 14  # pixels of the smaller side; below, filters are more work than tiles


def tile_side(height, width):
    """Side of the tiles that an output is cut into, 2 or 4."""
    return 4 if min(height, width) >= _LARGE_TILES_FROM else 2


def count_tiles(y_shape, m):
    """Return how many tiles there are in all, in a column and in a row."""
    batch, height, width, _ = y_shape
    tiles_y, tiles_x = -(-height // m), -(-width // m)
    return batch * tiles_y * tiles_x, tiles_y, tiles_x


def _cut_tiles(m, n_tiles, n_channels, itemsize):
    size = max(_MIN_CHUNK, _CHUNK_BYTES // ((m + 2) ** 2 * n_channels * itemsize))
    return split(n_tiles, -(-n_tiles // size))


def _chunks_of(x, y, m):
    return _cut_tiles(m, count_tiles(y.shape, m)[0], x.shape[-1] + y.shape[-1], x.itemsize)


def _correlate(x, y, pad, m, multiply, bias, slope, shortcut):
    """Transform, ``multiply(v, products, size)``, and transform back."""
    _, tiles_y, tiles_x = count_tiles(y.shape, m)
    n_planes, n_in, n_out = (m + 2) ** 2, x.shape[-1], y.shape[-1]
    chunks = _chunks_of(x, y, m)

    def run(first, stop):
        v, products = (scratch(name, (n_planes, (stop - first) * n + GAP), x.dtype)
                       for name, n in (('v', n_in), ('products', n_out)))
        parallel_ranges(lambda begin, end: kernels.transform_input(
            m, x, v, first, begin, end, tiles_y, tiles_x, pad), stop - first, min_length=16)
        multiply(v, products, (stop - first, n_in, n_out))
        parallel_ranges(lambda begin, end: kernels.transform_output(
            m, products, y, first, begin, end, tiles_y, tiles_x, bias, slope, shortcut),
            stop - first, min_length=16)

    def run_share(i):
        for chunk in chunks[slice(*shares[i])]:
            run(*chunk)

    # Where there are chunks enough each thread takes some of its own; else the
    # threads share the work on one chunk after the other.
    n = n_threads() if len(chunks) > 1 else 1
    shares = split(len(chunks), n if len(chunks) >= 2 * n else 1)
    parallel(run_share, len(shares))


def pack(w, scale, m, *, is_flipped=False, empty=np.empty):
    """Transform filters for :func:`forward`.

    Args:
        w (ndarray): ``(C', C, 3, 3)``.
        scale (ndarray): ``(C',)``, factor on each filter.
        m (int): Side of the tiles of the output, 2 or 4.
        is_flipped (bool): Whether they are turned by 180 degrees, and ``C'`` and ``C`` exchanged,
            as the gradient of the input needs them.
        empty (callable): Gives the memory, for a shape and a dtype.

    Returns:
        ndarray: ``((m + 2) ** 2, panels, C, width)``, of ``C`` or ``C'``.
    """
    n_panels, *panel = _shape_of_panels(w, is_flipped)
    u = empty(((m + 2) ** 2, n_panels, *panel), w.dtype)
    parallel_ranges(lambda begin, end: kernels.pack_weights(
        m, w, scale, u, 0, begin, end, is_flipped), n_panels)
    return u


def _shape_of_panels(w, is_flipped):
    n_out, n_in = w.shape[1::-1] if is_flipped else w.shape[:2]
    width = panel_width(w.dtype)
    return -(-n_out // width), n_in, width


def forward(x, u, y, pad, bias, slope, shortcut):
    """``y = leaky_relu(x * w + bias) + shortcut`` with filters of :func:`pack`.

    Args:
        x (ndarray): ``(B, H, W, C)``, contiguous.
        u (ndarray): The filters.
        y (ndarray): ``(B, H', W', C')``, contiguous; is overwritten.
        pad (int): Zeros around ``x``.
        bias (ndarray): ``(C',)``; with an empty one nothing follows the convolution.
        slope (float): Of the ReLU.
        shortcut (ndarray): Flat, as many values as ``y``, or none.
    """
    n_planes, n_panels = u.shape[:2]
    _correlate(x, y, pad, math.isqrt(n_planes) - 2, lambda v, products, size: parallel_ranges(
        lambda begin, end: multiply_planes(v, u, products, size, (begin, end), (0, n_panels)),
        n_planes),
        bias, slope, shortcut)


def convolve(x, w, y, pad, *, is_flipped=False):
    """``y = x * w``.

    Args:
        x (ndarray): ``(B, H, W, C)``, contiguous.
        w (ndarray): ``(C', C, 3, 3)``, contiguous.
        y (ndarray): ``(B, H', W', C')``, contiguous; is overwritten.
        pad (int): Zeros around ``x``.
        is_flipped (bool): As of :func:`pack`.
    """
    m, scale = tile_side(*y.shape[1:3]), np.ones(len(w), w.dtype)
    nothing = np.empty(0, x.dtype)
    rest = nothing, x.dtype.type(1), nothing
    if len(_chunks_of(x, y, m)) > 1:
        forward(x, pack(w, scale, m, is_flipped=is_flipped, empty=scratch_filters), y, pad, *rest)
        return
    # Each panel of filters serves once. So it is multiplied with while it is in a cache.
    n_panels, n_steps, width = _shape_of_panels(w, is_flipped)

    def multiply(v, products, size):
        def run(begin, end):
            # One row more for the same reason as the gap between planes.
            u = scratch_filters((len(v), 1, n_steps + 1, width), w.dtype)
            kernels.multiply_filters(m, w, scale, is_flipped, v, u, products, size, begin, end)
        parallel_ranges(run, n_panels)
    _correlate(x, y, pad, m, multiply, *rest)


def backward_data(gy, w, gx, pad):
    """Gradient of the input: the convolution of ``gy`` with the turned filters.

    Args:
        gy (ndarray): ``(B, H', W', C')``, contiguous.
        w (ndarray): ``(C', C, 3, 3)``.
        gx (ndarray): ``(B, H, W, C)``, contiguous; is overwritten.
        pad (int): Zeros around ``x`` in the forward pass.
    """
    convolve(gy, w, gx, 2 - pad, is_flipped=True)


def backward_weights(x, gy, gw, pad):
    """Gradient of the filters.

    Args:
        x (ndarray): ``(B, H, W, C)``, contiguous.
        gy (ndarray): ``(B, H', W', C')``, contiguous.
        gw (ndarray): ``(C', C, 3, 3)``, contiguous; is overwritten.
        pad (int): Zeros around ``x`` in the forward pass.
    """
    m = tile_side(*gy.shape[1:3])
    n_tiles, tiles_y, tiles_x = count_tiles(gy.shape, m)
    n_planes = (m + 2) ** 2
    n_out, n_in = gw.shape[:2]

    def transform(first, stop):
        v, z = (scratch(name, (n_planes, (stop - first) * n + GAP), x.dtype)
                for name, n in (('v', n_in), ('products', n_out)))

        def run(begin, end):
            kernels.transform_input(m, x, v, first, begin, end, tiles_y, tiles_x, pad)
            kernels.transform_output_gradient(m, gy, z, first, begin, end, tiles_y, tiles_x)
        parallel_ranges(run, stop - first, min_length=16)
        return v, z

    chunks = _cut_tiles(m, n_tiles, (n_in + n_out) // 2, x.itemsize)
    if len(chunks) == 1 and n_tiles <= MAX_STEPS:
        v, z = transform(0, n_tiles)
        parallel_ranges(lambda begin, end: kernels.multiply_weight_gradient(
            m, z, v, gw, n_tiles, begin, end), n_out, multiple=16)
        return
    gu = scratch_filters((n_planes, n_out * n_in + GAP), x.dtype)

    def accumulate(first, stop):
        v, z = transform(first, stop)
        parallel_ranges(lambda begin, end: multiply_matrices(
            z, v, gu, (n_out, stop - first, n_in), True, first > 0, (begin, end), (0, n_out)),
            n_planes)
    for chunk in chunks:
        accumulate(*chunk)
    parallel_ranges(lambda begin, end: kernels.transform_weight_gradient(m, gu, gw, begin, end),
                    n_out, min_length=16)
