"""What an update does to the kinds of parameters."""

from types import SimpleNamespace

import chainer.functions as F
import numpy as np
import pytest

from yolo_dist.links import Darknet19
from yolo_dist.training import momentum_sgd, optimizers


class _Alone:
    """Stands for a communicator of one process."""

    def bcast_data(self, model):
        pass

    def multi_node_mean_grad(self, model, zero_fill=False):
        pass


def create_optimizer(config, model, *, lr):
    """As a run makes it, at a rate that the schedule would set."""
    optimizer = optimizers.create_optimizer(config, model, _Alone())
    assert np.isnan(optimizer.lr)
    optimizer.lr = lr
    return optimizer


def update(**settings):
    """One update from random gradients; returns (old, gradient, new) of each parameter."""
    config = SimpleNamespace(**{'momentum': .9, 'weight_decay': 0.,
                                'weight_decay_on': 'conv_weights', 'lars': None,
                                'loss_scale': None, **settings})
    model = Darknet19(2, width=0.03)
    optimizer = create_optimizer(config, model, lr=.5)
    rng = np.random.default_rng(0)
    before = {}
    for name, param in sorted(model.namedparams()):
        param.grad = rng.normal(size=param.shape).astype(np.float32)
        before[name] = param.array.copy(), param.grad.copy()
    optimizer.update()
    return {name: (*before[name], param.array) for name, param in model.namedparams()}


def test_lars_is_the_formula_on_convolution_weights_alone():
    """w - lr trust |w| / (|g| + beta |w|) (g + beta w); the others take w - lr g."""
    lars = SimpleNamespace(trust_coefficient=.01, weight_decay=.1)
    n_weights = 0
    for name, (old, gradient, new) in update(lars=lars).items():
        if name.endswith('W'):
            n_weights += 1
            size = np.linalg.norm(old.astype(np.float64))
            rate = .01 * size / (np.linalg.norm(gradient.astype(np.float64)) + .1 * size)
            expected = old - .5 * rate * (gradient + .1 * old)
        else:
            expected = old - .5 * gradient
        np.testing.assert_allclose(new, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert n_weights == 19


@pytest.mark.parametrize('on', ['conv_weights', 'all'])
def test_weight_decay_acts_where_it_should(on):
    """Of convolution weights alone, or of all parameters."""
    for name, (old, gradient, new) in update(weight_decay=.1, weight_decay_on=on).items():
        decay = .1 if on == 'all' or name.endswith('W') else 0
        np.testing.assert_allclose(new, old - .5 * (gradient + decay * old), rtol=1e-5,
                                   atol=1e-6, err_msg=name)


def test_a_static_loss_scale_is_taken_out_again():
    """Chainer divides gradients of a scaled loss by the scale that the backward pass used."""
    config = SimpleNamespace(momentum=.9, weight_decay=0., lars=None,
                             weight_decay_on='conv_weights', loss_scale=128.)
    model = Darknet19(2, width=0.03)
    optimizer = create_optimizer(config, model, lr=.5)
    param = model.head.W
    old = param.array.copy()
    loss = F.sum(param * 1.0)
    model.cleargrads()
    loss.backward(loss_scale=optimizer._loss_scale)
    assert float(param.grad.ravel()[0]) == 128
    optimizer.update()
    np.testing.assert_allclose(param.array, old - .5, rtol=1e-5)


def test_a_loss_scale_leaves_weight_decay_alone():
    """The decay of a step is lr beta w, whatever the loss was multiplied by."""
    config = SimpleNamespace(momentum=.9, weight_decay=.1, lars=None,
                             weight_decay_on='conv_weights', loss_scale=128.)
    model = Darknet19(2, width=0.03)
    optimizer = create_optimizer(config, model, lr=.5)
    param = model.head.W
    old = param.array.copy()
    loss = F.sum(param * 1e-3)
    model.cleargrads()
    loss.backward(loss_scale=optimizer._loss_scale)
    optimizer.update()
    np.testing.assert_allclose(param.array, old - .5 * (1e-3 + .1 * old), rtol=1e-4, atol=1e-6)


class _UpdateInNumPy:
    """The kernel of all parameters."""

    n_launches = 0

    def __init__(self, sizes, decays):
        self.key = sizes, decays

    def __call__(self, params, grads, velocities, *, loss_scale, momentum, lr):
        type(self).n_launches += 1
        for w, g, v, decay in zip(params, grads, velocities, self.key[1], strict=True):
            v[...] = momentum * v - (g / loss_scale + decay * w)
            w += lr * v


@pytest.mark.parametrize('loss_scale', [None, 128.])
@pytest.mark.parametrize('on', ['conv_weights', 'all'])
def test_one_kernel_for_all_parameters(monkeypatch, on, loss_scale):
    """Several updates on a GPU, for which NumPy stands, are those of Chainer's rules; from the
    second on they are one launch each."""
    config = SimpleNamespace(momentum=.9, weight_decay=.05, lars=None,
                             weight_decay_on=on, loss_scale=loss_scale)

    def weights():
        np.random.seed(1)
        model = Darknet19(2, width=0.03)
        optimizer = create_optimizer(config, model, lr=.1)
        for i in range(4):
            optimizer.lr = .1 / (i + 1)
            model.cleargrads()
            # The head's bias has no gradient.
            loss = sum(F.sum(param * (i + k)) for k, (name, param) in
                       enumerate(sorted(model.namedparams())) if name != '/head/b')
            loss.backward(loss_scale=optimizer._loss_scale)
            optimizer.update()
        rule = model.head.W.update_rule
        return optimizer.t, rule.t, rule.state['v'], [
            param.array for _, param in sorted(model.namedparams())]
    *expected_times, expected_velocity, expected = weights()
    monkeypatch.setattr(momentum_sgd, '_is_float32_on_gpu', lambda param: True)
    monkeypatch.setattr(momentum_sgd, 'FusedUpdate', _UpdateInNumPy)
    monkeypatch.setattr(_UpdateInNumPy, 'n_launches', 0)
    *times, velocity, found = weights()
    assert times == expected_times
    assert _UpdateInNumPy.n_launches == 3
    np.testing.assert_allclose(velocity, expected_velocity, rtol=1e-5)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class _InHostMemory(np.ndarray):
    """What a snapshot gives, where NumPy's arrays stand for those of a GPU."""


def test_velocities_of_a_snapshot_are_left_to_chainer(monkeypatch):
    """It takes them to the GPU; the kernel of all parameters has no address of theirs."""
    monkeypatch.setattr(momentum_sgd, '_is_float32_on_gpu', lambda param: True)
    monkeypatch.setattr(momentum_sgd, 'FusedUpdate', _UpdateInNumPy)
    monkeypatch.setattr(_UpdateInNumPy, 'n_launches', 0)
    config = SimpleNamespace(momentum=.9, weight_decay=.05, lars=None,
                             weight_decay_on='all', loss_scale=None)
    model = Darknet19(2, width=0.03)
    optimizer = create_optimizer(config, model, lr=.1)

    def update():
        model.cleargrads()
        sum(F.sum(param * 1.0) for param in model.params()).backward()
        optimizer.update()
        return _UpdateInNumPy.n_launches
    assert [update(), update()] == [0, 1]
    rules = [param.update_rule for param in model.params()]
    for rule in rules:
        rule.state['v'] = rule.state['v'].view(_InHostMemory)
    assert update() == 1
    for rule in rules:
        rule.state['v'] = np.asarray(rule.state['v'])
    assert update() == 2


@pytest.mark.parametrize('bad', [np.inf, np.nan, None])
def test_dynamic_loss_scaling_leaves_an_update_out(bad):
    """One number that is not finite among all gradients: no weight moves, the scale is halved."""
    config = SimpleNamespace(momentum=.9, weight_decay=0., lars=None,
                             weight_decay_on='all', loss_scale='dynamic')
    model = Darknet19(2, width=0.03)
    optimizer = create_optimizer(config, model, lr=.1)
    optimizer.actual_optimizer._loss_scale = 8.
    model.cleargrads()
    sum(F.sum(param * 1.0) for param in model.params()).backward(
        loss_scale=optimizer._loss_scale)
    if bad is not None:
        model.head.W.grad[0, 0] = bad
    old = model.head.b.array.copy()
    optimizer.update()
    is_left_out = (model.head.b.array == old).all()
    if bad is None:
        assert not is_left_out and optimizer._loss_scale >= 8
    else:
        assert is_left_out and optimizer._loss_scale == 4


def test_other_rules_stay_chainers(monkeypatch):
    """With LARS, whose hook looks at norms, no kernel of all parameters is launched."""
    monkeypatch.setattr(momentum_sgd, '_is_float32_on_gpu', lambda param: True)
    monkeypatch.setattr(momentum_sgd, 'FusedUpdate', None)
    config = SimpleNamespace(momentum=.9, weight_decay=0., weight_decay_on='all',
                             lars=SimpleNamespace(trust_coefficient=.01, weight_decay=.1),
                             loss_scale=None)
    model = Darknet19(2, width=0.03)
    optimizer = create_optimizer(config, model, lr=.1)
    for _ in range(2):
        model.cleargrads()
        F.sum(model.head.W * 1.0).backward()
        optimizer.update()
    assert optimizer.t == 2
