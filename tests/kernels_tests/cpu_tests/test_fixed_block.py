"""Blocks of fixed weights: normalisation folded into packed filters, against Chainer's parts."""
import types

import chainer
import chainer.functions as F
import numpy as np
import pytest

from yolo_dist import links
from yolo_dist.evaluators import evaluate_classification
from yolo_dist.kernels.cpu import fixed_block, fixed_weights, using_cpu_backend
from yolo_dist.kernels.cpu.conv_algorithms import get_geometry

# Relative to the largest value, as for the kernels of training.
TOLERANCES = {'float32': 1e-5, 'float64': 1e-12}

# Batch, channels in and out, height, width, ksize, stride, pad, algorithm. Panels are 8 to 32
# filters wide; more than 512 products of a sum and more than 192 pixels are cut.
CASES = [
    (1, 3, 5, 5, 5, 1, 1, 0, 'pointwise'),
    (2, 530, 48, 3, 7, 1, 1, 0, 'pointwise'),
    (2, 40, 17, 13, 16, 1, 1, 0, 'pointwise'),
    (2, 17, 9, 7, 5, 3, 1, 1, 'winograd'),
    (3, 40, 33, 6, 8, 3, 1, 0, 'winograd'),
    (2, 24, 64, 28, 27, 3, 1, 1, 'winograd'),
    (1, 40, 33, 3, 4, 3, 1, 1, 'winograd'),
    (2, 17, 9, 7, 5, 3, 2, 1, 'im2col'),
    (1, 64, 70, 6, 4, 3, 2, 1, 'im2col'),
    (1, 8, 32, 31, 28, 3, 2, 1, 'im2col'),
    (2, 3, 8, 13, 10, 3, 1, 1, 'few_channels'),
    (1, 3, 32, 30, 33, 3, 2, 1, 'few_channels'),
]


def draw(case, dtype):
    """Input, shortcut, filters, gamma, beta, mean and variance."""
    batch, n_in, n_out, height, width, ksize, stride, pad, _ = case
    rng = np.random.default_rng(0)
    out = [(size + 2 * pad - ksize) // stride + 1 for size in (height, width)]
    arrays = (rng.normal(size=(batch, n_in, height, width)), rng.normal(size=(batch, n_out, *out)),
              rng.normal(size=(n_out, n_in, ksize, ksize)), rng.normal(size=n_out),
              rng.normal(size=n_out), rng.normal(size=n_out), rng.uniform(.5, 2, n_out))
    return [array.astype(dtype) for array in arrays]


def compute_by_chainer(x, shortcut, w, gamma, beta, mean, var, stride, pad):
    with using_cpu_backend(False):
        h = F.convolution_2d(x, w, stride=stride, pad=pad)
        h = F.fixed_batch_normalization(h, gamma, beta, mean, var, eps=1e-5)
        return shortcut + F.leaky_relu(h, .1).array


@pytest.mark.parametrize('n_threads', [1, 3])
@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_folded_agrees_with_chainer(case, dtype, n_threads, blas_threads):
    """Output and shortcut agree at odd sizes and channels, in one thread and in several."""
    blas_threads(n_threads)
    x, shortcut, *arrays = draw(case, dtype)
    *_, stride, pad, algorithm = case
    geometry = get_geometry(arrays[0].shape, (stride, stride), (pad, pad))
    assert geometry.algorithm == algorithm
    block = fixed_block.FixedBlock(*arrays, geometry=geometry, eps=1e-5, slope=.1)
    expected = compute_by_chainer(x, shortcut, *arrays, stride, pad)
    scale = np.abs(expected).max()
    for actual in (block(x, shortcut), block(x) + shortcut):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual / scale, expected / scale, rtol=0,
                                   atol=TOLERANCES[dtype])


@pytest.mark.parametrize('batch, size, side', [(1, 3, None), (1, 14, 2), (8, 14, 4), (1, 56, 4)])
def test_tiles_follow_from_the_rows_of_the_products(batch, size, side):
    """Large tiles multiply less and read more filters, four times as many as a plain product."""
    assert fixed_block._tile_side((batch, size, size, 64)) == side


def test_shapes_that_do_not_fit_never_reach_the_kernels():
    """They index memory without looking."""
    x, shortcut, *arrays = draw(CASES[3], 'float32')
    geometry = get_geometry(arrays[0].shape, (1, 1), (1, 1))
    block = fixed_block.FixedBlock(*arrays, geometry=geometry, eps=1e-5, slope=.1)
    for wrong in ((x[:, :8], shortcut), (x, shortcut[:, :8]), (x, shortcut[:1])):
        with pytest.raises(ValueError, match='fit'):
            block(*wrong)


@pytest.fixture
def n_packed(monkeypatch):
    """Counts the blocks whose filters are packed."""
    made = []

    class Counted(fixed_block.FixedBlock):
        def __init__(self, *args, **kwargs):
            made.append(args[0])
            super().__init__(*args, **kwargs)
    monkeypatch.setattr(fixed_block, 'FixedBlock', Counted)
    return lambda: len(made)


def infer(model, imgs):
    with using_cpu_backend(True), chainer.using_config('train', False), chainer.no_backprop_mode():
        return model(imgs).array


def test_fixed_weights_are_packed_once(n_packed):
    """Inside the block filters are kept, behind it a change of weights or statistics shows."""
    model = links.Darknet53(3, width=.06)
    n_blocks = model.extractor.n_backbone_convs + 1  # and the convolution behind them
    imgs = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 32), np.uint8)
    before = infer(model, imgs)
    assert n_packed() == n_blocks
    with fixed_weights():
        first = infer(model, imgs)
        with fixed_weights():
            second = infer(model, imgs)
        assert n_packed() == 2 * n_blocks
        # Other arrays in the place of the first, as `to_device` and `copy` put them there.
        model.extractor[0].bn.avg_mean = model.extractor[0].bn.avg_mean + 1
        assert (infer(model, imgs) != before).any()
        assert n_packed() == 2 * n_blocks + 1
        model.extractor[0].bn.avg_mean = model.extractor[0].bn.avg_mean - 1
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(second, before)
    model.extractor[0].conv.W.array[...] *= 2
    assert (infer(model, imgs) != before).any()


def test_an_evaluation_packs_once(n_packed):
    """The weights of an evaluation are fixed, however many batches it takes."""
    model = links.Darknet19(3, width=.06)
    comm = types.SimpleNamespace(rank=0, size=1, allreduce_obj=lambda value: value,
                                 gather_obj=lambda value: [value])
    dataset = [(np.full((3, 32, 32), i, np.uint8), i % 3) for i in range(4)]
    with using_cpu_backend(True):
        metrics, _ = evaluate_classification(
            model, dataset, comm, batch_size=2, n_loader_processes=0,
            converter=chainer.dataset.concat_examples, device=chainer.get_device('@numpy'))
    assert metrics['n_images'] == 4
    assert n_packed() == sum(isinstance(link, chainer.links.Convolution2D)
                             for link in model.links())
