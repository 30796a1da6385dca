import numba

_OPTIONS = {'nogil': True, 'error_model': 'numpy'}


def kernel(function):
    """Compile a function with Numba when it is first called, and keep the machine code.

    The code is kept beside the source, or in the user's cache folder, for the next
    process; where neither can be written each process compiles anew. Numba notices a
    change of the function's own file only: after one of :mod:`tile_transforms` or
    :mod:`memory` remove the ``__pycache__`` of this folder.

    Args:
        function (callable): What Numba understands; runs without the GIL.

    Returns:
        callable: The same, compiled.
    """
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**_OPTIONS)(function)


def inline(function):
    """Compile a function that kernels call, into each of them.

    Args:
        function (callable): What Numba understands, without loops.

    Returns:
        callable: The same, compiled.
    """
    return numba.njit(inline='always', **_OPTIONS)(function)
