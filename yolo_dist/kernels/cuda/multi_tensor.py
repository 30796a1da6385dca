"""One kernel over many arrays on a GPU, instead of one kernel for each of them."""
import numpy as np

# Elements of one block of threads: a block works on one array only.
N_CHUNK = 1 << 14
_N_THREADS = 256

# What the sources of kernels abbreviate: the parameters of every kernel after the addresses of
# its arrays, and the beginning of its body, which has elements `begin` to `end` of array `k`.
_MACROS = f"""
#define PARAMETERS const int* chunk_array, const int* chunk_begin, const int* sizes
#define CHUNK \\
    const int k = chunk_array[blockIdx.x], begin = chunk_begin[blockIdx.x]; \\
    const int end = min(begin + {N_CHUNK}, sizes[k]);
"""


def create_kernel(source, name, *, options=()):
    """Make a kernel over lists of arrays.

    Args:
        source (str): CUDA; may use the macros ``PARAMETERS`` and ``CHUNK``.
        name (str): Of the kernel in it.
        options (tuple of str): For the compiler.

    Returns:
        cupy.RawKernel: Compiled when it is first launched.
    """
    import cupy
    return cupy.RawKernel(_MACROS + source, name, options=options)


def create_chunks(sizes):
    """Cut arrays into the pieces of one block of threads each.

    Args:
        sizes (sequence of int): Elements of each array.

    Returns:
        tuple of ndarray: Int32, for each piece its array and its first element there.
    """
    pieces = [(k, begin) for k, size in enumerate(sizes) for begin in range(0, size, N_CHUNK)]
    return tuple(np.array(pieces, np.int32).reshape(-1, 2).T.copy())


class ArrayLists:
    """Launches kernels over lists of arrays that have the same sizes.

    Args:
        sizes (tuple of int): Elements of the arrays of each list.
    """

    def __init__(self, sizes):
        import cupy
        self.sizes = sizes
        chunks = create_chunks(sizes)
        self._n_blocks = len(chunks[0])
        self._tables = tuple(map(cupy.asarray, (*chunks, np.array(sizes, np.int32))))

    def launch(self, kernel, lists, *arguments):
        """Launch a kernel on the current stream.

        Args:
            kernel (cupy.RawKernel): Takes an array of addresses for each list, then
                what ``PARAMETERS`` stands for, then the arguments.
            lists (sequence of list of cupy.ndarray): Float32, contiguous.
            *arguments: As CuPy takes them.

        Raises:
            TypeError: If an array is not float32 or not contiguous.
        """
        import cupy
        for array in (array for arrays in lists for array in arrays):
            if array.dtype != np.float32 or not array.flags.c_contiguous:
                raise TypeError(f'found an array of {array.dtype}, expected contiguous float32')
        # Gradients lie elsewhere in each iteration.
        addresses = cupy.asarray(np.array(
            [[array.data.ptr for array in arrays] for arrays in lists], np.uint64))
        kernel((self._n_blocks,), (_N_THREADS,), (*addresses, *self._tables, *arguments))
