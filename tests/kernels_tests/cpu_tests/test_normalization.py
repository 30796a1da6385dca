"""The kernels of batch normalisation and leaky ReLU against Chainer's own functions."""
import chainer
import chainer.functions as F
import numpy as np
import pytest

from yolo_dist.kernels.cpu import normalization
from yolo_dist.kernels.cpu.layout import channels_first, channels_last

# Relative to the largest value; Chainer's float32 mean and variance are rounded sums themselves.
TOLERANCES = {'float32': 1e-5, 'float64': 1e-12}
SHAPES = [(1, 3, 3, 5), (2, 8, 5, 7), (1, 70, 3, 3), (4, 1, 9, 1), (2, 16, 64, 64)]


def assert_close(actual, expected):
    scale = max(np.abs(expected).max(), 1e-30)
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=0, atol=TOLERANCES[str(expected.dtype)])


def draw(shape, dtype):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(3, 2, shape), rng.normal(1, .3, shape[1]), rng.normal(size=shape[1]),
              rng.normal(size=shape[1]), rng.uniform(1, 2, shape[1]), rng.normal(size=shape)]
    return [array.astype(dtype) for array in arrays]


def compute_by_chainer(x, gamma, beta, mean, var, gy, *, slope):
    """Output, gradients of the first three inputs, and the running statistics."""
    x, gamma, beta = map(chainer.Variable, (x, gamma, beta))
    mean, var = mean.copy(), var.copy()
    y = F.leaky_relu(F.batch_normalization(
        x, gamma, beta, eps=1e-5, running_mean=mean, running_var=var, decay=.9), slope)
    y.grad = gy
    y.backward()
    return y.array, x.grad, gamma.grad, beta.grad, mean, var


def compute(x, gamma, beta, running_mean, running_var, gy, *, slope):
    """The same by the kernels."""
    x, gy = channels_last(x), channels_last(gy)
    running_mean, running_var = running_mean.copy(), running_var.copy()
    mean, var = normalization.moments(x)
    inv_std = 1 / np.sqrt(var + x.dtype.type(1e-5))
    y = normalization.normalize(x, mean, gamma * inv_std, beta, slope)
    normalization.update_running_statistics(
        running_mean, running_var, mean, var, x.size // gamma.size, .9)
    gx, ggamma, gbeta = normalization.backward(x, gy, mean, inv_std, gamma, beta, slope)
    return channels_first(y), channels_first(gx), ggamma, gbeta, running_mean, running_var


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('slope', [1., .1])
def test_training_mode_agrees_with_chainer(slope, shape, dtype):
    """Output, gradients and unbiased running statistics agree."""
    arrays = draw(shape, dtype)
    for actual, expected in zip(compute(*arrays, slope=slope),
                                compute_by_chainer(*arrays, slope=slope), strict=True):
        assert actual.dtype == expected.dtype
        assert_close(actual, expected)


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_fixed_statistics_agree_with_chainer(shape, dtype):
    """The output is the same."""
    x, gamma, beta, mean, var, _ = draw(shape, dtype)
    expected = F.leaky_relu(
        F.fixed_batch_normalization(x, gamma, beta, mean, var, eps=1e-5), .1).array
    x = channels_last(x)
    scale = gamma / np.sqrt(var + var.dtype.type(1e-5))
    actual = normalization.normalize(x, mean, scale, beta, .1)
    assert_close(channels_first(actual), expected)


def test_threads_share_the_work(blas_threads):
    """Several threads compute the same as Chainer."""
    blas_threads(3)
    arrays = draw((2, 16, 65, 65), 'float64')
    for actual, expected in zip(compute(*arrays, slope=.1),
                                compute_by_chainer(*arrays, slope=.1), strict=True):
        assert_close(actual, expected)


def test_variance_beside_a_large_mean():
    """A mean a thousand times the deviation costs float32 no more than its rounding."""
    x = np.random.default_rng(0).normal(1000, 1, (4, 8, 20, 20)).astype('f')
    mean, var = normalization.moments(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    exact = x.astype('d').var(axis=(0, 2, 3))
    np.testing.assert_allclose(var, exact, rtol=1e-6)
    np.testing.assert_allclose(mean, x.astype('d').mean(axis=(0, 2, 3)), rtol=1e-6)
