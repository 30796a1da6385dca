"""What libcudnn computes, called through Chainer, against Chainer's own code; on doubles."""
import ctypes

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
import pytest

from yolo_dist.kernels.cpu import using_cpu_backend
from yolo_dist.kernels.cudnn9 import constants, functions, library


def draw(*shape, dtype='f'):
    return np.random.normal(size=shape).astype(dtype)


def train(function, x, gy, *links):
    """Output, gradient of x, gradients of the parameters."""
    x = chainer.Variable(x)
    y = function(x)
    y.grad = gy.astype(y.dtype)
    for link in links:
        link.cleargrads()
    y.backward()
    return [y.array, x.grad, *(param.grad for link in links for _, param in
                               sorted(link.namedparams()))]


def assert_all_close(found, expected, atol=1e-5):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.astype('d'), b.astype('d'), rtol=1e-4, atol=atol)


@pytest.fixture
def reference():
    """Runs a function as Chainer does on NumPy arrays by itself."""
    def reference(function, *args):
        with using_cpu_backend(False):
            return function(*args)
    return reference


def normalization(dtype, statistics):
    link = L.BatchNormalization(4, decay=.7, eps=1e-4, dtype=chainer.mixed16 if dtype == 'e'
                                else dtype)
    link.gamma.array[...], link.beta.array[...] = draw(4), draw(4)
    link.avg_mean[...], link.avg_var[...] = statistics
    return link


@pytest.mark.parametrize('dtype', 'efd')
@pytest.mark.parametrize('is_fast', (False, True))
def test_batch_normalization(reference, request, dtype, is_fast):
    """Output, gradients and running statistics; float16 arrays have float32 parameters."""
    np.random.seed(1)
    x, gy = draw(3, 4, 5, 2, dtype=dtype), draw(3, 4, 5, 2, dtype=dtype)
    statistics = draw(4), draw(4) ** 2

    def run():
        np.random.seed(2)
        link = normalization(dtype, statistics)
        return [*train(link, x, gy, link), link.avg_mean, link.avg_var]
    expected = reference(run)
    libcudnn = request.getfixturevalue('chainer_on_cudnn')
    with chainer.using_config('cudnn_fast_batch_normalization', is_fast):
        assert_all_close(run(), expected, atol=3e-3 if dtype == 'e' else 1e-5)
    assert libcudnn.calls.count('cudnnBatchNormalizationBackwardEx') == 1


def test_running_statistics_of_another_dtype(libcudnn):
    """Statistics in float16 are moved, too, though cuDNN wants them in float32."""
    x, gamma = draw(2, 3, 4, 4), np.ones(3, 'f')
    mean, var = np.zeros(3, 'e'), np.ones(3, 'e')
    functions.batch_normalization_forward_training_ex(
        x, gamma, gamma, mean, var, None, None, 1e-5, .5, True, constants.CUDNN_BATCHNORM_SPATIAL,
        False)
    np.testing.assert_allclose(mean, x.mean((0, 2, 3)) / 2, atol=1e-3)
    np.testing.assert_allclose(var, .5 + x.var((0, 2, 3), ddof=1) / 2, atol=1e-3)


@pytest.mark.parametrize('mode', (constants.CUDNN_BATCHNORM_SPATIAL,
                                  constants.CUDNN_BATCHNORM_SPATIAL_PERSISTENT))
def test_batch_normalization_with_channels_last(libcudnn, mode):
    """The layout of x changes where its numbers lie, not the numbers."""
    x, gy, gamma, beta = draw(2, 3, 4, 5), draw(2, 3, 4, 5), draw(3), draw(3)
    results = []
    for layout in (constants.CUDNN_TENSOR_NCHW, constants.CUDNN_TENSOR_NHWC):
        axes = (0, 2, 3, 1) if layout else (0, 1, 2, 3)
        back = (0, 3, 1, 2) if layout else (0, 1, 2, 3)
        running = np.zeros(3, 'f'), np.ones(3, 'f')
        reserve, y, mean, inv_std = functions.batch_normalization_forward_training_ex(
            x.transpose(axes), gamma, beta, *running, None, None, 1e-5, .9, True, mode, False,
            d_layout=layout)
        gx, ggamma, gbeta = functions.batch_normalization_backward(
            x.transpose(axes), gamma, gy.transpose(axes), mean, inv_std, 1e-5, True, mode, False,
            d_layout=layout, reserve_space=reserve)
        z = functions.batch_normalization_forward_inference(
            x.transpose(axes), gamma, beta, *running, 1e-5, True, mode, d_layout=layout)
        assert y.shape == gx.shape == tuple(np.array(x.shape)[list(axes)])
        results.append([y.transpose(back), gx.transpose(back), z.transpose(back), ggamma, gbeta,
                        *running])
    assert_all_close(*results)


@pytest.mark.parametrize('dtype', 'efd')
def test_fixed_batch_normalization(reference, request, dtype):
    """At inference the running statistics normalise."""
    x, statistics = draw(3, 4, 5, 2, dtype=dtype), (draw(4), draw(4) ** 2)

    def run():
        np.random.seed(2)
        with chainer.using_config('train', False):
            return [normalization(dtype, statistics)(x).array]
    expected = reference(run)
    libcudnn = request.getfixturevalue('chainer_on_cudnn')
    assert_all_close(run(), expected, atol=3e-3 if dtype == 'e' else 1e-5)
    assert 'cudnnBatchNormalizationForwardInference' in libcudnn.calls


@pytest.mark.parametrize('x_shape', [(5, 4), (2, 3, 4)])
def test_batch_normalization_along_the_last_axis(reference, request, x_shape):
    """Statistics of each value of the last axis, as after a linear link."""
    x, gy, (gamma, beta) = draw(*x_shape), draw(*x_shape), draw(2, 4)
    axis = tuple(range(len(x_shape) - 1))

    def run():
        return train(lambda x: F.batch_normalization(x, gamma, beta, axis=axis), x, gy)
    expected = reference(run)
    libcudnn = request.getfixturevalue('chainer_on_cudnn')
    assert_all_close(run(), expected)
    assert 'cudnnBatchNormalizationForwardTrainingEx' in libcudnn.calls


@pytest.mark.parametrize('dtype', 'ef')
@pytest.mark.parametrize('ksize, stride, pad', [(2, 2, 0), (3, (2, 1), 1), ((2, 3), 2, (0, 1))])
def test_max_pooling(reference, request, dtype, ksize, stride, pad):
    """Maxima and their gradients; windows, steps and edges may differ by axis."""
    x = draw(2, 3, 8, 7, dtype=dtype)

    def run():
        np.random.seed(3)
        gy = draw(*F.max_pooling_2d(x, ksize, stride, pad).shape)
        return train(lambda x: F.max_pooling_2d(x, ksize, stride, pad), x, gy)
    expected = reference(run)
    libcudnn = request.getfixturevalue('chainer_on_cudnn')
    assert_all_close(run(), expected, atol=1e-2 if dtype == 'e' else 1e-5)
    assert 'cudnnPoolingBackward' in libcudnn.calls


def test_deterministic_pooling_is_another_mode(chainer_on_cudnn):
    """cudnn_deterministic reaches cuDNN as a mode of pooling."""
    x = draw(1, 1, 4, 4)
    with chainer.using_config('cudnn_deterministic', True):
        F.max_pooling_2d(x, 2)
    F.max_pooling_2d(x, 2)
    modes = [values[0] for values in chainer_on_cudnn.descriptors.values() if len(values) == 4]
    assert modes == [constants.CUDNN_POOLING_MAX_DETERMINISTIC, constants.CUDNN_POOLING_MAX]


def test_average_pooling(libcudnn):
    """Means of windows, of which edges count as zeros."""
    x = draw(2, 3, 4, 6)
    y = np.empty((2, 3, 2, 3), 'f')
    pool = {'ksize': (2, 2), 'stride': (2, 2), 'pad': (0, 0),
            'mode': constants.CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING}
    assert functions.pooling_forward(x, y, **pool) is y
    np.testing.assert_allclose(y, x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)), atol=1e-6)
    gx = functions.pooling_backward(x, y, y, **pool)
    np.testing.assert_allclose(gx, np.repeat(np.repeat(y, 2, 2), 2, 3) / 4, atol=1e-6)


@pytest.mark.parametrize('shape, axis', [((3, 5), 1), ((2, 3, 4), 2), ((2, 3, 4), -1),
                                         ((2, 5, 3, 4), 1), ((4, 3), 0)])
@pytest.mark.parametrize('function', [F.softmax, F.log_softmax])
def test_softmax(reference, request, function, shape, axis):
    """Softmax and its logarithm along any axis, and their gradients."""
    x, gy = draw(*shape), draw(*shape)

    def run():
        return train(lambda x: function(x, axis=axis), x, gy)
    expected = reference(run)
    libcudnn = request.getfixturevalue('chainer_on_cudnn')
    assert_all_close(run(), expected)
    assert 'cudnnSoftmaxForward' in libcudnn.calls


@pytest.mark.parametrize('mode, function', [
    (constants.CUDNN_ACTIVATION_SIGMOID, F.sigmoid), (constants.CUDNN_ACTIVATION_RELU, F.relu),
    (constants.CUDNN_ACTIVATION_TANH, F.tanh),
    (constants.CUDNN_ACTIVATION_CLIPPED_RELU, lambda x: F.clipped_relu(x, .5))])
@pytest.mark.parametrize('dtype', 'fd')
def test_activations(reference, libcudnn, mode, function, dtype):
    """Each activation and its gradient, of any shape and order in memory."""
    x, gy = draw(3, 4, 5, dtype=dtype).transpose(1, 2, 0), draw(4, 5, 3, dtype=dtype)
    expected = reference(train, function, x, gy)
    y = functions.activation_forward(x, mode, .5)
    assert_all_close([y, functions.activation_backward(x, y, gy, mode, .5)], expected)


def test_result_that_is_not_contiguous(libcudnn):
    """Pooling writes into contiguous memory only, and says so."""
    with pytest.raises(ValueError, match='not contiguous'):
        functions.pooling_forward(draw(1, 1, 4, 4), np.empty((1, 1, 2, 2), 'f')[..., ::-1],
                                  (2, 2), (2, 2), (0, 0), constants.CUDNN_POOLING_MAX)


def test_an_error_is_said_in_cudnns_words(libcudnn):
    """The name of the function and cuDNN's own text."""
    descriptor = library.tensor('f', (1, 1, 1, 1), (1, 1, 1, 1))
    x = np.zeros(1, 'f')
    with pytest.raises(library.CudnnError,
                       match='cudnnSoftmaxForward: CUDNN_STATUS_BAD_PARAM'):
        library.call('cudnnSoftmaxForward', 1, ctypes.c_int(1), ctypes.c_int(1),
                     library.zero(x.dtype), descriptor, x.ctypes.data, library.zero(x.dtype),
                     descriptor, x.ctypes.data)


def test_descriptors_are_made_once(libcudnn):
    """Each shape has one descriptor for the length of the run."""
    for _ in range(3):
        functions.softmax_forward(draw(2, 3), 1, constants.CUDNN_SOFTMAX_LOG)
    assert libcudnn.calls.count('cudnnCreateTensorDescriptor') == 1
