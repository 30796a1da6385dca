"""The optimizer's passes over the weights, each reading and writing them once."""

from yolo_dist.kernels.cpu.jit import kernel
from yolo_dist.kernels.cpu.threads import parallel_ranges

_MIN_SHARE = 1 << 16  # weights that are worth a thread


@kernel
def _momentum(w, g, v, lr, momentum):
    for i in range(w.size):
        velocity = v[i] * momentum - g[i]
        v[i] = velocity
        w[i] += lr * velocity


@kernel
def _weight_decay(w, g, rate):
    for i in range(w.size):
        g[i] += rate * w[i]


def _for_each_share(update, arrays, factors):
    flats = [array.reshape(-1) for array in arrays]
    factors = [arrays[0].dtype.type(factor) for factor in factors]
    parallel_ranges(lambda begin, end: update(*(flat[begin:end] for flat in flats), *factors),
                    arrays[0].size, min_length=_MIN_SHARE)


def momentum(w, g, v, *, lr, momentum):
    """Move weights as ``CorrectedMomentumSGD`` does: ``v = momentum v - g``, ``w += lr v``.

    Args:
        w (ndarray): Weights, contiguous; updated in place.
        g (ndarray): Their gradient.
        v (ndarray): Their velocity; updated in place.
        lr (float): Learning rate.
        momentum (float): Share of the velocity that is kept.
    """
    _for_each_share(_momentum, (w, g, v), (lr, momentum))


def weight_decay(w, g, *, rate):
    """Add ``rate * w`` to the gradient ``g``, in place."""
    _for_each_share(_weight_decay, (w, g), (rate,))
