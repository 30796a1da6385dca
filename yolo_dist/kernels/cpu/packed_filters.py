"""Convolution with packed filters, by the way that suits the layer.

Training packs the filters of a layer for each forward pass, inference once.
"""
import numpy as np

from yolo_dist.kernels.cpu import products, winograd
from yolo_dist.kernels.cpu.layout import channels_last
from yolo_dist.kernels.cpu.threads import parallel_ranges, split
from yolo_dist.kernels.cpu.workspace import scratch

_BAND_PIXELS = 192  # of the output, whose input is copied at a time


def pack(w, scale, m, *, empty=np.empty):
    """Pack filters, each times its scale.

    Args:
        w (ndarray): ``(C', C, kh, kw)``, contiguous.
        scale (ndarray): ``(C',)``.
        m (int): Side of Winograd's tiles, 2 or 4; ``None`` for a plain convolution.
        empty (callable): Gives the memory, for a shape and a dtype.

    Returns:
        ndarray: ``((m + 2) ** 2, panels, C, width)``, or ``(panels, kh kw C, width)``.
    """
    if m is not None:
        return winograd.pack(w, scale, m, empty=empty)
    width = products.panel_width(w.dtype)
    packed = empty((-(-len(w) // width), w[0].size, width), w.dtype)
    parallel_ranges(lambda begin, end: products.pack(w, scale, packed, begin, end), len(packed))
    return packed


def convolve(x, packed, y, geometry, bias, slope, shortcut):
    """``y = leaky_relu(x * w + bias) + shortcut``.

    Args:
        x (ndarray): ``(B, C, H, W)``.
        packed (ndarray): Of :func:`pack`.
        y (ndarray): ``(B, H', W', C')``, contiguous; is overwritten.
        geometry (~yolo_dist.kernels.cpu.conv_algorithms.Geometry): Of the convolution.
        bias (ndarray): ``(C',)``; with an empty one nothing follows the convolution.
        slope (float): Of the ReLU.
        shortcut (ndarray): Flat, as many values as ``y``, or none.
    """
    rest = bias, slope, shortcut
    if packed.ndim == 4:
        winograd.forward(channels_last(x), packed, y, geometry.pad[0], *rest)
    elif geometry.algorithm == 'pointwise':
        _convolve_pointwise(channels_last(x), packed, y, rest)
    else:
        _convolve_bands(x, packed, y, geometry, rest)


def _convolve_pointwise(x, packed, y, rest):
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    if len(x) >= y.shape[1]:
        parallel_ranges(lambda begin, end: products.convolve_pointwise(
            x, packed, y, begin, end, 0, len(packed), *rest), len(x), min_length=16)
    else:
        parallel_ranges(lambda begin, end: products.convolve_pointwise(
            x, packed, y, 0, len(x), begin, end, *rest), len(packed))


def _convolve_bands(x, packed, y, geometry, rest):
    batch, n_in, height, width = x.shape
    if geometry.algorithm == 'few_channels':  # the three colours of an image
        x = np.ascontiguousarray(x)
        strides = n_in * height * width, width, 1, height * width
    else:
        x = channels_last(x)
        strides = height * width * n_in, width * n_in, n_in, 1
    x = x.reshape(-1)
    (kh, kw), (sy, sx) = geometry.ksize, geometry.stride
    _, out_height, out_width, n_out = y.shape
    n_rows = max(1, _BAND_PIXELS // out_width)
    by_columns = batch * out_height * out_width < n_out
    n_parts = -(-out_height // n_rows)
    jobs = np.array([(image, *rows) for image in range(batch)
                     for rows in split(out_height, n_parts)])
    n_rows = (jobs[:, 2] - jobs[:, 1]).max()
    n_band = ((n_rows - 1) * sy + kh) * ((out_width - 1) * sx + kw) * n_in

    def run(jobs, begin, end):
        products.convolve_bands(
            x, jobs, strides, (height, width, n_in), packed, y, scratch('col', (n_band,), x.dtype),
            begin, end, (kh, kw), geometry.stride, geometry.pad, *rest)
    if by_columns:
        parallel_ranges(lambda begin, end: run(jobs, begin, end), len(packed))
    else:
        parallel_ranges(lambda begin, end: run(jobs[begin:end], 0, len(packed)), len(jobs))
