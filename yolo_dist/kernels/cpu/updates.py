"""The optimizer's pass over the weights, which reads and writes them once."""

from yolo_dist.kernels.cpu.jit import kernel
from yolo_dist.kernels.cpu.threads import parallel_ranges

_MIN_SHARE = 1 << 16  # weights that are worth a thread


@kernel
def _momentum(w, g, v, begin, end, lr, momentum, decay):
    for i in range(begin, end):
        velocity = v[i] * momentum - (g[i] + decay * w[i])
        v[i] = velocity
        w[i] += lr * velocity


def momentum(w, g, v, *, lr, momentum, decay):
    """Move weights as ``CorrectedMomentumSGD`` does: ``v = momentum v - g``, ``w += lr v``.

    Args:
        w (ndarray): Weights, contiguous; updated in place.
        g (ndarray): Their gradient, to which ``decay * w`` is added.
        v (ndarray): Their velocity; updated in place.
        lr (float): Learning rate.
        momentum (float): Share of the velocity that is kept.
        decay (float): Weight decay.
    """
    flats = w.reshape(-1), g.reshape(-1), v.reshape(-1)
    factors = [w.dtype.type(factor) for factor in (lr, momentum, decay)]
    parallel_ranges(lambda begin, end: _momentum(*flats, begin, end, *factors), w.size,
                    min_length=_MIN_SHARE)
