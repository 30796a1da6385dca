"""Passes over ``(n, C)`` arrays for batch normalisation and leaky ReLU.

Rows are pixels. Sums are kept in float64, so that one pass gives mean and variance.
"""
import numpy as np

from yolo_dist.kernels.cpu.jit import kernel


@kernel
def add_moments(x, begin, end, total, total_squares):
    """Add the rows ``begin <= i < end`` and their squares to two float64 vectors."""
    for i in range(begin, end):
        for c in range(x.shape[1]):
            value = np.float64(x[i, c])
            total[c] += value
            total_squares[c] += value * value


@kernel
def normalize(x, y, begin, end, mean, scale, shift, slope, shortcut):
    """``y = leaky_relu((x - mean) scale + shift) + shortcut``; an empty shortcut adds nothing."""
    # By way of a row of its own: a loop is not made of vectors where it may overwrite its input.
    row = np.empty(x.shape[1], x.dtype)
    for i in range(begin, end):
        for c in range(x.shape[1]):
            z = (x[i, c] - mean[c]) * scale[c] + shift[c]
            row[c] = z if z > 0 else z * slope
        if shortcut.size:
            for c in range(x.shape[1]):
                row[c] += shortcut[i, c]
        for c in range(x.shape[1]):
            y[i, c] = row[c]


@kernel
def add_gradient_moments(x, gy, begin, end, mean, scale, shift, slope, total, total_products):
    """Add the gradient before the ReLU, and its product with ``x - mean``, to two vectors."""
    for i in range(begin, end):
        for c in range(x.shape[1]):
            centred = x[i, c] - mean[c]
            gz = gy[i, c] if centred * scale[c] + shift[c] > 0 else gy[i, c] * slope
            total[c] += gz
            total_products[c] += np.float64(gz) * np.float64(centred)


@kernel
def denormalize(x, gy, gx, begin, end, mean, scale, shift, slope, linear, constant):
    """``gx = gz scale - (x - mean) linear - constant``."""
    for i in range(begin, end):
        for c in range(x.shape[1]):
            centred = x[i, c] - mean[c]
            gz = gy[i, c] if centred * scale[c] + shift[c] > 0 else gy[i, c] * slope
            gx[i, c] = gz * scale[c] - centred * linear[c] - constant[c]
