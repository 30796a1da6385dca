"""The optimizer's kernels against Chainer's own code."""
import chainer
import numpy as np
import pytest

from yolo_dist.kernels.cpu import using_cpu_backend


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-6), ('float64', 1e-14)])
def test_momentum_and_weight_decay(dtype, tolerance, blas_threads):
    """Weights and velocity agree after three updates, also of weights that threads share."""
    blas_threads(2)
    rng = np.random.default_rng(0)
    initial = rng.normal(size=(600, 250)).astype(dtype)
    gradients = rng.normal(size=(3, *initial.shape)).astype(dtype)
    runs = []
    for is_on in (True, False):
        link = chainer.Link(w=initial.shape)
        link.w.array = initial.copy()
        optimizer = chainer.optimizers.CorrectedMomentumSGD(lr=.1, momentum=.9).setup(link)
        link.w.update_rule.add_hook(chainer.optimizer_hooks.WeightDecay(.01))
        with using_cpu_backend(is_on):
            for gradient in gradients:
                link.w.grad = gradient.copy()
                optimizer.update()
        runs.append((link.w.array, link.w.update_rule.state['v']))
    for actual, expected in zip(*runs, strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_parameter_without_gradient():
    """A parameter that took no part in the loss is decayed, as Chainer does it."""
    runs = []
    for is_on in (True, False):
        link = chainer.Link(w=(3,))
        link.w.array = np.ones(3, np.float32)
        optimizer = chainer.optimizers.CorrectedMomentumSGD().setup(link)
        link.w.update_rule.add_hook(chainer.optimizer_hooks.WeightDecay(.01))
        link.cleargrads()
        with using_cpu_backend(is_on):
            optimizer.update()
        runs.append(link.w.array)
    np.testing.assert_allclose(*runs, rtol=1e-6)
