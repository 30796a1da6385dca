"""Which cuDNN Chainer gets, and what is said where there is none."""
import ctypes
import sys
import types

import pytest
from libcudnn_double import Libcudnn

from yolo_dist.kernels.cudnn9 import choice, constants, functions, library


class Loaded(Libcudnn):
    """The library as ctypes shows it: functions have a `restype`."""

    class Function:
        def __init__(self, function):
            self.call = function

        def __call__(self, *arguments):
            return self.call(*arguments)

    def __init__(self):
        super().__init__()
        self.cudnnGetVersion = self.Function(lambda: 92800)
        self.cudnnGetErrorString = self.Function(lambda status: b'')


@pytest.fixture
def installed(monkeypatch):
    """A function that says what is installed besides CuPy: ``installed(cupys=, frontend=)``."""
    def install(*, cupys=None, frontend=None, finds_library=True):
        names = ('cupy', 'cupy.cuda', 'cupy.cuda.cudnn', 'cupyx', 'cupyx.cudnn', 'cudnn')
        modules = {name: types.ModuleType(name) for name in names}
        for name in ('cupy.cuda.cudnn', 'cupyx.cudnn'):
            parent, _, child = name.rpartition('.')
            if cupys:
                setattr(modules[parent], child, modules[name])
            else:
                modules[name] = None
        modules['cupy'].cuda = modules['cupy.cuda']
        modules['cudnn'] = frontend
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

        def load_library(name):
            assert name == 'libcudnn.so.9'
            if not finds_library:
                raise OSError(f'{name}: cannot open shared object file')
            return Loaded()
        monkeypatch.setattr(ctypes, 'CDLL', load_library)
        monkeypatch.setattr(library, '_library', None)
        return modules
    return install


def frontend(version):
    """The module ``cudnn`` of a frontend that has loaded a library of a version."""
    module = types.ModuleType('cudnn')
    module.backend_version = lambda: version
    return module


def test_cupys_own_comes_first(installed):
    """CuPy 13 with its cuDNN 8 keeps it, whatever else is installed."""
    modules = installed(cupys=True, frontend=frontend(92800))
    found = choice.load()
    assert found == (modules['cupyx.cudnn'], modules['cupy.cuda.cudnn'])
    assert choice.name_of(found[0]) == "CuPy's"


def test_own_where_cupy_has_none(installed):
    """With CuPy 14 it is cuDNN 9 through the frontend, with its version."""
    installed(frontend=frontend(92800))
    found = choice.load()
    assert found == (functions, constants)
    assert choice.name_of(found[0]) == 'own'
    assert constants.getVersion() == 92800


@pytest.mark.parametrize('found, message', [
    ({}, 'cudnn'),
    ({'frontend': frontend(8907)}, r'cuDNN 8907 is too old, 9\.0 is needed'),
    ({'frontend': frontend(92800), 'finds_library': False}, 'finds no cuDNN 9: libcudnn.so.9')])
def test_none(installed, found, message):
    """What is missing is said by the error, which is Chainer's way to fall back."""
    installed(**found)
    with pytest.raises(ImportError, match=message):
        choice.load()


def test_frontend_without_a_library(installed):
    """A frontend that has found no cuDNN fails with another error, which is translated."""
    def backend_version():
        raise RuntimeError('Unable to find symbol cudnnGetVersion')
    module = types.ModuleType('cudnn')
    module.backend_version = backend_version
    installed(frontend=module)
    with pytest.raises(ImportError, match='finds no cuDNN 9: Unable to find symbol'):
        choice.load()


def test_constants_are_cudnns():
    """Every name that Chainer reads is there, with the value of cuDNN's header files."""
    expected = {
        'TENSOR_NCHW': 0, 'TENSOR_NHWC': 1, 'BATCHNORM_PER_ACTIVATION': 0, 'BATCHNORM_SPATIAL': 1,
        'BATCHNORM_SPATIAL_PERSISTENT': 2, 'POOLING_MAX': 0,
        'POOLING_AVERAGE_COUNT_INCLUDE_PADDING': 1, 'POOLING_AVERAGE_COUNT_EXCLUDE_PADDING': 2,
        'POOLING_MAX_DETERMINISTIC': 3, 'SOFTMAX_ACCURATE': 1, 'SOFTMAX_LOG': 2,
        'ACTIVATION_SIGMOID': 0, 'ACTIVATION_RELU': 1, 'ACTIVATION_TANH': 2,
        'ACTIVATION_CLIPPED_RELU': 3, 'BN_MIN_EPSILON': 0., 'UNIDIRECTIONAL': 0,
        'BIDIRECTIONAL': 1, 'RNN_RELU': 0, 'RNN_TANH': 1, 'LSTM': 2, 'GRU': 3,
        'SAMPLER_BILINEAR': 0}
    assert {name.removeprefix('CUDNN_'): value for name, value in vars(constants).items()
            if name.startswith('CUDNN_')} == expected
