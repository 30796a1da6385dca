"""A block of convolution, batch normalisation and leaky ReLU whose weights stay as they are."""
import numpy as np

from yolo_dist.kernels.cpu import products, winograd
from yolo_dist.kernels.cpu.layout import channels_first, channels_last
from yolo_dist.kernels.cpu.threads import parallel_ranges, split
from yolo_dist.kernels.cpu.workspace import scratch

# Reading filters from memory takes as long as this many rows of a product with them, at 12 GB/s
# and 150 GFLOP/s. Values of 0 and 10 were slower, and 40 was as fast.
_ROWS_OF_FILTERS = 20
_BAND_PIXELS = 192  # of the output, whose input is copied at a time


def _tile_side(y_shape):
    """Choose Winograd's tiles for a 3x3 convolution, or ``None`` for a plain one.

    Winograd takes a product for each plane of a tile, a plain convolution one for each of the nine
    pixels of a filter. A product costs its rows, and some more to read its filters.
    """
    batch, height, width, _ = y_shape
    n_rows = {None: batch * height * width} | {
        m: winograd.count_tiles(y_shape, m)[0] for m in (2, 4)}
    return min(n_rows, key=lambda m: (9 if m is None else (m + 2) ** 2) * (
        n_rows[m] + _ROWS_OF_FILTERS))


class FixedBlock:
    """The block with normalisation folded into the convolution and filters packed.

    ``(x * w - mean) gamma / std + beta`` is one convolution with filters ``w gamma / std`` and
    bias ``beta - mean gamma / std``. A change of the arrays shows in a new block only.

    Args:
        w (ndarray): ``(C', C, kh, kw)``.
        gamma (ndarray): ``(C',)``.
        beta (ndarray): ``(C',)``.
        mean (ndarray): ``(C',)``.
        var (ndarray): ``(C',)``.
        geometry (~yolo_dist.kernels.cpu.conv_algorithms.Geometry): Of the convolution.
        eps (float): Added to the variance.
        slope (float): Of the ReLU, 0 to 1.
    """

    def __init__(self, w, gamma, beta, mean, var, *, geometry, eps, slope):
        self._scale = gamma / np.sqrt(var + var.dtype.type(eps))
        self._bias = beta - mean * self._scale
        self._w = np.ascontiguousarray(w)
        # As long as they are held no other array has their identity, by which a block is kept.
        self._arrays = w, gamma, beta, mean, var
        self._geometry = geometry
        self._slope = w.dtype.type(slope)
        self._packed = {}

    def __call__(self, x, shortcut=None):
        """Compute the block.

        Args:
            x (ndarray): ``(B, C, H, W)``.
            shortcut (ndarray): ``(B, C', H', W')``, added behind the ReLU; ``None`` for nothing.

        Returns:
            ndarray: ``(B, C', H', W')``.

        Raises:
            ValueError: If the shapes do not fit each other.
        """
        geometry = self._geometry
        geometry.check(x.shape, self._w.shape)
        y = np.empty(geometry.out_shape(x.shape), x.dtype)
        if shortcut is None:
            shortcut = np.empty(0, x.dtype)
        else:
            shortcut = channels_last(shortcut)
            if shortcut.shape != y.shape:
                raise ValueError(f'shortcut {shortcut.shape} does not fit the output {y.shape}')
        rest = self._bias, self._slope, shortcut.reshape(-1)
        m = _tile_side(y.shape) if geometry.algorithm == 'winograd' else None
        if m is not None:
            winograd.forward_packed(
                channels_last(x), self._pack(m), y, geometry.pad[0], *rest)
        elif geometry.algorithm == 'pointwise':
            self._convolve_pointwise(channels_last(x), y, rest)
        else:
            self._convolve(x, y, rest)
        return channels_first(y)

    def _pack(self, m=None):
        if m not in self._packed:
            if m is not None:
                self._packed[m] = winograd.pack(self._w, self._scale, m)
            else:
                width = products.panel_width(self._w.dtype)
                packed = np.empty((-(-len(self._w) // width), self._w[0].size, width),
                                  self._w.dtype)
                parallel_ranges(lambda begin, end: products.pack(
                    self._w, self._scale, packed, begin, end), len(packed))
                self._packed[m] = packed
        return self._packed[m]

    def _convolve_pointwise(self, x, y, rest):
        packed = self._pack()
        x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
        if len(x) >= y.shape[1]:
            parallel_ranges(lambda begin, end: products.convolve_pointwise(
                x, packed, y, begin, end, 0, len(packed), *rest), len(x), min_length=16)
        else:
            parallel_ranges(lambda begin, end: products.convolve_pointwise(
                x, packed, y, 0, len(x), begin, end, *rest), len(packed))

    def _convolve(self, x, y, rest):
        geometry, packed = self._geometry, self._pack()
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
        jobs = [(image, *rows) for image in range(batch) for rows in split(out_height, n_parts)]
        n_rows = max(last - first for _, first, last in jobs)
        n_band = ((n_rows - 1) * sy + kh) * ((out_width - 1) * sx + kw) * n_in

        def run(jobs, begin, end):
            band = scratch('col', (n_band,), x.dtype)
            for image, first, last in jobs:
                products.convolve_band(
                    x, image, strides, (height, width, n_in), packed, y, band, first, last, begin,
                    end, (kh, kw), geometry.stride, geometry.pad, *rest)
        if by_columns:
            parallel_ranges(lambda begin, end: run(jobs, begin, end), len(packed))
        else:
            parallel_ranges(lambda begin, end: run(jobs[begin:end], 0, len(packed)), len(jobs))
