"""What an update does to the kinds of parameters."""

from types import SimpleNamespace

import chainer.functions as F
import numpy as np
import pytest

from yolo_dist import optimizers
from yolo_dist.links import Darknet19


class _Alone:
    """Stands for a communicator of one process."""

    def bcast_data(self, model):
        pass

    def multi_node_mean_grad(self, model, zero_fill=False):
        pass


def update(**settings):
    """One update from random gradients; returns (old, gradient, new) of each parameter."""
    config = SimpleNamespace(**{'base_lr': .5, 'momentum': .9, 'weight_decay': 0.,
                                'weight_decay_on': 'conv_weights', 'lars': None,
                                'loss_scale': None, **settings})
    model = Darknet19(2, width=0.03)
    optimizer = optimizers.create_optimizer(config, model, _Alone())
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
    config = SimpleNamespace(base_lr=.5, momentum=.9, weight_decay=0., lars=None,
                             weight_decay_on='conv_weights', loss_scale=128.)
    model = Darknet19(2, width=0.03)
    optimizer = optimizers.create_optimizer(config, model, _Alone())
    param = model.head.W
    old = param.array.copy()
    loss = F.sum(param * 1.0)
    model.cleargrads()
    loss.backward(loss_scale=optimizer._loss_scale)
    assert float(param.grad.ravel()[0]) == 128
    optimizer.update()
    np.testing.assert_allclose(param.array, old - .5, rtol=1e-5)
