"""Batch normalisation with leaky ReLU behind it, each in as few passes as possible.

Arrays are ``(..., C)`` and contiguous. A slope of 1 is no ReLU.
"""
import numpy as np

from yolo_dist.kernels.cpu import normalization_kernels as kernels
from yolo_dist.kernels.cpu.threads import n_useful_threads, parallel, split

_VECTOR = 64  # channels; rows shorter than this are handled several at a time
_MIN_ROWS = 1 << 15  # values that are worth a thread


def _fold(x):
    """View ``(n, C)`` with few channels as ``(n / k, k C)``."""
    n_channels = x.shape[-1]
    n_rows = x.size // n_channels
    k = 1
    while n_channels * k < _VECTOR and n_rows % (2 * k) == 0:
        k *= 2
    return x.reshape(n_rows // k, n_channels * k), k


def _shares(rows):
    return split(len(rows), n_useful_threads(rows.size // _MIN_ROWS))


def _sum(rows, k, add):
    """Sum two float64 vectors over the threads and over folded channels."""
    shares = _shares(rows)
    totals = np.zeros((len(shares), 2, rows.shape[1]))
    parallel(lambda i: add(*shares[i], *totals[i]), len(shares))
    return totals.sum(axis=0).reshape(2, k, -1).sum(axis=1)


def _tile(k, dtype, *vectors):
    return [np.concatenate([vector] * k).astype(dtype, copy=False) for vector in vectors]


def moments(x):
    """Compute mean and variance of each channel.

    Args:
        x (ndarray): ``(..., C)``.

    Returns:
        tuple of ndarray: Mean and (biased) variance ``(C,)``, dtype of ``x``.
    """
    rows, k = _fold(x)
    total, total_squares = _sum(
        rows, k, lambda begin, end, *totals: kernels.add_moments(rows, begin, end, *totals))
    n = x.size // x.shape[-1]
    mean = total / n
    variance = np.maximum(total_squares / n - mean * mean, 0)
    return mean.astype(x.dtype), variance.astype(x.dtype)


def update_running_statistics(running_mean, running_var, mean, var, n, decay):
    """Move the running statistics in place, as Chainer does.

    Args:
        running_mean (ndarray): ``(C,)``; ``None`` where they are not kept.
        running_var (ndarray): ``(C,)``.
        mean (ndarray): Of the batch.
        var (ndarray): Of the batch, biased; the running one is not.
        n (int): Pixels that they were computed from.
        decay (float): Share of the old value.
    """
    if running_mean is None:
        return
    running_mean *= decay
    running_mean += (1 - decay) * mean
    running_var *= decay
    running_var += (1 - decay) * (n / max(n - 1., 1.)) * var


def normalize(x, mean, scale, shift, slope, shortcut=None):
    """Compute ``leaky_relu((x - mean) * scale + shift) + shortcut``.

    Args:
        x (ndarray): ``(..., C)``.
        mean (ndarray): ``(C,)``.
        scale (ndarray): ``(C,)``.
        shift (ndarray): ``(C,)``.
        slope (float): Of the ReLU.
        shortcut (ndarray): Like ``x``; ``None`` for nothing.

    Returns:
        ndarray: Like ``x``.
    """
    y = np.empty_like(x)
    rows, k = _fold(x)
    y_rows = y.reshape(rows.shape)
    vectors = _tile(k, x.dtype, mean, scale, shift)
    shares = _shares(rows)
    others = np.empty((0, 0), x.dtype) if shortcut is None else shortcut.reshape(rows.shape)
    parallel(lambda i: kernels.normalize(
        rows, y_rows, *shares[i], *vectors, x.dtype.type(slope), others), len(shares))
    return y


def backward(x, gy, mean, inv_std, gamma, beta, slope):
    """Compute the gradients of training-mode batch normalisation and ReLU.

    Args:
        x (ndarray): Input ``(..., C)``.
        gy (ndarray): Gradient of the output, ``(..., C)``.
        mean (ndarray): Of the batch, ``(C,)``.
        inv_std (ndarray): ``1 / sqrt(variance + eps)`` of the batch, ``(C,)``.
        gamma (ndarray): ``(C,)``.
        beta (ndarray): ``(C,)``.
        slope (float): Of the ReLU.

    Returns:
        tuple of ndarray: Gradients of ``x``, ``gamma`` and ``beta``.
    """
    gx = np.empty_like(x)
    rows, k = _fold(x)
    gy_rows, gx_rows = gy.reshape(rows.shape), gx.reshape(rows.shape)
    slope = x.dtype.type(slope)
    scale = gamma * inv_std
    vectors = _tile(k, x.dtype, mean, scale, beta)
    total, total_products = _sum(rows, k, lambda begin, end, *totals: kernels.add_gradient_moments(
        rows, gy_rows, begin, end, *vectors, slope, *totals))
    ggamma = total_products * inv_std
    n = x.size // x.shape[-1]
    corrections = _tile(k, x.dtype, scale * inv_std * ggamma / n, scale * total / n)
    shares = _shares(rows)
    parallel(lambda i: kernels.denormalize(
        rows, gy_rows, gx_rows, *shares[i], *vectors, slope, *corrections), len(shares))
    return gx, ggamma.astype(gamma.dtype), total.astype(gamma.dtype)
