"""Threads for the kernels, as many as the BLAS library is allowed."""
import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import threadpoolctl

_blas = None
_pool = None
_local = threading.local()


def _blas_libraries():
    global _blas
    if _blas is None:
        # Finding the libraries takes milliseconds, asking one a microsecond.
        found = threadpoolctl.ThreadpoolController().select(user_api='blas').lib_controllers
        # Of several (SciPy and OpenCV bring their own) NumPy's is the one that works here.
        _blas = [library for library in found if 'numpy' in library.filepath] or found
    return _blas


def n_threads():
    """Return the number of threads that this process may use.

    It is the limit of the BLAS library, which ``OPENBLAS_NUM_THREADS``,
    ``threadpoolctl`` and :func:`limit_threads` set, so that P
    processes on c cores do not fight for them. Inside :func:`parallel` it is
    1.

    Returns:
        int: At least 1.
    """
    if getattr(_local, 'is_inside', False):
        return 1
    return max([library.get_num_threads() or 1 for library in _blas_libraries()], default=1)


def limit_threads(n):
    """Limit the threads of every library in this process: BLAS, OpenMP and OpenCV.

    The kernels follow the limit of BLAS. Numba starts no threads of its own here: no kernel is
    compiled with ``parallel=True``.

    Args:
        n (int): Threads of each library, at least 1.
    """
    threadpoolctl.threadpool_limits(n)
    # OpenCV's pool is its own and no library that threadpoolctl knows.
    cv2.setNumThreads(n)


def n_useful_threads(n_parts):
    """Return the number of threads that have something to do, at least 1.

    Args:
        n_parts (int): Parts that the work can be cut into; where there is one, nobody is asked
            for the threads, which costs as much as a small layer.
    """
    return 1 if n_parts <= 1 else min(n_threads(), n_parts)


@contextlib.contextmanager
def _single_threaded_blas():
    libraries = _blas_libraries()
    limits = [library.get_num_threads() for library in libraries]
    for library in libraries:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, limit in zip(libraries, limits):
            library.set_num_threads(limit)


def _forget_pool():
    # Threads do not survive a fork.
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget_pool)


def _get_pool(n_helpers):
    global _pool
    if _pool is None or _pool.n_helpers < n_helpers:
        if _pool is not None:
            _pool.shutdown(wait=False)
        _pool = ThreadPoolExecutor(n_helpers, thread_name_prefix='yolo_dist')
        _pool.n_helpers = n_helpers
    return _pool


def _run_inside(function, i):
    _local.is_inside = True
    try:
        return function(i)
    finally:
        _local.is_inside = False


def parallel(function, n_parts):
    """Run ``function(i)`` for each part, one thread for each, BLAS with one.

    Several matrix products side by side are faster than one product by several
    threads, above all the small ones of a late layer.

    Args:
        function (callable): Releases the GIL for most of its time.
        n_parts (int): Number of parts, usually :func:`n_threads`.

    Returns:
        list: What ``function`` returned, by part.
    """
    if n_parts == 1:
        return [function(0)]
    with _single_threaded_blas():
        pool = _get_pool(n_parts - 1)
        futures = [pool.submit(_run_inside, function, i) for i in range(1, n_parts)]
        try:
            first = _run_inside(function, 0)
        finally:
            # Also on an error: the parts write into buffers of this call.
            rest = [future.exception() or future.result() for future in futures]
    for result in rest:
        if isinstance(result, BaseException):
            raise result
    return [first, *rest]


def split(n, n_parts, *, multiple=1):
    """Cut ``range(n)`` into parts of nearly equal length.

    Args:
        n (int): Length.
        n_parts (int): Number of parts.
        multiple (int): All cuts but the last are at multiples of this.

    Returns:
        list of (int, int): Begin and end of each part; never empty ones.
    """
    if n_parts == 1:
        return [(0, n)]
    n_units = -(-n // multiple)
    n_parts = max(1, min(n_parts, n_units))
    cuts = [min(n, n_units * i // n_parts * multiple) for i in range(n_parts + 1)]
    return list(zip(cuts, cuts[1:]))


def parallel_ranges(function, n, *, multiple=1, min_length=1):
    """Run ``function(begin, end)`` over parts of ``range(n)``, a thread for each.

    Args:
        function (callable): Releases the GIL for most of its time.
        n (int): Length.
        multiple (int): See :func:`split`.
        min_length (int): Parts are not made shorter than about this.

    Returns:
        list: What ``function`` returned, by part.
    """
    n_parts = n_useful_threads(n // max(multiple, min_length))
    if n_parts == 1:
        return [function(0, n)]
    parts = split(n, n_parts, multiple=multiple)
    return parallel(lambda i: function(*parts[i]), len(parts))
