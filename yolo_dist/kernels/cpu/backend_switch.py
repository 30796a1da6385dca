"""Whether the CPU backend is in use."""
import contextlib
import importlib.util
import os

from yolo_dist.errors import InputError

VARIABLE = 'YOLO_DIST_CPU_BACKEND'

_is_on = None


def _read_variable():
    text = os.environ.get(VARIABLE, 'on')
    if text not in ('on', 'off'):
        raise InputError(f"environment variable {VARIABLE} is {text!r}; expected 'on' or 'off'")
    return text == 'on' and importlib.util.find_spec('numba') is not None


def is_cpu_backend_on():
    """Tell whether links and optimizer compute NumPy arrays in this package's kernels.

    They do unless the environment has ``YOLO_DIST_CPU_BACKEND=off``, or Numba is
    not installed.

    Returns:
        bool: Whether it is in use.

    Raises:
        InputError: If the variable is neither ``on`` nor ``off``.
    """
    global _is_on
    if _is_on is None:
        _is_on = _read_variable()
    return _is_on


@contextlib.contextmanager
def using_cpu_backend(is_on):
    """Switch the CPU backend inside a ``with`` block, for all threads.

    Args:
        is_on (bool): ``False`` leaves everything to Chainer.
    """
    global _is_on
    before = is_cpu_backend_on()
    _is_on = is_on
    try:
        yield
    finally:
        _is_on = before
