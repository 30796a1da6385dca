"""Many gradients on a GPU as one array, and back: one kernel each way."""
import functools

import numpy as np

from yolo_dist.kernels.cuda.multi_tensor import ArrayLists, create_kernel

_SOURCE = r"""
#include <cuda_fp16.h>

__device__ inline void store(float x, float* y) { *y = x; }
__device__ inline void store(float x, __half* y) { *y = __float2half_rn(x); }
__device__ inline float load(float x) { return x; }
__device__ inline float load(__half x) { return __half2float(x); }

// Adds one number of each thread to a counter, where there is anything to add.
__device__ inline void count(unsigned int n, unsigned long long* counter) {
    if (n) atomicAdd(counter, (unsigned long long) n);
}

extern "C" __global__ void pack(
        const unsigned long long* gradients, PARAMETERS,
        const int* places, ELEMENT* packed, float scale, unsigned long long* n_underflowed) {
    CHUNK
    const float* gradient = (const float*) gradients[k];
    ELEMENT* out = packed + places[k];
    unsigned int underflowed = 0;
    for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float x = gradient[i];
        ELEMENT y;
        store(x * scale, &y);
        out[i] = y;
        underflowed += x != 0.f && load(y) == 0.f;
    }
    if (sizeof(ELEMENT) == 2) count(underflowed, n_underflowed);
}

extern "C" __global__ void unpack(
        const unsigned long long* gradients, PARAMETERS,
        const int* places, const ELEMENT* packed, float scale,
        unsigned long long* n_not_finite) {
    CHUNK
    float* gradient = (float*) gradients[k];
    const ELEMENT* in = packed + places[k];
    unsigned int not_finite = 0;
    for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float x = load(in[i]);
        ELEMENT y;
        store(x * scale, &y);
        gradient[i] = load(y);
        not_finite += !isfinite(x);
    }
    if (sizeof(ELEMENT) == 2) count(not_finite, n_not_finite + k);
}
"""


@functools.cache
def _kernel(name, dtype_char):
    element = {'e': '__half', 'f': 'float'}[dtype_char]
    return create_kernel(_SOURCE, name, options=(f'-DELEMENT={element}',))


class GradientPacking:
    """Packs the gradients of one list of parameters, in its order.

    Counts on the device, so that nobody waits: only reading an attribute does. CuPy's compiler
    takes float32 numbers below 1.2e-38 for zeros; everything else is as on the CPU, bit for bit.

    Args:
        sizes (tuple of int): Elements of each gradient.
        dtype (numpy.dtype): Of the packed array, float16 or float32.

    Attributes:
        n_elements (int): Of all gradients.
        n_underflowed (cupy.ndarray): Uint64 ``(1,)``, elements that were not zero and became zero
            in float16.
        n_not_finite (cupy.ndarray): Uint64 ``(len(sizes),)``, elements of each gradient that
            were infinite or NaN in float16.
    """

    def __init__(self, sizes, dtype):
        import cupy
        self.sizes, self._dtype = sizes, dtype
        self.n_elements = sum(sizes)
        self._lists = ArrayLists(sizes)
        self._places = cupy.asarray(np.cumsum((0, *sizes[:-1])).astype(np.int32))
        self.n_underflowed = cupy.zeros(1, np.uint64)
        self.n_not_finite = cupy.zeros(len(sizes), np.uint64)

    def _launch(self, name, grads, packed, scale, counter):
        self._lists.launch(_kernel(name, self._dtype.char), [grads], self._places, packed,
                           np.float32(scale), counter)

    def pack(self, grads, packed, scale):
        """``packed = grads scale``, the products rounded to the packed array's dtype.

        Args:
            grads (list of cupy.ndarray): Float32, contiguous.
            packed (cupy.ndarray): ``(n_elements,)``, written.
            scale (float): Factor, applied in float32.
        """
        self._launch('pack', grads, packed, scale, self.n_underflowed)

    def unpack(self, packed, grads, scale):
        """``grads = packed scale``, the products rounded to the packed array's dtype."""
        self._launch('unpack', grads, packed, scale, self.n_not_finite)
