"""Many gradients on a GPU as one array, and back: one kernel each way."""
import functools

import numpy as np

# Elements of one block of threads: a block works on one gradient only.
_N_CHUNK = 1 << 14
_N_THREADS = 256

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
        const unsigned long long* gradients, const int* chunk_gradient, const int* chunk_begin,
        const int* sizes, const int* places, ELEMENT* packed, float scale,
        unsigned long long* n_flushed) {
    const int k = chunk_gradient[blockIdx.x], begin = chunk_begin[blockIdx.x];
    const int end = min(begin + N_CHUNK, sizes[k]);
    const float* gradient = (const float*) gradients[k];
    ELEMENT* out = packed + places[k];
    unsigned int flushed = 0;
    for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float x = gradient[i];
        ELEMENT y;
        store(x * scale, &y);
        out[i] = y;
        flushed += x != 0.f && load(y) == 0.f;
    }
    if (sizeof(ELEMENT) == 2) count(flushed, n_flushed);
}

extern "C" __global__ void unpack(
        unsigned long long* gradients, const int* chunk_gradient, const int* chunk_begin,
        const int* sizes, const int* places, const ELEMENT* packed, float scale,
        unsigned long long* n_not_finite) {
    const int k = chunk_gradient[blockIdx.x], begin = chunk_begin[blockIdx.x];
    const int end = min(begin + N_CHUNK, sizes[k]);
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
    import cupy
    element = {'e': '__half', 'f': 'float'}[dtype_char]
    return cupy.RawKernel(_SOURCE, name, options=(f'-DELEMENT={element}', f'-DN_CHUNK={_N_CHUNK}'))


def create_chunks(sizes):
    """Cuts arrays into the pieces of one block of threads each.

    Args:
        sizes (sequence of int): Elements of each array.

    Returns:
        tuple of ndarray: Int32, for each piece its array and its first element there.
    """
    pieces = [(k, begin) for k, size in enumerate(sizes) for begin in range(0, size, _N_CHUNK)]
    return tuple(np.array(pieces, np.int32).reshape(-1, 2).T.copy())


class GradientPacking:
    """Packs the gradients of one list of parameters, in its order.

    Counts on the device, so that nobody waits: only reading an attribute does.

    Args:
        sizes (tuple of int): Elements of each gradient.
        dtype (numpy.dtype): Of the packed array, float16 or float32.

    Attributes:
        n_elements (int): Of all gradients.
        n_flushed (cupy.ndarray): Uint64 ``(1,)``, elements that were not zero and became zero
            in float16.
        n_not_finite (cupy.ndarray): Uint64 ``(len(sizes),)``, elements of each gradient that
            were infinite or NaN in float16.
    """

    def __init__(self, sizes, dtype):
        import cupy
        self.sizes, self._dtype = sizes, dtype
        self.n_elements = sum(sizes)
        places = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int32)
        chunks = create_chunks(sizes)
        self._n_blocks = len(chunks[0])
        self._tables = tuple(map(cupy.asarray, (*chunks, np.array(sizes, np.int32), places)))
        self.n_flushed = cupy.zeros(1, np.uint64)
        self.n_not_finite = cupy.zeros(len(sizes), np.uint64)

    def _launch(self, name, grads, packed, scale, counter):
        import cupy
        for grad in grads:
            if grad.dtype != np.float32 or not grad.flags.c_contiguous:
                raise TypeError(f'a gradient is {grad.dtype}, expected contiguous float32')
        addresses = cupy.asarray(np.array([grad.data.ptr for grad in grads], np.uint64))
        _kernel(name, self._dtype.char)(
            (self._n_blocks,), (_N_THREADS,),
            (addresses, *self._tables, packed, np.float32(scale), counter))

    def pack(self, grads, packed, scale):
        """``packed = grads scale``, the products rounded to the packed array's dtype.

        Args:
            grads (list of cupy.ndarray): Float32, contiguous.
            packed (cupy.ndarray): ``(n_elements,)``, written.
            scale (float): Factor, applied in float32.
        """
        self._launch('pack', grads, packed, scale, self.n_flushed)

    def unpack(self, packed, grads, scale):
        """``grads = packed scale``, the products rounded to the packed array's dtype."""
        self._launch('unpack', grads, packed, scale, self.n_not_finite)
