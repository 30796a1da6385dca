"""Threads for the kernels, as many as the BLAS library is allowed."""
import functools
import os
import threading

import cv2
import numpy as np
import threadpoolctl

_LINE = 16  # numbers; no two threads write to one line of a cache
_N_LOOKS = 10_000  # 0.1 to 0.4 ms: longer than what is done between two kernels
# A helper that has found its task looks so often again. By then the caller has let go of the GIL,
# for which the helper would have to sleep. Of 0 to 3,000, 200 was the fastest.
_N_LOOKS_BEHIND = 200
_blas = None
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


class _Helper:
    """A thread that runs a function when it is asked to.

    To wake a thread that sleeps takes as long as a small layer. So who waits looks again and
    again for a while, and sleeps only then. A lock of each direction is what is waited for, the
    number of the task beside it says that it can be had.
    """

    def __init__(self):
        from yolo_dist.kernels.cpu.memory import look_for  # loads Numba, which takes a second
        self._look_for = look_for
        self._numbers = np.zeros(2 * _LINE, np.int64)  # of the last task asked for, and done
        self._asked, self._done = threading.Lock(), threading.Lock()
        self._asked.acquire()
        self._done.acquire()
        self._function = self._outcome = None
        threading.Thread(target=self._work, name='yolo_dist', daemon=True).start()

    def _work(self):
        _local.is_inside = True
        number = 0
        while True:
            number += 1
            self._look_for(self._numbers, 0, number, _N_LOOKS, _N_LOOKS_BEHIND)
            self._asked.acquire()
            try:
                self._outcome = self._function(), None
            except BaseException as error:
                self._outcome = None, error
            self._function = None
            self._done.release()
            self._numbers[_LINE] = number

    def ask(self, function):
        self._function = function
        self._asked.release()
        self._numbers[0] += 1

    def wait(self):
        """Return what the function returned, and the error if it raised one."""
        self._look_for(self._numbers, _LINE, int(self._numbers[0]), _N_LOOKS, 0)
        self._done.acquire()
        outcome, self._outcome = self._outcome, None
        return outcome


class _Helpers:
    """The threads of a process, lent to one caller at a time."""

    def __init__(self):
        self.are_lent = threading.Lock()
        self._helpers = []

    def get(self, n):
        while len(self._helpers) < n:
            self._helpers.append(_Helper())
        return self._helpers[:n]


_helpers = _Helpers()


def _forget_helpers():
    # Threads do not survive a fork.
    global _helpers
    _helpers = _Helpers()


os.register_at_fork(after_in_child=_forget_helpers)


def parallel(function, n_parts):
    """Run ``function(i)`` for each part, one thread for each.

    Args:
        function (callable): Releases the GIL for most of its time.
        n_parts (int): Number of parts, usually :func:`n_threads`.

    Returns:
        list: What ``function`` returned, by part.
    """
    helpers = _helpers
    if n_parts == 1 or not helpers.are_lent.acquire(blocking=False):
        return [function(i) for i in range(n_parts)]
    asked, outcomes = [], []
    try:
        for i, helper in enumerate(helpers.get(n_parts - 1), start=1):
            helper.ask(functools.partial(function, i))
            asked.append(helper)
        _local.is_inside = True
        try:
            first = function(0)
        finally:
            _local.is_inside = False
            # Also on an error: the parts write into buffers of this call.
            outcomes = [helper.wait() for helper in asked]
    except BaseException:
        if len(outcomes) < len(asked):  # interrupted while a helper was at work
            _forget_helpers()
        raise
    finally:
        helpers.are_lent.release()
    for _, error in outcomes:
        if error is not None:
            raise error
    return [first, *(result for result, _ in outcomes)]


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
    parts = split(n, n_useful_threads(n // max(multiple, min_length)), multiple=multiple)
    return parallel(lambda i: function(*parts[i]), len(parts))
