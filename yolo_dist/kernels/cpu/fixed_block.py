"""A block of convolution, batch normalisation and leaky ReLU whose weights stay as they are."""
import numpy as np

from yolo_dist.kernels.cpu import packed_filters, winograd
from yolo_dist.kernels.cpu.layout import channels_first, channels_last

# Reading filters from memory takes as long as this many rows of a product with them, at 12 GB/s
# and 150 GFLOP/s. A value of 0 was slower, 40 was as fast. For one image of Darknet53, 8 was 5 %
# faster in one thread and 4 % slower in two.
_ROWS_OF_FILTERS = 20


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
        self._packed, self._plans = {}, {}

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
        y_shape, packed = self._plan(x.shape)
        y = np.empty(y_shape, x.dtype)
        if shortcut is None:
            shortcut = np.empty(0, x.dtype)
        else:
            shortcut = channels_last(shortcut)
            if shortcut.shape != y_shape or shortcut.dtype != y.dtype:
                raise ValueError(f'shortcut {shortcut.shape} of {shortcut.dtype} does not fit the '
                                 f'output {y_shape} of {y.dtype}')
        packed_filters.convolve(x, packed, y, self._geometry, self._bias, self._slope,
                                shortcut.reshape(-1))
        return channels_first(y)

    def _plan(self, x_shape):
        """Shape of the output and filters for a shape of the input, once for each."""
        if x_shape not in self._plans:
            geometry = self._geometry
            geometry.check(x_shape, self._w.shape)
            y_shape = geometry.out_shape(x_shape)
            m = _tile_side(y_shape) if geometry.algorithm == 'winograd' else None
            self._plans[x_shape] = y_shape, self._pack(m)
        return self._plans[x_shape]

    def _pack(self, m):
        if m not in self._packed:
            self._packed[m] = packed_filters.pack(self._w, self._scale, m)
        return self._packed[m]
