"""Momentum SGD with weight decay of all parameters as one kernel on a GPU."""
import functools

import numpy as np
from chainer.backends import cuda

from yolo_dist.kernels.cuda.multi_tensor import ArrayLists, create_kernel

_SOURCE = r"""
extern "C" __global__ void update(
        const unsigned long long* params, const unsigned long long* gradients,
        const unsigned long long* velocities, PARAMETERS,
        const float* decays, float loss_scale, float momentum, float lr) {
    CHUNK
    float* param = (float*) params[k];
    const float* gradient = (const float*) gradients[k];
    float* velocity = (float*) velocities[k];
    const float decay = decays[k];
    for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float w = param[i];
        const float v = momentum * velocity[i] - (gradient[i] / loss_scale + decay * w);
        velocity[i] = v;
        param[i] = w + lr * v;
    }
}
"""


@functools.cache
def _kernel():
    return create_kernel(_SOURCE, 'update')


class FusedUpdate:
    """The update of one list of float32 parameters, as ``CorrectedMomentumSGD`` does it.

    Args:
        sizes (tuple of int): Elements of each.
        decays (tuple of float): Weight decay of each.
    """

    def __init__(self, sizes, decays):
        self.key = sizes, decays
        self._lists = ArrayLists(sizes)
        self._decays = cuda.cupy.asarray(np.array(decays, np.float32))

    def __call__(self, params, grads, velocities, *, loss_scale, momentum, lr):
        """Move the weights, with the gradients divided by ``loss_scale``.

        Args:
            params (list of cupy.ndarray): Weights; updated in place.
            grads (list of cupy.ndarray): Their gradients, contiguous.
            velocities (list of cupy.ndarray): Their velocities; updated in place.
            loss_scale (float): What the loss was multiplied by.
            momentum (float): Share of the velocity that is kept.
            lr (float): Learning rate.
        """
        self._lists.launch(
            _kernel(), [params, grads, velocities], self._decays,
            *map(np.float32, (loss_scale, momentum, lr)))
