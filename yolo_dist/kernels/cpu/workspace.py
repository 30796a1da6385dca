"""Memory that is reused from layer to layer and from step to step."""
import math
import threading

import numpy as np

from yolo_dist.kernels.cpu.freed_memory import keep_freed_memory

_local = threading.local()

keep_freed_memory()  # before the first large array of a process that computes


def scratch(name, shape, dtype):
    """Give an uninitialised array whose memory the next call may give again.

    Fresh memory costs a page fault for each page at first touch, as much time as
    the pass that fills it.

    Args:
        name (str): Arrays of different names do not overlap.
        shape (tuple of int): Shape.
        dtype (~numpy.dtype): Data type.

    Returns:
        ndarray: C-contiguous; valid until the same thread asks for this name again.
    """
    buffers = _local.__dict__
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    buffer = buffers.get(name)
    if buffer is None or buffer.nbytes < n_bytes:
        buffers[name] = None
        buffer = buffers[name] = np.empty(n_bytes + 64, np.uint8)
        # Cache-line alignment, for the kernels' vectors.
        offset = -buffer.ctypes.data % 64
        buffer = buffers[name] = buffer[offset:offset + n_bytes]
    return buffer[:n_bytes].view(dtype).reshape(shape)


def scratch_filters(shape, dtype):
    """:func:`scratch` for filters of a layer as its kernels read them, or for their gradient."""
    return scratch('filters', shape, dtype)
