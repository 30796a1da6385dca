"""The fused block, and whole networks made of it, with the backend on and off."""
import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer.gradient_check import check_backward
from chainer.link_hooks import TimerHook

from yolo_dist import links
from yolo_dist.kernels.cpu import fixed_weights, using_cpu_backend
from yolo_dist.kernels.cpu.conv_algorithms import get_geometry
from yolo_dist.kernels.cpu.conv_bn_leaky_relu_function import ConvBNLeakyReLUFunction
from yolo_dist.links.conv_block import ConvBlock
from yolo_dist.training.momentum_sgd import FusedCorrectedMomentumSGD, WeightDecay


def build_block(dtype, *, ksize=3, stride=1, n_in=9, n_out=12):
    rng = np.random.default_rng(3)
    with chainer.using_config('dtype', np.dtype(dtype)):
        block = ConvBlock(n_in, n_out, ksize, stride=stride, bn_decay=.9)
    block.conv.W.array[...] = rng.normal(size=block.conv.W.shape)
    block.bn.gamma.array[...] = rng.normal(size=n_out)
    block.bn.beta.array[...] = rng.normal(size=n_out)
    return block


def results(block, x, shortcut=None):
    """Output, gradients and statistics of one training-mode pass."""
    x, *others = (chainer.Variable(array) for array in (x, shortcut) if array is not None)
    y = block(x, *others)
    y.grad = np.random.default_rng(4).normal(size=y.shape).astype(y.dtype)
    y.backward()
    return [y.array, x.grad, *(other.grad for other in others),
            *(param.grad for _, param in sorted(block.namedparams())),
            block.bn.avg_mean, block.bn.avg_var]


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-5), ('float64', 1e-12)])
@pytest.mark.parametrize('ksize, stride', [(1, 1), (3, 1), (3, 2)])
def test_block_agrees_with_chainer(ksize, stride, dtype, tolerance):
    """Output, gradients and running statistics agree at odd sizes."""
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 11)).astype(dtype)
    runs = []
    for is_on in (True, False):
        with using_cpu_backend(is_on):
            runs.append(results(build_block(dtype, ksize=ksize, stride=stride), x))
    for actual, expected in zip(*runs, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize('n_out', [5, 12])
def test_shortcut_agrees_with_chainer(n_out):
    """It is added behind the ReLU, and has the gradient of the output."""
    rng = np.random.default_rng(0)
    x, shortcut = rng.normal(size=(2, 9, 7, 11)), rng.normal(size=(2, n_out, 7, 11))
    runs = []
    for is_on in (True, False):
        with using_cpu_backend(is_on):
            runs.append(results(build_block('float64', n_out=n_out), x, shortcut))
    for actual, expected in zip(*runs, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)
    with using_cpu_backend(True), pytest.raises(ValueError, match='does not fit'):
        build_block('float64', n_out=n_out)(x, chainer.Variable(shortcut[:1]))


def test_numeric_gradients():
    """Gradients of the fused function agree with differences."""
    block = build_block('float64', n_in=3, n_out=4)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 3))

    def function(x, w, gamma, beta):
        return ConvBNLeakyReLUFunction(
            get_geometry(w.shape, (1, 1), (1, 1)), eps=1e-5, slope=.1,
            running_mean=None, running_var=None, decay=.9).apply((x, w, gamma, beta))[0]
    gy = np.random.default_rng(1).normal(size=(2, 4, 4, 3))
    inputs = x, block.conv.W.array, block.bn.gamma.array, block.bn.beta.array
    check_backward(function, inputs, gy, dtype='d', eps=1e-4,
                   atol=1e-4, rtol=1e-4)


def test_double_backward():
    """A gradient penalty has the gradient that Chainer gives it."""
    x = np.random.default_rng(0).normal(size=(2, 9, 5, 4))

    def penalty_gradients(is_on):
        block = build_block('float64', n_out=9)
        variable = chainer.Variable(x)
        with using_cpu_backend(is_on):
            gx, = chainer.grad([F.sum(block(variable, variable * variable) ** 2)], [variable],
                               enable_double_backprop=True)
            F.sum(gx * gx).backward()
        return [variable.grad, *(param.grad for _, param in sorted(block.namedparams()))]
    for actual, expected in zip(penalty_gradients(True), penalty_gradients(False), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


def test_recomputing_leaves_the_statistics():
    """F.forget runs the block twice and moves the running statistics once."""
    block, twin = build_block('float64'), build_block('float64')
    x = chainer.Variable(np.random.default_rng(0).normal(size=(2, 9, 5, 4)))
    with using_cpu_backend(True):
        F.sum(F.forget(block, x)).backward()
        F.sum(twin(x)).backward()
    np.testing.assert_array_equal(block.bn.avg_mean, twin.bn.avg_mean)
    np.testing.assert_allclose(block.conv.W.grad, twin.conv.W.grad)


def test_hooks_of_links_see_every_link():
    """With a link hook the block runs as its three parts."""
    block = build_block('float32')
    with using_cpu_backend(True), TimerHook() as hook:
        block(np.ones((1, 9, 4, 4), np.float32))
    assert len(hook.call_history) == 3


def infer(block, x, shortcut=None, *, is_on=True):
    with using_cpu_backend(is_on), chainer.using_config('train', False), \
            chainer.no_backprop_mode():
        return block(x, shortcut).array


def check_inference(block, x, shortcut=None):
    np.testing.assert_allclose(infer(block, x, shortcut), infer(block, x, shortcut, is_on=False),
                               rtol=1e-5, atol=1e-5)


def test_what_the_kernels_do_not_know_is_chainers_in_inference_too():
    """A hook of the normalisation, a normalisation without scale, a shortcut of another dtype."""
    block = build_block('float32')
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 9, 4, 4)).astype('f')
    with fixed_weights():
        infer(block, x)  # the block is kept from here on
        hook = TimerHook()
        block.bn.add_hook(hook)
        check_inference(block, x)
        assert len(hook.call_history) == 2
        block.bn.delete_hook(hook.name)
        check_inference(block, x, rng.normal(size=infer(block, x).shape))
        block.bn = chainer.links.BatchNormalization(block.conv.out_channels, use_gamma=False)
        check_inference(block, x)


def test_statistics_of_other_channels_are_chainers_error():
    """No kernel reads beside them."""
    block = build_block('float32', n_out=12)
    block.bn = chainer.links.BatchNormalization(5)
    with using_cpu_backend(True), pytest.raises(chainer.utils.type_check.InvalidType):
        block(np.ones((1, 9, 4, 4), np.float32))


@pytest.mark.parametrize('is_training', [True, False])
def test_a_second_backward_pass_gives_the_same(is_training):
    """The graph can be gone through again, in training and with fixed statistics."""
    block = build_block('float32')
    x = chainer.Variable(np.random.default_rng(0).normal(size=(2, 9, 5, 4)).astype('f'))
    gradients = []
    with using_cpu_backend(True), chainer.using_config('train', is_training):
        y = F.sum(block(x) ** 2)
        for _ in range(2):
            block.cleargrads()
            x.cleargrad()
            y.backward(retain_grad=True)
            gradients.append(block.conv.W.grad.copy())
    np.testing.assert_array_equal(*gradients)


def train(name, dtype, n_steps=3):
    """Weights and statistics after some updates, and the outputs of the trained network."""
    np.random.seed(0)
    with chainer.using_config('dtype', np.dtype(dtype)):
        if name == 'darknet53':
            chain = links.ClassificationTrainChain(links.Darknet53(5, width=.125))
            truth = np.arange(4, dtype=np.int32),
        else:
            chain = links.YOLOTrainChain(links.YOLOv3(3, width=.125), loss_norm='image')
            truth = (np.tile(np.array([10, 10, 60, 60], np.float32), (4, 2, 1)),
                     np.zeros((4, 2), np.int32))
        optimizer = FusedCorrectedMomentumSGD(lr=1e-4, momentum=.9).setup(chain)
        for param in chain.params():
            param.update_rule.add_hook(WeightDecay(5e-4))
        imgs = np.random.default_rng(0).uniform(size=(4, 3, 64, 96)).astype(dtype)
        for _ in range(n_steps):
            chain.cleargrads()
            chain(imgs, *truth).backward()
            optimizer.update()
        arrays = {name: param.array for name, param in chain.namedparams()}
        for name_, link in chain.namedlinks():
            if isinstance(link, chainer.links.BatchNormalization):
                arrays |= {f'{name_}/avg_mean': link.avg_mean, f'{name_}/avg_var': link.avg_var}
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            outputs = chain.model(imgs)
        arrays['outputs'] = (outputs if name == 'darknet53' else outputs[0]).array
    return arrays


@pytest.mark.parametrize('name', ['darknet53', 'yolo_v3'])
def test_training_is_the_same(name):
    """Three updates of a whole network give Chainer's weights, statistics and outputs.

    In float64: float32 rounding, which differs between any two BLAS libraries, is
    amplified by batch normalisation over few pixels.
    """
    runs = []
    for is_on in (True, False):
        with using_cpu_backend(is_on):
            runs.append(train(name, 'float64'))
    actual, expected = runs
    assert actual.keys() == expected.keys()
    for key in expected:
        np.testing.assert_allclose(actual[key], expected[key], rtol=1e-8, atol=1e-9, err_msg=key)


def test_training_repeats_to_the_last_bit():
    """Two runs give the same bits: algorithms and partial sums depend on shapes alone."""
    with using_cpu_backend(True):
        first, second = train('darknet53', 'float32'), train('darknet53', 'float32')
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
