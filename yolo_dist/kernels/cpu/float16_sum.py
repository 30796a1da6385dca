"""Sums in float16 of gradients in host memory."""
import numpy as np

from yolo_dist.kernels.cpu import float16_kernels, float16_numpy
from yolo_dist.kernels.cpu.halves import has_instructions
from yolo_dist.kernels.cpu.threads import parallel_ranges

_loops = float16_kernels if has_instructions() else float16_numpy
_MIN_SHARE = 1 << 16  # elements that are worth a thread


def _in_shares(kernel, x, y, *scale):
    """Run a kernel on stretches of two arrays, a thread for each; return its results."""
    return parallel_ranges(lambda begin, end: kernel(x[begin:end], y[begin:end], *scale), x.size,
                           min_length=_MIN_SHARE)


def to_half(x, half, *, scale):
    """Round ``x scale`` to float16.

    Args:
        x (ndarray): Float, contiguous.
        half (ndarray): Float16 ``(x.size,)``, written.
        scale (float): Factor, applied in float32.

    Returns:
        int: How many numbers other than zero became zero.
    """
    return sum(_in_shares(_loops.store, x.reshape(-1), half.view(np.uint16),
                          np.float32(scale)))


def add_half(x, y):
    """``y += x`` in float16, in place; an overflow gives an infinity."""
    _in_shares(_loops.add, x.view(np.uint16), y.view(np.uint16))


def from_half(half, x, *, scale):
    """``x = half scale``, the product rounded to float16.

    Args:
        half (ndarray): Float16 ``(x.size,)``.
        x (ndarray): Float, contiguous, written.
        scale (float): Factor.

    Returns:
        int: How many numbers of ``half`` are not finite.
    """
    return sum(_in_shares(_loops.load, half.view(np.uint16), x.reshape(-1),
                          np.float32(scale)))
