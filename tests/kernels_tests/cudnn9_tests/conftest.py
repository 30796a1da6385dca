"""cuDNN without a GPU: doubles of the frontend and of libcudnn, arrays of NumPy for CuPy's."""
import importlib
import pathlib
import sys

import chainer
import numpy as np
import pytest
from chainer.backends import cuda
from chainer.functions.connection import convolution_2d, deconvolution_2d
from chainer.functions.pooling import max_pooling_nd

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from frontend_double import Frontend
from libcudnn_double import Libcudnn

from yolo_dist.kernels.cpu import using_cpu_backend
from yolo_dist.kernels.cudnn9 import constants, convolution, device, functions, library

# The functions of Chainer that choose between CPU and GPU by the type of the array.
_ON_DEVICE = (convolution_2d.Convolution2DFunction, convolution_2d.Convolution2DGradW,
              deconvolution_2d.Deconvolution2DFunction, max_pooling_nd.MaxPoolingND,
              max_pooling_nd.MaxPoolingNDGrad)

# Those of its modules that bind cuDNN's names when they are imported where there is one.
_MODULES = ('connection.convolution_2d', 'connection.deconvolution_2d',
            'normalization.batch_normalization', 'pooling.pooling_nd', 'pooling.max_pooling_nd',
            'activation.log_softmax', 'activation.softmax')


@pytest.fixture
def frontend(monkeypatch):
    """The double of the frontend, in the place of `cudnn`; the GPU is an H100."""
    double = Frontend()
    monkeypatch.setitem(sys.modules, 'cudnn', double)
    handle = object()
    buffers = []

    class Workspace:
        def __init__(self, n_bytes):
            buffers.append(np.empty(n_bytes, np.uint8))
            self.ptr = buffers[-1].ctypes.data

    def milliseconds(function):
        before = double.elapsed
        function()
        return double.elapsed - before
    for name, replacement in {
            'contiguous': np.ascontiguousarray, 'empty': np.empty,
            'pointer': lambda array: array.ctypes.data, 'number': lambda: 0,
            'compute_capability': lambda: 90, 'workspace': Workspace, 'handle': lambda: handle,
            'milliseconds': milliseconds}.items():
        monkeypatch.setattr(device, name, replacement)
    monkeypatch.setattr(convolution, '_plans', {})
    monkeypatch.setattr(convolution, '_max_workspace_size', 1 << 30)
    return double


@pytest.fixture
def libcudnn(monkeypatch, frontend):
    """The double of libcudnn, besides that of the frontend."""
    double = Libcudnn()
    monkeypatch.setattr(library, '_library', double)
    monkeypatch.setattr(library, 'raw_handle', lambda handle: 1)
    caches = library.tensor, library.normalization, library.pooling, library.activation
    for cache in caches:
        cache.cache_clear()
    yield double
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def chainer_on_cudnn(monkeypatch, frontend, libcudnn):
    """Chainer's own code for GPUs and cuDNN runs on NumPy's arrays, down to the doubles."""
    for name, value in {'cupy': np, 'cudnn': functions, 'libcudnn': constants,
                        'cudnn_enabled': True, '_cudnn_version': 92800}.items():
        monkeypatch.setattr(cuda, name, value, raising=False)
    algorithms = {'log_softmax': constants.CUDNN_SOFTMAX_LOG,
                  'softmax': constants.CUDNN_SOFTMAX_ACCURATE}
    for name in _MODULES:
        module = importlib.import_module(f'chainer.functions.{name}')
        for key, value in {
                'cudnn': functions, 'libcudnn': constants, '_cudnn_version': 92800,
                '_algorithm': algorithms.get(name.rpartition('.')[2])}.items():
            monkeypatch.setattr(module, key, value, raising=False)
    for function in _ON_DEVICE:
        monkeypatch.setattr(function, 'forward', lambda self, inputs: self.forward_gpu(inputs))
    monkeypatch.setattr(chainer.backend, '_guess_device_from_array_module',
                        lambda xp: chainer.get_device('@numpy'))
    with using_cpu_backend(False):
        yield libcudnn
