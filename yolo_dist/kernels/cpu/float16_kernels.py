"""Sums in float16 of arrays of halves, which are given by their bits.

NumPy converts one element at a time; these loops become vector instructions. A sum of
two halves is computed in float32 and rounded once more, which is exact: float32 has
more than twice the digits.
"""
import numpy as np

from yolo_dist.kernels.cpu.halves import to_float, to_half
from yolo_dist.kernels.cpu.jit import kernel

# Whole arrays, as a loop from one number to another is not made of
# vectors: 2 to 9 times as slow.

@kernel
def store(x, halves, scale):
    """``halves = half(x scale)``; returns how many non-zero numbers became zero."""
    underflowed = 0
    for i in range(x.size):
        value = np.float32(x[i] * scale)
        half = to_half(value)
        halves[i] = half
        underflowed += (value != 0) & ((half & 0x7fff) == 0)
    return underflowed


@kernel
def load(halves, x, scale):
    """``x = float(half(halves scale))``; returns how many of ``halves`` are not finite."""
    overflowed = 0
    for i in range(halves.size):
        overflowed += (halves[i] & 0x7c00) == 0x7c00
        x[i] = to_float(to_half(np.float32(to_float(halves[i]) * scale)))
    return overflowed


@kernel
def add(x, y):
    """``y += x``, both halves."""
    for i in range(x.size):
        y[i] = to_half(np.float32(to_float(x[i]) + to_float(y[i])))
