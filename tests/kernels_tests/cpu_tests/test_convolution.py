"""Every convolution kernel against Chainer's own function."""
import chainer
import chainer.functions as F
import numpy as np
import pytest

from yolo_dist.kernels.cpu import (
    conv_algorithms,
    convolution_2d,
    using_cpu_backend,
    wide_pixels,
)
from yolo_dist.kernels.cpu.conv_algorithms import get_geometry

# Relative to the largest value: sums of up to 8,550 products, in another order.
TOLERANCES = {'float32': 1e-5, 'float64': 1e-13}

# Batch, channels in and out, height, width, ksize, stride, pad, algorithm.
CASES = [
    (1, 3, 5, 5, 5, 1, 1, 0, 'pointwise'),
    (3, 40, 17, 2, 9, 1, 1, 0, 'pointwise'),
    (2, 17, 9, 7, 5, 3, 1, 1, 'winograd'),
    (1, 8, 8, 1, 1, 3, 1, 1, 'winograd'),
    (3, 40, 33, 6, 8, 3, 1, 0, 'winograd'),
    (2, 64, 24, 28, 27, 3, 1, 1, 'winograd'),
    (1, 9, 8, 90, 95, 3, 1, 1, 'winograd'),
    (2, 17, 9, 7, 5, 3, 2, 1, 'im2col'),
    (1, 9, 3, 1, 1, 3, 2, 1, 'im2col'),
    (5, 12, 7, 9, 30, 1, 2, 0, 'im2col'),
    (2, 16, 4, 6, 7, 3, 1, 1, 'im2col'),
    (2, 8, 5, 9, 8, 5, 3, 2, 'im2col'),
    (1, 8, 8, 150, 141, 3, 2, 1, 'im2col'),
    (2, 3, 8, 13, 10, 3, 1, 1, 'few_channels'),
    (1, 3, 2, 200, 33, 3, 2, 1, 'few_channels'),
    (2, 1, 4, 5, 6, 5, 1, 2, 'few_channels'),
    (3, 7, 4, 4, 4, 2, 2, 0, 'few_channels'),
    (2, 3, 4, 12, 32, 3, 1, 1, 'few_channels'),
    (1, 4, 3, 9, 47, 5, 3, 2, 'few_channels'),
    (3, 9, 5, 11, 24, 3, 2, 1, 'im2col'),
    (1, 256, 40, 17, 14, 3, 1, 1, 'winograd'),
    (2, 16, 8, 13, 31, 3, 1, 1, 'winograd'),
    (1, 12, 9, 17, 20, 3, 1, 0, 'winograd'),
]


def assert_close(actual, expected):
    """Agreement relative to the largest value."""
    scale = max(np.abs(expected).max(), 1e-30)
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=0, atol=TOLERANCES[str(expected.dtype)])


def compute(arrays, stride, pad, *, is_on):
    """Output and gradients, with the kernels or by Chainer's own function."""
    *inputs, gy = arrays
    inputs = [chainer.Variable(array) for array in inputs]
    with using_cpu_backend(is_on):
        y = convolution_2d(*inputs, stride=(stride, stride), pad=(pad, pad))
        y.grad = gy
        y.backward()
    return y.array, *(variable.grad for variable in inputs)


def draw(case, dtype, *, bias=False):
    """Inputs, and a gradient of the output."""
    batch, n_in, n_out, height, width, ksize, stride, pad, _ = case
    rng = np.random.default_rng(0)
    out = [(size + 2 * pad - ksize) // stride + 1 for size in (height, width)]
    shapes = [(batch, n_in, height, width), (n_out, n_in, ksize, ksize)]
    shapes += [(n_out,)] if bias else []
    return [rng.normal(size=shape).astype(dtype) for shape in (*shapes, (batch, n_out, *out))]


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_convolution_agrees_with_chainer(case, dtype):
    """Output and gradients agree at odd sizes, batch 1, with and without padding and stride."""
    *_, ksize, stride, pad, algorithm = case
    arrays = draw(case, dtype)
    assert get_geometry(arrays[1].shape, (stride, stride), (pad, pad)).algorithm == algorithm
    for actual, expected in zip(compute(arrays, stride, pad, is_on=True),
                                compute(arrays, stride, pad, is_on=False), strict=True):
        assert actual.dtype == expected.dtype
        assert_close(actual, expected)


@pytest.mark.parametrize('n_threads', [2, 3])
@pytest.mark.parametrize('case', CASES, ids=str)
def test_threads_share_the_work(case, n_threads, blas_threads):
    """Several threads compute the same as Chainer, also where there is less work than threads."""
    blas_threads(n_threads)
    *_, stride, pad, _ = case
    arrays = draw(case, 'float64')
    for actual, expected in zip(compute(arrays, stride, pad, is_on=True),
                                compute(arrays, stride, pad, is_on=False), strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('case', [case for case in CASES if case[2] <= 8 and case[-1] in (
    'few_channels', 'im2col')], ids=str)
def test_pixels_computed_as_one_give_the_same(case, dtype, monkeypatch):
    """The output has the same bits as if pixels were computed one by one; gradients agree."""
    x, w, gy = draw(case, dtype)
    geometry = get_geometry(w.shape, (case[6],) * 2, (case[7],) * 2)
    gy = np.ascontiguousarray(gy.transpose(0, 2, 3, 1))

    def compute_all():
        return (conv_algorithms.forward(x, w, geometry),
                conv_algorithms.backward_data(gy, w, x.shape, geometry),
                conv_algorithms.backward_weights(x, gy, w.shape, geometry))
    y, gx, gw = compute_all()
    monkeypatch.setattr(wide_pixels, 'count_pixels', lambda y: 1)
    expected_y, expected_gx, expected_gw = compute_all()
    np.testing.assert_array_equal(y, expected_y)
    assert_close(gx, expected_gx)
    assert_close(gw, expected_gw)


@pytest.mark.parametrize('width, n_out, expected', [
    (128, 4, 8), (64, 8, 4), (12, 4, 4), (13, 4, 1), (24, 5, 4), (64, 17, 1), (64, 32, 1),
    (64, 100, 1)])
def test_pixels_are_joined_that_fill_a_panel(width, n_out, expected, monkeypatch):
    """As many as fit in 32 columns, a power of two, and no row of the image is torn."""
    monkeypatch.setattr(wide_pixels, 'panel_width', lambda dtype: 32)
    assert wide_pixels.count_pixels(np.empty((1, 2, width, n_out), np.float32)) == expected


@pytest.mark.parametrize('case', [CASES[1], CASES[13]], ids=str)
def test_bias(case):
    """A bias is added, and has the gradient that Chainer gives it."""
    arrays = draw(case, 'float32', bias=True)
    for actual, expected in zip(compute(arrays, 1, case[7], is_on=True),
                                compute(arrays, 1, case[7], is_on=False), strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize('case', [CASES[2], CASES[7], CASES[13]], ids=str)
def test_memory_order_does_not_matter(case):
    """Channels first, channels last and strided arrays give one result."""
    x, w, gy = draw(case, 'float64')
    expected = compute((x, w, gy), *case[6:8], is_on=False)
    last = [np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
            for array in (x, gy)]
    strided = [np.repeat(array, 2, axis=3)[..., ::2] for array in (x, gy)]
    for x_, gy_ in (last, strided):
        for actual, wanted in zip(compute((x_, np.asfortranarray(w), gy_), *case[6:8],
                                          is_on=True), expected, strict=True):
            assert_close(actual, wanted)


def test_large_layers_are_cut_into_pieces(monkeypatch):
    """A layer that exceeds the workspace of one piece gives the same as in one piece."""
    from yolo_dist.kernels.cpu import im2col, winograd
    monkeypatch.setattr(winograd, '_CHUNK_BYTES', 1)
    monkeypatch.setattr(winograd, '_MIN_CHUNK', 5)
    monkeypatch.setattr(im2col, '_CHUNK_BYTES', 1)
    monkeypatch.setattr(im2col, '_SHARED_CHUNK_BYTES', 1)
    monkeypatch.setattr(im2col, '_MIN_CHUNK', 7)
    for case in (CASES[2], CASES[5], CASES[7], CASES[11], CASES[13]):
        arrays = draw(case, 'float64')
        for actual, expected in zip(compute(arrays, *case[6:8], is_on=True),
                                    compute(arrays, *case[6:8], is_on=False), strict=True):
            assert_close(actual, expected)


def test_double_backward():
    """Gradients of gradients agree with Chainer's."""
    x, w, gy = draw(CASES[2], 'float64')

    def second(is_on):
        inputs = chainer.Variable(x), chainer.Variable(w)
        with using_cpu_backend(is_on):
            y = convolution_2d(*inputs, stride=(1, 1), pad=(1, 1))
            gx, = chainer.grad([y], [inputs[0]], [chainer.Variable(gy)],
                               enable_double_backprop=True)
            F.sum(gx * gx * gx).backward()
        return inputs[1].grad
    assert_close(second(True), second(False))


def test_float16_is_left_to_chainer(monkeypatch):
    """It never reaches the kernels, and still works."""
    def fail(*_):
        raise AssertionError('a kernel was called')
    for name in ('forward', 'backward_data', 'backward_weights'):
        monkeypatch.setattr(conv_algorithms, name, fail)
    x = np.random.default_rng(0).normal(size=(2, 8, 6, 6)).astype(np.float16)
    w = chainer.Variable(np.ones((4, 8, 3, 3), np.float16))
    with using_cpu_backend(True):
        F.sum(convolution_2d(x, w, stride=(1, 1), pad=(1, 1))).backward()
    assert w.grad.shape == w.shape


def test_sizes_that_do_not_fit_are_chainers_errors():
    """A filter larger than the padded image, wrong channels and a wrong bias fail as there."""
    x, w = np.zeros((1, 8, 2, 2), np.float32), np.zeros((8, 8, 3, 3), np.float32)
    geometry = {'stride': (1, 1), 'pad': (0, 0)}
    with using_cpu_backend(True):
        with pytest.raises(AssertionError, match='Height'):
            convolution_2d(x, w, **geometry)
        for wrong in (np.zeros((8, 7, 1, 1), np.float32), np.zeros((8, 8), np.float32)):
            with pytest.raises(chainer.utils.type_check.InvalidType):
                convolution_2d(x, wrong, **geometry)
        with pytest.raises(chainer.utils.type_check.InvalidType):
            convolution_2d(x, w[..., :1, :1], np.zeros(7, np.float32), **geometry)


def test_arrays_that_do_not_fit_never_reach_the_kernels():
    """Which index memory without looking: other channels, filters or gradients are an error."""
    geometry = get_geometry((8, 9, 3, 3), (2, 2), (1, 1))
    x, w, gy = np.zeros((2, 9, 6, 6)), np.zeros((8, 9, 3, 3)), np.zeros((2, 3, 3, 8))
    small = np.zeros((2, 9, 6, 5)), np.zeros((8, 9, 3, 2)), np.zeros((2, 3, 2, 8))
    few = np.zeros((2, 8, 6, 6)), np.zeros((8, 8, 3, 3)), np.zeros((2, 3, 3, 7))
    for x_, w_, gy_ in (small, few):
        for function, arguments in (
                (conv_algorithms.forward, (x_[:, :8], w)), (conv_algorithms.forward, (x, w_)),
                (conv_algorithms.backward_data, (gy_, w, x.shape)),
                (conv_algorithms.backward_data, (gy, w_, x.shape)),
                (conv_algorithms.backward_weights, (x_[:, :8], gy, w.shape)),
                (conv_algorithms.backward_weights, (x, gy_, w.shape))):
            with pytest.raises(ValueError, match='do not fit'):
                function(*arguments, geometry)
