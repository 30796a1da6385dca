"""Whole networks through Chainer's cuDNN code, on doubles, as on the CPU."""
import chainer
import numpy as np
import pytest

from yolo_dist.benchmarks import workloads
from yolo_dist.kernels.cpu import using_cpu_backend

CASES = [('darknet19', 64), ('darknet53', 64), ('yolo_v2', 64), ('yolo_v3', 64)]


def step(name, size):
    """Loss, gradients and running statistics of one training step, then a detection."""
    chain = workloads.create_train_chain(name, width=1 / 16)
    batch = workloads.create_batch(name, input_size=size, batch=2)
    loss = chain(*batch)
    chain.cleargrads()
    loss.backward()
    found = {f'grad {key}': param.grad for key, param in chain.namedparams()}
    for key, link in chain.namedlinks():
        if isinstance(link, chainer.links.BatchNormalization):
            found |= {f'{key} mean': link.avg_mean.copy(), f'{key} var': link.avg_var.copy()}
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        outputs = chain.model(batch[0])
    for i, output in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)):
        found[f'output {i}'] = output.array
    return float(loss.array), found


@pytest.mark.parametrize('name, size', CASES)
def test_training_step(request, name, size):
    """Loss, all gradients and statistics agree with Chainer's own code on NumPy arrays."""
    with using_cpu_backend(False):
        expected_loss, expected = step(name, size)
    libcudnn = request.getfixturevalue('chainer_on_cudnn')
    loss, found = step(name, size)
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        # Statistics of 2 x 2 pixels and two images amplify rounding from layer to layer.
        np.testing.assert_allclose(found[key], value, rtol=0,
                                   atol=1e-2 * max(np.abs(value).max(), 1e-3), err_msg=key)
    assert 'cudnnBatchNormalizationBackwardEx' in libcudnn.calls
    assert 'cudnnBatchNormalizationForwardInference' in libcudnn.calls


def test_mixed16(chainer_on_cudnn, frontend):
    """Under mixed16 all convolutions have float16 in and out, and gradients arrive in float32."""
    with chainer.using_config('dtype', chainer.mixed16):
        _, found = step('darknet19', 64)
    assert {graph.io_data_type.value for graph in frontend.graphs} == {'e'}
    assert {graph.sums.value for graph in frontend.graphs} == {'f'}
    assert {value.dtype.char for key, value in found.items() if key.startswith('grad')} == {'f'}


def test_every_convolution_is_cudnns(chainer_on_cudnn, frontend):
    """A step has one forward pass and the gradients of all convolutions, the first one's input
    left out, and nothing is convolved by other means."""
    chain = workloads.create_train_chain('darknet53', width=1 / 16)
    chain(*workloads.create_batch('darknet53', input_size=32, batch=2)).backward()
    assert len(frontend.executed) == 3 * 53 - 1
