"""Memory that is reused from layer to layer and from step to step."""
import ctypes
import math
import threading

import numpy as np

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_local = threading.local()


def _keep_freed_memory():
    """Let the C library give freed memory to the next array instead of the operating system.

    It returns each large array when it is freed, and takes each new one page by page. Both stop
    the other threads of the process. With two of them that was a fifth of a step of Darknet53.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # of Linux; others know it not
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


_keep_freed_memory()


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
