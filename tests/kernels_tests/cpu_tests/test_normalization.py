"""Batch normalisation and leaky ReLU against Chainer's own functions."""
import chainer
import chainer.functions as F
import numpy as np
import pytest

from yolo_dist.kernels.cpu import normalization, using_cpu_backend

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


def compute(arrays, function, *, is_on):
    """Output, gradients of the first three inputs, and the running statistics."""
    x, gamma, beta = map(chainer.Variable, arrays[:3])
    mean, var = (array.copy() for array in arrays[3:5])
    with using_cpu_backend(is_on):
        y = function(x, gamma, beta, mean, var)
        y.grad = arrays[5]
        y.backward()
    return y.array, x.grad, gamma.grad, beta.grad, mean, var


def training(x, gamma, beta, mean, var):
    return F.batch_normalization(x, gamma, beta, eps=1e-5, running_mean=mean, running_var=var,
                                 decay=.9)


def fixed(x, gamma, beta, mean, var):
    return F.fixed_batch_normalization(x, gamma, beta, mean, var, eps=1e-5)


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('function', [training, fixed], ids=['training', 'fixed'])
def test_batch_normalization_agrees_with_chainer(function, shape, dtype):
    """Output, gradients and unbiased running statistics agree."""
    arrays = draw(shape, dtype)
    for actual, expected in zip(compute(arrays, function, is_on=True),
                                compute(arrays, function, is_on=False), strict=True):
        assert actual.dtype == expected.dtype
        assert_close(actual, expected)


def test_threads_share_the_work(blas_threads):
    """Several threads compute the same as Chainer."""
    blas_threads(3)
    arrays = draw((2, 16, 65, 65), 'float64')
    for actual, expected in zip(compute(arrays, training, is_on=True),
                                compute(arrays, training, is_on=False), strict=True):
        assert_close(actual, expected)


def test_variance_beside_a_large_mean():
    """A mean a thousand times the deviation costs float32 no more than its rounding."""
    x = np.random.default_rng(0).normal(1000, 1, (4, 8, 20, 20)).astype('f')
    mean, var = normalization.moments(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    exact = x.astype('d').var(axis=(0, 2, 3))
    np.testing.assert_allclose(var, exact, rtol=1e-6)
    np.testing.assert_allclose(mean, x.astype('d').mean(axis=(0, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('slope', [.1, 0., -.5])
@pytest.mark.parametrize('shape', [(7,), (2, 3, 4, 5), (3, 4)], ids=str)
def test_leaky_relu_agrees_with_chainer(shape, slope, dtype):
    """Values and gradient agree to the last bit, at zero and for any slope."""
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    x.flat[:2] = 0, -0.

    def run(is_on):
        variable = chainer.Variable(x)
        with using_cpu_backend(is_on):
            y = F.leaky_relu(variable, slope=slope)
            F.sum(y * y).backward()
        return y.array, variable.grad
    for actual, expected in zip(run(True), run(False), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_other_axes_and_shapes_are_left_to_chainer():
    """Normalisation of vectors, and over other axes, gives Chainer's result."""
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype('f')
    for axis, size in ((0, (3, 2, 2)), ((0, 2), (3, 2))):
        results = []
        for is_on in (True, False):
            with using_cpu_backend(is_on):
                results.append(F.batch_normalization(
                    x, np.ones(size, 'f'), np.zeros(size, 'f'), axis=axis).array)
        np.testing.assert_array_equal(*results)
