"""Convolution of images of few channels, such as the first layer's three.

A pixel's channels make no vector here. The patches are laid out transposed, one
filter tap after the other over all pixels, so that copies and products run along
the rows of the image.
"""
import numpy as np

from yolo_dist.kernels.cpu.jit import kernel
from yolo_dist.kernels.cpu.memory import clear_values, copy_values
from yolo_dist.kernels.cpu.threads import parallel_ranges, split
from yolo_dist.kernels.cpu.workspace import scratch

_CHUNK_BYTES = 1 << 19  # of patches that a thread works on at a time


@kernel
def _gather(x, taps, b, first_row, kh, kw, sy, sx, ph, pw):
    """``taps`` is ``(C, kh, kw, rows, W')``; ``x`` is ``(B, C, H, W)``."""
    n_channels, _, _, n_rows, out_width = taps.shape
    _, _, height, width = x.shape
    flat_x, flat_taps = x.reshape(-1), taps.reshape(-1)
    for c in range(n_channels):
        for p in range(kh):
            for q in range(kw):
                # Output columns whose pixel lies in the image.
                begin = min(out_width, max(0, -((q - pw) // sx)))
                end = max(begin, min(out_width, (width - 1 - q + pw) // sx + 1))
                for i in range(n_rows):
                    y = (first_row + i) * sy + p - ph
                    to = (((c * kh + p) * kw + q) * n_rows + i) * out_width
                    if y < 0 or y >= height:
                        clear_values(taps, to, out_width)
                        continue
                    at = ((b * n_channels + c) * height + y) * width + q - pw
                    clear_values(taps, to, begin)
                    if sx == 1:
                        copy_values(taps, to + begin, x, at + begin, end - begin)
                    else:
                        for z in range(begin, end):
                            flat_taps[to + z] = flat_x[at + z * sx]
                    clear_values(taps, to + end, out_width - end)


def _bands(y_shape, n_taps, itemsize):
    """Bands of output rows ``(image, begin, end)``."""
    batch, height, width, _ = y_shape
    rows = max(1, _CHUNK_BYTES // (n_taps * width * itemsize))
    return [(b, *band) for b in range(batch) for band in split(height, -(-height // rows))]


def forward(x, w, y, stride, pad):
    """``y = x * w``.

    Args:
        x (ndarray): ``(B, C, H, W)``, contiguous.
        w (ndarray): ``(C', C, kh, kw)``, contiguous.
        y (ndarray): ``(B, H', W', C')``, contiguous; is overwritten.
        stride (tuple of int): Vertical and horizontal.
        pad (tuple of int): Zeros around ``x``.
    """
    n_taps = w[0].size
    matrix = w.reshape(len(w), n_taps).T
    bands = _bands(y.shape, n_taps, x.itemsize)

    def run(begin_band, end_band):
        for b, begin, end in bands[begin_band:end_band]:
            taps = scratch('col', (*w.shape[1:], end - begin, y.shape[2]), x.dtype)
            _gather(x, taps, b, begin, *w.shape[2:], *stride, *pad)
            np.matmul(taps.reshape(n_taps, -1).T, matrix, out=y[b, begin:end].reshape(-1, len(w)))
    parallel_ranges(run, len(bands))


def backward_weights(x, gy, gw, stride, pad):
    """Gradient of the filters.

    Args:
        x (ndarray): ``(B, C, H, W)``, contiguous.
        gy (ndarray): ``(B, H', W', C')``, contiguous.
        gw (ndarray): ``(C', C, kh, kw)``, contiguous; is overwritten.
        stride (tuple of int): Vertical and horizontal.
        pad (tuple of int): Zeros around ``x`` in the forward pass.
    """
    n_taps, n_out = gw[0].size, len(gw)
    bands = _bands(gy.shape, n_taps, x.itemsize)
    products = np.empty((len(bands), n_out, n_taps), x.dtype)

    def run(begin_band, end_band):
        for i in range(begin_band, end_band):
            b, begin, end = bands[i]
            taps = scratch('col', (*gw.shape[1:], end - begin, gy.shape[2]), x.dtype)
            _gather(x, taps, b, begin, *gw.shape[2:], *stride, *pad)
            np.matmul(gy[b, begin:end].reshape(-1, n_out).T, taps.reshape(n_taps, -1).T,
                      out=products[i])
    parallel_ranges(run, len(bands))
    products.sum(axis=0, out=gw.reshape(n_out, n_taps))
