"""Momentum SGD and weight decay on a CPU against Chainer's own code."""
import chainer
import numpy as np
import pytest
import threadpoolctl

from yolo_dist.kernels.cpu import updates, using_cpu_backend
from yolo_dist.training.momentum_sgd import FusedCorrectedMomentumSGD, WeightDecay


def train(optimizer, hook, initial, gradients):
    """Weights, velocity and the keys of a snapshot after one update for each gradient."""
    link = chainer.Link(w=initial.shape)
    link.w.array = initial.copy()
    optimizer.setup(link)
    link.w.update_rule.add_hook(hook)
    for gradient in gradients:
        link.w.grad = None if gradient is None else gradient.copy()
        optimizer.update()
    keys = {}
    optimizer.serialize(chainer.serializers.DictionarySerializer(keys))
    return link.w.array, link.w.update_rule.state['v'], set(keys)


def train_by_both(initial, gradients):
    """The same by this package, its backend on and off, and by Chainer's classes."""
    for is_on in (True, False):
        with using_cpu_backend(is_on):
            yield train(FusedCorrectedMomentumSGD(lr=.1, momentum=.9), WeightDecay(.01),
                        initial, gradients)
    yield train(chainer.optimizers.CorrectedMomentumSGD(lr=.1, momentum=.9),
                chainer.optimizer_hooks.WeightDecay(.01), initial, gradients)


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-6), ('float64', 1e-14)])
def test_momentum_and_weight_decay(dtype, tolerance):
    """Weights, velocity and snapshot keys agree after three updates, also of weights that
    threads share."""
    rng = np.random.default_rng(0)
    initial = rng.normal(size=(600, 250)).astype(dtype)
    gradients = rng.normal(size=(3, *initial.shape)).astype(dtype)
    with threadpoolctl.threadpool_limits(2, user_api='blas'):
        ours, switched_off, chainers = train_by_both(initial, gradients)
    for actual, expected in zip(ours[:2], chainers[:2], strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    for actual, expected in zip(switched_off[:2], chainers[:2], strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert ours[2] == switched_off[2] == chainers[2]
    assert any(key.endswith('v') for key in ours[2])


def test_parameter_without_gradient():
    """A parameter that took no part in the loss is decayed, as Chainer does it."""
    ours, _, chainers = train_by_both(np.ones(3, np.float32), [None])
    np.testing.assert_allclose(ours[0], chainers[0], rtol=1e-6)


def test_the_kernel_updates(monkeypatch):
    """It does so from the second update on with the backend on, and never with it off."""
    called = []
    momentum = updates.momentum
    monkeypatch.setattr(updates, 'momentum', lambda *args, **factors: (
        called.append(factors), momentum(*args, **factors)))
    list(train_by_both(np.ones(3, np.float32), [np.ones(3, np.float32)] * 3))
    assert called == [{'lr': .1, 'momentum': .9, 'decay': .01}] * 2


def test_a_loss_function_is_differentiated_and_a_frozen_parameter_stays():
    """Calls of ``update`` in Chainer's way, and rules that are not enabled, are respected."""
    link = chainer.Link(w=(3,), frozen=(3,))
    link.w.array, link.frozen.array = np.ones((2, 3), np.float32)
    optimizer = FusedCorrectedMomentumSGD(lr=.1, momentum=0.).setup(link)
    link.frozen.update_rule.enabled = False
    for _ in range(3):
        optimizer.update(lambda: chainer.functions.sum(2 * link.w + link.frozen))
    np.testing.assert_allclose(link.w.array, 1 - 3 * .1 * 2, rtol=1e-6)
    np.testing.assert_array_equal(link.frozen.array, 1)
    assert link.w.update_rule.t == optimizer.t == 3


@pytest.mark.parametrize('size', [2, 30])
def test_velocity_of_another_size_is_an_error(size):
    """As one from a snapshot of another network is: no kernel writes beside it."""
    link = chainer.Link(w=(20,))
    link.w.array = np.ones(20, np.float32)
    optimizer = FusedCorrectedMomentumSGD(lr=.1).setup(link)
    link.w.grad = np.ones(20, np.float32)
    with using_cpu_backend(True):
        optimizer.update()
        link.w.update_rule.state['v'] = np.zeros(size, np.float32)
        with pytest.raises(ValueError, match='could not be broadcast'):
            optimizer.update()
