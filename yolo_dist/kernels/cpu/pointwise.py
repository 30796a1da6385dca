"""Gradients of a 1x1 convolution of stride 1: matrix products and nothing else."""
from yolo_dist.kernels.cpu.products import multiply_matrices
from yolo_dist.kernels.cpu.threads import parallel_ranges

_MIN_ROWS = 12  # of a product, two tiles, that are worth a thread


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def multiply(a, b, c, *, is_transposed, is_sum=False):
    """Compute ``c = a @ b``, or ``a.T @ b``, the rows of ``c`` divided among the threads.

    Args:
        a (ndarray): ``(rows, steps)``, or ``(steps, rows)``; contiguous like the others.
        b (ndarray): ``(steps, columns)``.
        c (ndarray): ``(rows, columns)``; is overwritten.
        is_transposed (bool): Whether ``a`` is.
        is_sum (bool): Whether the product is added to what is in ``c``.
    """
    parallel_ranges(lambda begin, end: multiply_matrices(
        a.reshape(1, -1), b.reshape(1, -1), c.reshape(1, -1), (len(c), *b.shape), is_transposed,
        is_sum, (0, 1), (begin, end)), len(c), multiple=_MIN_ROWS)


def backward_data(gy, w, gx):
    """Gradient of the input.

    Args:
        gy (ndarray): ``(B, H, W, C')``, contiguous.
        w (ndarray): ``(C', C, 1, 1)``, contiguous.
        gx (ndarray): ``(B, H, W, C)``, contiguous; is overwritten.
    """
    multiply(_rows(gy), w.reshape(w.shape[:2]), _rows(gx), is_transposed=False)


def backward_weights(x, gy, gw):
    """Gradient of the filters.

    Args:
        x (ndarray): ``(B, H, W, C)``, contiguous.
        gy (ndarray): ``(B, H, W, C')``, contiguous.
        gw (ndarray): ``(C', C, 1, 1)``, contiguous; is overwritten.
    """
    multiply(_rows(gy), _rows(x), gw.reshape(gw.shape[:2]), is_transposed=True)
