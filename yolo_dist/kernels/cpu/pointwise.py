"""1x1 convolution of stride 1: a matrix product and nothing else."""
import numpy as np

from yolo_dist.kernels.cpu.threads import parallel_ranges


def _multiply(a, b, out):
    """``out = a @ b``, the longer side of ``out`` divided among the threads."""
    n_rows, n_columns = out.shape
    if n_rows >= n_columns:
        parallel_ranges(lambda begin, end: np.matmul(a[begin:end], b, out=out[begin:end]),
                        n_rows, multiple=16)
        return
    parallel_ranges(lambda begin, end: np.matmul(a, b[:, begin:end], out=out[:, begin:end]),
                    n_columns, multiple=16)


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def forward(x, w, y):
    """``y = x * w``.

    Args:
        x (ndarray): ``(B, H, W, C)``, contiguous.
        w (ndarray): ``(C', C, 1, 1)``, contiguous.
        y (ndarray): ``(B, H, W, C')``, contiguous; is overwritten.
    """
    _multiply(_rows(x), w.reshape(w.shape[:2]).T, _rows(y))


def backward_data(gy, w, gx):
    """Gradient of the input, arguments as of :func:`forward`; ``gx`` is overwritten."""
    _multiply(_rows(gy), w.reshape(w.shape[:2]), _rows(gx))


def backward_weights(x, gy, gw):
    """Gradient of the filters, arguments as of :func:`forward`; ``gw`` is overwritten."""
    _multiply(_rows(gy).T, _rows(x), gw.reshape(gw.shape[:2]))
