"""The few things that are asked of CuPy; imported on demand, as there need not be one."""
import threading

_local = threading.local()


def contiguous(array):
    """Return the array itself, or a copy in C order."""
    import cupy
    return cupy.ascontiguousarray(array)


def empty(shape, dtype):
    """Return a new array in C order, of any content."""
    import cupy
    return cupy.empty(shape, dtype)


def pointer(array):
    """Address of an array's first element on the device."""
    return array.data.ptr


def number():
    """Return the number of the current device."""
    import cupy
    return cupy.cuda.runtime.getDevice()


def compute_capability():
    """Of the current device, such as 90."""
    import cupy
    return int(cupy.cuda.Device().compute_capability)


def workspace(n_bytes):
    """Scratch memory from CuPy's pool, which orders its use by streams.

    Args:
        n_bytes (int): Its size.

    Returns:
        An object whose ``ptr`` is the address; the memory is its own until it is dropped.
    """
    import cupy
    return cupy.cuda.alloc(n_bytes)


def handle():
    """Return this thread's cuDNN handle of the current device, bound to its stream."""
    import cudnn
    import cupy
    handles = _local.__dict__.setdefault('handles', {})
    device = number()
    if device not in handles:
        handles[device] = cudnn.create_handle()
    cudnn.set_stream(handles[device], cupy.cuda.get_current_stream().ptr)
    return handles[device]


def milliseconds(function, *, repeats=3):
    """Shortest time of a call on the current stream, between events, after one to warm up."""
    import cupy
    function()
    events = [(cupy.cuda.Event(), cupy.cuda.Event()) for _ in range(repeats)]
    for begin, end in events:
        begin.record()
        function()
        end.record()
    events[-1][1].synchronize()
    return min(cupy.cuda.get_elapsed_time(begin, end) for begin, end in events)
