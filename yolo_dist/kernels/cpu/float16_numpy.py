"""What `float16_kernels` does, by NumPy: for processors without instructions for halves."""
import numpy as np


@np.errstate(over='ignore', invalid='ignore')
def store(x, halves, scale):
    """``halves = half(x scale)``; returns how many non-zero numbers became zero."""
    value = np.float32(x * scale)
    half = value.astype(np.float16)
    halves[:] = half.view(np.uint16)
    return np.count_nonzero((value != 0) & (half == 0))


@np.errstate(over='ignore', invalid='ignore')
def load(halves, x, scale):
    """``x = float(half(halves scale))``; returns how many of ``halves`` are not finite."""
    half = halves.view(np.float16)
    x[:] = np.float16(np.float32(half) * scale)
    return np.count_nonzero(~np.isfinite(half))


@np.errstate(over='ignore', invalid='ignore')
def add(x, y):
    """``y += x``, both halves."""
    y = y.view(np.float16)
    y += x.view(np.float16)
