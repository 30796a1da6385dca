import chainer
import chainer.functions as F
import numpy as np
from chainer.gradient_check import check_backward, check_double_backward

from yolo_dist.functions import soft_cross_entropy


def test_agrees_with_chainer_for_integer_targets():
    """For targets 0 and 1 it is Chainer's sigmoid_cross_entropy."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(0, 3, (5, 7)).astype('f'), rng.integers(0, 2, (5, 7))
    np.testing.assert_allclose(
        soft_cross_entropy(chainer.Variable(x), t.astype('f')).array,
        F.sigmoid_cross_entropy(x, t, reduce='no').array, rtol=1e-5, atol=1e-6)


def test_gradients():
    """First and second derivative agree with finite differences for soft targets."""
    rng = np.random.default_rng(0)
    x, t, g = rng.normal(0, 2, (4, 3)), rng.random((4, 3)), rng.normal(0, 1, (4, 3))

    def function(x):
        return soft_cross_entropy(x, t)
    check_backward(function, x, g, atol=1e-5, rtol=1e-5, dtype='d')
    check_double_backward(function, x, g, g, atol=1e-4, rtol=1e-4, dtype='d')


def test_gradient_of_a_confident_background_box_is_not_rounded_off():
    """At a logit of -20 the float32 gradient is exp(-20) to six digits."""
    x = chainer.Variable(np.array([-20], 'f'))
    F.sum(soft_cross_entropy(x, np.zeros(1, 'f'))).backward()
    np.testing.assert_allclose(x.grad, np.exp(-20), rtol=1e-6)
