"""Every function that Chainer calls cuDNN for, against its own kernels and float64."""
import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer.backends import cuda

from yolo_dist.benchmarks import workloads

pytestmark = pytest.mark.gpu

NCHW, NHWC = 0, 1

# Relative to the largest value. Float32 sums of up to 90,000 products in another order; TF32 and
# float16 have 10 bits, and float16 results are rounded to them once more.
TOLERANCES = {'float32': 1e-4, 'tf32': 3e-3, 'float16': 3e-3}
# The persistent kernels of batch normalisation add up scaled integers.
PERSISTENT, PERSISTENT_TOLERANCE = 2, 3e-3

# Input size, pixels: the shapes of 608 px, but for planes of 4/9 of the size.
SIZES = {'darknet19': 224, 'darknet53': 224, 'yolo_v2': 416, 'yolo_v3': 416}


def draw(device, *shape, dtype='f', seed=0):
    return device.send(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def error(found, expected):
    """Largest difference relative to the largest value."""
    found, expected = (cuda.to_cpu(array).astype(np.float64) for array in (found, expected))
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)


def convolutions_of(name, device):
    """What the convolutions of a network are called with: x, w, stride, pad."""
    found = set()

    class Recorder(chainer.LinkHook):
        name = 'Recorder'

        def forward_preprocess(self, args):
            if isinstance(args.link, chainer.links.Convolution2D):
                link = args.link
                found.add((args.args[0].shape, link.W.shape, link.stride, link.pad))
    model = workloads.build_model(name, width=1.)
    model.to_device(device)
    imgs = device.send(np.zeros((2, 3, SIZES[name], SIZES[name]), np.uint8))
    with Recorder(), chainer.using_config('train', False), chainer.no_backprop_mode():
        model(imgs)
    return sorted(found)


def without_cudnn(x, w, gy, stride, pad):
    """The convolution and its gradients by im2col and matrix products."""
    with chainer.using_config('use_cudnn', 'never'):
        variables = chainer.Variable(x), chainer.Variable(w)
        y = F.convolution_2d(*variables, stride=stride, pad=pad)
        y.grad = gy
        y.backward()
    return y.array, variables[0].grad, variables[1].grad


def lay(array, layout):
    return cuda.cupy.ascontiguousarray(array.transpose(0, 2, 3, 1)) if layout == NHWC else array


def semantic(array, layout):
    return array.transpose(0, 3, 1, 2) if layout == NHWC else array


def with_cudnn(x, w, gy, stride, pad, *, layout, tensor_core):
    settings = {'pad': pad, 'stride': stride, 'dilation': (1, 1), 'groups': 1,
                'auto_tune': False, 'tensor_core': tensor_core, 'd_layout': layout,
                'w_layout': layout}
    x, w, gy = (lay(array, layout) for array in (x, w, gy))
    y, gx, gw = (cuda.cupy.empty_like(array) for array in (gy, x, w))
    cuda.cudnn.convolution_forward(x, w, None, y, **settings)
    cuda.cudnn.convolution_backward_data(w, gy, None, gx, deterministic=False, **settings)
    cuda.cudnn.convolution_backward_filter(x, gy, gw, deterministic=False, **settings)
    return [semantic(array, layout) for array in (y, gx, gw)]


@pytest.mark.parametrize('layout', [NCHW, NHWC], ids=['NCHW', 'NHWC'])
@pytest.mark.parametrize('precision', ['float32', 'tf32', 'float16'])
@pytest.mark.parametrize('name', list(SIZES))
def test_convolutions_of_the_networks(gpu, name, precision, layout):
    """All shapes of a network, both gradients, against float64 and against im2col."""
    dtype = 'e' if precision == 'float16' else 'f'
    for x_shape, w_shape, stride, pad in convolutions_of(name, gpu):
        x = draw(gpu, *x_shape, dtype=dtype)
        w = draw(gpu, *w_shape, dtype=dtype, seed=1)
        h, w_out = ((x_shape[2 + i] + 2 * pad[i] - w_shape[2 + i]) // stride[i] + 1
                    for i in (0, 1))
        gy = draw(gpu, x_shape[0], w_shape[0], h, w_out, dtype=dtype, seed=2)
        found = with_cudnn(x, w, gy, stride, pad, layout=layout,
                           tensor_core='always' if precision == 'tf32' else 'auto')
        exact = without_cudnn(*(array.astype('d') for array in (x, w, gy)), stride, pad)
        chainers = without_cudnn(x.astype('f'), w.astype('f'), gy.astype('f'), stride, pad)
        for what, a, b, c in zip(('y', 'gx', 'gw'), found, exact, chainers, strict=True):
            assert error(a, b) < TOLERANCES[precision], (what, x_shape, w_shape)
            assert error(a, c) < 2 * TOLERANCES[precision], (what, x_shape, w_shape)


def test_tuned_plans_compute_the_same(gpu):
    """With autotune the first and the second call give the numbers of the untuned plan."""
    x, w = draw(gpu, 4, 64, 56, 56), draw(gpu, 128, 64, 3, 3, seed=1)
    with chainer.using_config('autotune', False):
        expected = F.convolution_2d(x, w, pad=1).array
    with chainer.using_config('autotune', True):
        for _ in range(2):
            assert error(F.convolution_2d(x, w, pad=1).array, expected) < 1e-4


def test_deterministic_gradients_repeat(gpu):
    """Under cudnn_deterministic two passes agree to the last bit."""
    x, w = draw(gpu, 4, 64, 56, 56), draw(gpu, 128, 64, 3, 3, seed=1)

    def gradients():
        variables = chainer.Variable(x), chainer.Variable(w)
        F.sum(F.convolution_2d(*variables, pad=1) ** 2).backward()
        return [cuda.to_cpu(variable.grad) for variable in variables]
    with chainer.using_config('cudnn_deterministic', True):
        for first, second in zip(gradients(), gradients(), strict=True):
            np.testing.assert_array_equal(first, second)


def draw_planes(device, n, c, h, w):
    """Planes without equal values in a window of 2 x 2, also when rounded to float16: which of
    two maxima has the gradient is not said."""
    rng = np.random.default_rng(0)
    order = rng.permuted(np.tile(np.arange(4.), (n, c, h // 2, w // 2, 1)), axis=-1)
    values = order - 1.5 + rng.uniform(-.3, .3, order.shape)
    windows = values.reshape(n, c, h // 2, w // 2, 2, 2)
    return device.send(windows.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h, w).astype('f'))


def run(function, x, gy, dtype, use_cudnn):
    """Output and gradient of a function, in a dtype, with cuDNN or without."""
    x, gy = chainer.Variable(x.astype(dtype)), gy.astype(dtype)
    with chainer.using_config('use_cudnn', use_cudnn):
        y = function(x)
        y.grad = gy
        y.backward()
    return y.array, x.grad


@pytest.mark.parametrize('dtype', 'fe')
@pytest.mark.parametrize('function, shape, y_shape', [
    (lambda x: F.max_pooling_2d(x, 2), (4, 32, 112, 112), (4, 32, 56, 56)),
    (lambda x: F.average_pooling_2d(x, 2), (4, 32, 112, 112), (4, 32, 56, 56)),
    (lambda x: F.softmax(x, axis=2), (2, 100, 20), (2, 100, 20)),
    (lambda x: F.log_softmax(x, axis=1), (32, 1000), (32, 1000)),
    (F.sigmoid, (3, 5, 7), (3, 5, 7)), (F.relu, (3, 5, 7), (3, 5, 7)),
    (F.tanh, (3, 5, 7), (3, 5, 7))],
    ids=['max pooling', 'average pooling', 'softmax', 'log softmax', 'sigmoid', 'relu', 'tanh'])
def test_other_functions(gpu, dtype, function, shape, y_shape):
    """Output and gradient against float64 and against Chainer's own kernels."""
    # What float16 rounds is the same for all.
    x = (draw_planes if len(shape) == 4 else draw)(gpu, *shape).astype(dtype)
    gy = draw(gpu, *y_shape, seed=1).astype(dtype)
    found = run(function, x, gy, dtype, 'always')
    tolerance = TOLERANCES['float16' if dtype == 'e' else 'float32']
    for other in (run(function, x, gy, 'd', 'never'), run(function, x, gy, dtype, 'never')):
        for a, b in zip(found, other, strict=True):
            assert error(a, b) < tolerance


def normalize(x, gy, gamma, beta, *, layout, mode):
    """cuDNN's batch normalisation of a layout: all that it gives, and at inference."""
    cudnn = cuda.cudnn
    x, gy = lay(x, layout), lay(gy, layout)
    running = cuda.cupy.zeros_like(gamma), cuda.cupy.ones_like(gamma)
    reserve, y, mean, inv_std = cudnn.batch_normalization_forward_training_ex(
        x, gamma, beta, *running, None, None, 1e-5, .9, True, mode, False, d_layout=layout)
    gx, ggamma, gbeta = cudnn.batch_normalization_backward(
        x, gamma, gy, mean, inv_std, 1e-5, True, mode, False, d_layout=layout,
        reserve_space=reserve)
    z = cudnn.batch_normalization_forward_inference(
        x, gamma, beta, *running, 1e-5, True, 1, d_layout=layout)
    return [*(semantic(array, layout) for array in (y, gx, z)), ggamma, gbeta, *running]


def normalize_exactly(x, gy, gamma, beta):
    """The same by its formulas, in float64 on the host."""
    x, gy, gamma, beta = (cuda.to_cpu(a).astype('d') for a in (x, gy, gamma, beta))
    axes, along = (0, 2, 3), (slice(None), None, None)
    n = x.size / len(gamma)
    mean, var = x.mean(axes), x.var(axes)
    x_hat = (x - mean[along]) / np.sqrt(var + 1e-5)[along]
    ggamma, gbeta = (gy * x_hat).sum(axes), gy.sum(axes)
    gx = (gamma / np.sqrt(var + 1e-5))[along] * (
        gy - (x_hat * ggamma[along] + gbeta[along]) / n)
    running = .1 * mean, .9 + .1 * var * n / (n - 1)
    z = (x - running[0][along]) / np.sqrt(running[1] + 1e-5)[along]
    return [gamma[along] * x_hat + beta[along], gx, gamma[along] * z + beta[along], ggamma, gbeta,
            *running]


@pytest.mark.parametrize('layout', [NCHW, NHWC], ids=['NCHW', 'NHWC'])
@pytest.mark.parametrize('mode', [1, PERSISTENT], ids=['spatial', 'persistent'])
@pytest.mark.parametrize('dtype', 'fe')
@pytest.mark.parametrize('shape', [(4, 32, 112, 112), (2, 1024, 13, 13), (2, 21, 7, 5)])
def test_batch_normalization(gpu, shape, dtype, mode, layout):
    """Both kernels of cuDNN, any number of channels, float16 arrays with float32 parameters."""
    x, gy = draw(gpu, *shape, dtype=dtype), draw(gpu, *shape, dtype=dtype, seed=1)
    gamma, beta = draw(gpu, shape[1], seed=2), draw(gpu, shape[1], seed=3)
    found = normalize(x, gy, gamma, beta, layout=layout, mode=mode)
    tolerance = TOLERANCES['float16' if dtype == 'e' else 'float32']
    if mode == PERSISTENT:
        tolerance = max(tolerance, PERSISTENT_TOLERANCE)
    for a, b in zip(found, normalize_exactly(x, gy, gamma, beta), strict=True):
        assert error(a, b) < tolerance
