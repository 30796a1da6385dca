import contextlib
import hashlib
import itertools
import pathlib
import secrets
import threading

import filelock
import numba
from numba.core.bytecode import FunctionIdentity

_OPTIONS = {'nogil': True, 'error_model': 'numpy'}
# So long a process waits for the code of another one, which may have been stopped.
_PATIENCE_SECONDS = 120

_compiles = threading.RLock()


def kernel(function):
    """Compile a function with Numba when it is first called, and keep the machine code.

    The code is kept beside the source, or in the user's cache folder, for the next
    process; where neither can be written each process compiles anew.

    Args:
        function (callable): What Numba understands; runs without the GIL.

    Returns:
        callable: The same, compiled.
    """
    try:
        compiled = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**_OPTIONS)(function)
    _make_cache_safe(compiled._cache._cache_file)
    _compile_in_turn(compiled)
    return compiled


def _make_cache_safe(cache_file):
    """Keep Numba's cache from handing out other code than a function's own.

    Numba numbers the files of a cache. Processes that compile a function for different
    dtypes at the same time take the same number, and one then runs the other's code: wrong
    results without a word. And Numba notices a change of the function's own file only, not
    one of the functions compiled into it.

    Args:
        cache_file: Of a compiled function.
    """
    number_name = cache_file._data_name
    cache_file._data_name = lambda number: (
        f'{number_name(number).removesuffix(".nbc")}.{secrets.token_hex(4)}.nbc')
    cache_file._source_stamp = cache_file._source_stamp, _digest_of_kernels


def _compile_in_turn(compiled):
    """Let one process compile a function while the others wait for its code.

    The processes of a job come to a function at the same moment. Each of them would compile it.

    Args:
        compiled: A function whose code is kept.
    """
    compile_or_load = compiled.compile
    lock = filelock.FileLock(f'{compiled._cache._cache_file._index_path}.lock')

    def in_turn(signature):
        # One thread at a time: a function is compiled inside another one, whose lock is held.
        with _compiles, contextlib.ExitStack() as held:
            with contextlib.suppress(OSError, NotImplementedError, filelock.Timeout):
                held.enter_context(lock.acquire(timeout=_PATIENCE_SECONDS))
            # Numba tells functions that a function makes apart by a number, which each process
            # counts from 1. A process that loads what two have compiled then finds one name twice
            # and runs one function in the place of the other: wrong results without a word.
            FunctionIdentity._unique_ids = itertools.count(secrets.randbits(48))
            return compile_or_load(signature)

    compiled.compile = in_turn


_sources = sorted(pathlib.Path(__file__).parent.glob('*.py'))
_digest_of_kernels = hashlib.sha256(b''.join(path.read_bytes() for path in _sources)).hexdigest()
