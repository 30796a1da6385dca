"""What a run records of its surroundings."""
import json
import subprocess
import sys
import types

import chainer
import numpy as np
import pytest
from chainer.backends import cuda

import yolo_dist
from yolo_dist import environment as environment_module
from yolo_dist.environment import environment
from yolo_dist.kernels.cudnn9 import functions


def test_environment_is_json_and_names_no_path():
    """The record survives JSON, has the promised keys and no absolute path of the machine."""
    found = environment(load_mpi=True)
    text = json.dumps(found)
    assert json.loads(text) == found
    assert set(found) == {'python', 'platform', 'hostname', 'packages', 'mpi_library', 'blas',
                          'cores', 'devices', 'cuda', 'git'}
    assert found['packages']['yolo_dist'] == yolo_dist.__version__
    assert found['packages']['numpy'] == np.__version__
    assert found['packages']['chainer'] == chainer.__version__
    assert found['cores'] >= 1 and found['mpi_library']
    assert sys.prefix not in text


def test_environment_loads_no_mpi(python):
    """MPI is neither loaded nor started for the record, and only loaded when asked for."""
    result = python('-c', """
import sys
from yolo_dist.environment import environment
assert environment()['mpi_library'] is None and 'mpi4py.MPI' not in sys.modules
assert environment(load_mpi=True)['mpi_library']
from mpi4py import MPI
assert not MPI.Is_initialized()
""")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('change, dirty', [(False, False), (True, True)])
def test_git_of_the_checkout(tmp_path, monkeypatch, change, dirty):
    """Commit and dirt are those of the checkout the package lies in."""
    package = _checkout(tmp_path)
    monkeypatch.setattr(environment_module, '__file__', str(package / 'environment.py'))
    if change:
        (package / 'environment.py').write_text('changed')
    git = environment_module._git()
    assert len(git['commit']) == 40 and git['dirty'] is dirty


def test_other_code_is_other_software(tmp_path, monkeypatch):
    """Processes with another version of any module of the package know that they differ."""
    package = _checkout(tmp_path)
    monkeypatch.setattr(environment_module, '__file__', str(package / 'environment.py'))
    before = environment_module.software()
    assert before == environment_module.software() and before['numpy'] != 'None'
    (package / 'links').mkdir()
    (package / 'links/darknet19.py').write_text('changed')
    after = environment_module.software()
    assert {key for key in after if after[key] != before[key]} == {'code of yolo_dist'}


def test_git_of_somebody_else(tmp_path, monkeypatch):
    """Installed below another project's checkout, the package reports no commit."""
    _checkout(tmp_path)
    elsewhere = tmp_path / 'site-packages' / 'yolo_dist'
    elsewhere.mkdir(parents=True)
    monkeypatch.setattr(environment_module, '__file__', str(elsewhere / 'environment.py'))
    assert environment_module._git() is None


def _checkout(path):
    package = path / 'yolo_dist'
    package.mkdir()
    (package / 'environment.py').write_text('')
    for command in (['init', '-q'], ['add', 'yolo_dist'],
                    ['-c', 'user.name=t', '-c', 'user.email=t@example.org', 'commit', '-qm', '1']):
        subprocess.run(['git', *command], cwd=path, check=True)
    return package


def test_gpu_is_described(monkeypatch):
    """A GPU that CuPy shows is listed by name, memory and capability (CuPy is a fake)."""
    runtime = types.SimpleNamespace(
        CUDARuntimeError=RuntimeError, runtimeGetVersion=lambda: 12090, getDeviceCount=lambda: 1,
        getDeviceProperties=lambda i: {'name': b'GPU', 'totalGlobalMem': 80 * 2 ** 30,
                                       'major': 9, 'minor': 0})
    _fake_cupy(monkeypatch, runtime)
    found = environment()
    assert found['devices'] == [{'name': 'GPU', 'memory_gib': 80.0, 'compute_capability': '9.0'}]
    assert found['cuda']['available'] and found['cuda']['runtime'] == 12090
    assert found['cuda']['nccl'] == 23203 and found['cuda']['cudnn'] is None
    assert found['cuda']['cudnn_reason'] == "No module named 'cudnn'"


@pytest.mark.parametrize('is_disabled', (False, True))
def test_cudnn_is_described(monkeypatch, is_disabled):
    """Its version, and that it is this package's; or that the environment forbids it."""
    _fake_cupy(monkeypatch, types.SimpleNamespace(
        CUDARuntimeError=RuntimeError, runtimeGetVersion=lambda: 12090, getDeviceCount=lambda: 0))
    monkeypatch.setattr(cuda, 'cudnn_enabled', not is_disabled)
    monkeypatch.setattr(cuda, '_cudnn_disabled_by_user', is_disabled, raising=False)
    monkeypatch.setattr(cuda, 'cudnn', functions, raising=False)
    monkeypatch.setattr(cuda, 'libcudnn', types.SimpleNamespace(getVersion=lambda: 92800),
                        raising=False)
    found = environment()['cuda']
    assert (found['cudnn'], found['cudnn_by'], found['cudnn_reason']) == (
        (None, None, 'CHAINER_CUDNN=0 is set') if is_disabled else (92800, 'own', None))


def test_gpu_without_a_driver(monkeypatch):
    """CuPy that imports but meets no driver is a reason, not an error (CuPy is a fake)."""
    def fail():
        raise RuntimeError('driver version is insufficient\n\nInstall a newer one')
    _fake_cupy(monkeypatch, types.SimpleNamespace(
        CUDARuntimeError=RuntimeError, runtimeGetVersion=lambda: 12090, getDeviceCount=fail))
    found = environment()
    assert not found['cuda']['available'] and found['devices'] == []
    assert found['cuda']['reason'] == 'driver version is insufficient'  # and not the advice


def _fake_cupy(monkeypatch, runtime):
    nccl = types.ModuleType('cupy.cuda.nccl')
    nccl.available, nccl.get_version = True, lambda: 23203
    cupy_cuda = types.ModuleType('cupy.cuda')
    cupy_cuda.runtime, cupy_cuda.nccl = runtime, nccl
    cupy = types.ModuleType('cupy')
    cupy.cuda = cupy_cuda
    monkeypatch.setitem(sys.modules, 'cupy', cupy)
    monkeypatch.setitem(sys.modules, 'cupy.cuda', cupy_cuda)
    monkeypatch.setattr(cuda, 'cupy', cupy)
    monkeypatch.setattr(cuda, 'available', True)
    monkeypatch.setattr(cuda, 'cudnn_enabled', False)
    monkeypatch.setattr(cuda, '_cudnn_disabled_by_user', False, raising=False)
    monkeypatch.setattr(cuda, '_resolution_error', "No module named 'cudnn'", raising=False)
