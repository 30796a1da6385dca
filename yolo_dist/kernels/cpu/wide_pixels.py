"""Convolution to few channels, ``n`` pixels beside each other as one pixel of more channels.

A product of 4 columns takes as long as a product of a whole panel of filters. ``n`` pixels of the
output therefore become one product. Its filters cover all that these pixels see. They are 0
where a pixel does not look. A value of the output is the same sum, in the same order.
"""
import math

import numpy as np

from yolo_dist.kernels.cpu.products import panel_width


def count_pixels(y):
    """Return how many pixels of an output ``(B, H', W', C')`` are computed as one."""
    n = max(1, panel_width(y.dtype) // y.shape[3])
    return math.gcd(y.shape[2], 1 << n.bit_length() - 1)


def widen(w, n, stride):
    """Make the filters of ``n`` pixels.

    Args:
        w (ndarray): ``(C', C, kh, kw)``.
        n (int): Pixels of the output.
        stride (int): Horizontal.

    Returns:
        ndarray: ``(n C', C, kh, (n - 1) stride + kw)``; for one pixel ``w`` itself.
    """
    if n == 1:
        return w
    *_, kw = w.shape
    wide = np.zeros((n, *w.shape[:3], (n - 1) * stride + kw), w.dtype)
    for i, filters in enumerate(wide):
        filters[..., i * stride:i * stride + kw] = w
    return wide.reshape(-1, *wide.shape[2:])


def narrow(gw, n, stride):
    """Make the gradient of the filters of one pixel of that of ``n``, see :func:`widen`.

    Args:
        gw (ndarray): ``(n C', C, kh, (n - 1) stride + kw)``.
        n (int): Pixels of the output.
        stride (int): Horizontal.

    Returns:
        ndarray: ``(C', C, kh, kw)``, contiguous; for one pixel ``gw`` itself.
    """
    if n == 1:
        return gw
    kw = gw.shape[3] - (n - 1) * stride
    parts = gw.reshape(n, -1, *gw.shape[1:])
    return sum(part[..., i * stride:i * stride + kw] for i, part in enumerate(parts))
