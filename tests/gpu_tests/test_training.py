"""Training on the GPU: a step as on the CPU, the mean of gradients, a whole run."""
import json
import pathlib

import chainer
import numpy as np
import pytest
from chainer.backends import cuda

from yolo_dist.benchmarks import workloads
from yolo_dist.datasets import make_mini_imagenet
from yolo_dist.distributed.device import set_precision
from yolo_dist.kernels.cpu.float16_sum import from_half, to_half
from yolo_dist.kernels.cuda.gradient_packing import GradientPacking
from yolo_dist.training import momentum_sgd

pytestmark = pytest.mark.gpu

ROOT = pathlib.Path(__file__).resolve().parents[2]


def step(name, device):
    """Loss and all gradients of a training step; weights are those of every call."""
    chain = workloads.create_train_chain(name, width=1 / 8)
    chain.to_device(device)
    batch = workloads.create_batch(name, input_size=64, batch=8)
    loss = chain(*map(device.send, batch))
    chain.cleargrads()
    loss.backward()
    return float(loss.array), {key: cuda.to_cpu(param.grad) for key, param in chain.namedparams()}


def angle(first, second):
    """Cosine of the angle between two sets of gradients."""
    dot = sum(float((first[key].astype('d') * second[key]).sum()) for key in first)
    norms = [sum(float((g.astype('d') ** 2).sum()) for g in gs.values()) ** .5
             for gs in (first, second)]
    return dot / (norms[0] * norms[1])


@pytest.mark.parametrize('precision, tolerance', [('float32', 1e-3), ('tf32', 2e-2),
                                                  ('mixed16', 3e-2)])
@pytest.mark.parametrize('name', list(workloads.N_CLASS))
def test_step_agrees_with_the_cpu(gpu, name, precision, tolerance):
    """The loss is that of the CPU, and the gradients point where they do there."""
    expected_loss, expected = step(name, chainer.get_device('@numpy'))
    set_precision(precision)
    loss, gradients = step(name, gpu)
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    # The last digits of statistics of 2 x 2 pixels grow from layer to layer.
    assert angle(gradients, expected) > 1 - 10 * tolerance


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_gradients_are_packed_as_on_the_cpu(gpu, dtype):
    """Rounding and both counts are those of the CPU's kernels, bit for bit."""
    rng = np.random.default_rng(0)
    grads = [(scale * rng.normal(size=size)).astype('f')
             for size, scale in ((1, 1), (70000, 1e-7), (16384, 1e5), (3, 0))]
    dtype = np.dtype(dtype)
    packing = GradientPacking(tuple(grad.size for grad in grads), dtype)
    on_gpu = [gpu.send(grad) for grad in grads]
    packed = cuda.cupy.empty(packing.n_elements, dtype)
    packing.pack(on_gpu, packed, .3)
    packing.unpack(packed, on_gpu, .7)
    n_underflowed, n_not_finite = 0, []
    for grad, found in zip(grads, on_gpu, strict=True):
        if dtype == np.float16:
            half = np.empty(grad.size, np.float16)
            n_underflowed += to_half(grad, half, scale=.3)
            n_not_finite.append(from_half(half, grad, scale=.7))
        else:
            grad[...] = (grad * np.float32(.3)) * np.float32(.7)
            n_not_finite.append(0)
        np.testing.assert_array_equal(cuda.to_cpu(found), grad)
    assert int(packing.n_underflowed[0]) == n_underflowed
    assert packing.n_not_finite.tolist() == n_not_finite


def test_one_kernel_updates_as_chainer_does(gpu, monkeypatch):
    """Four updates with weight decay by one kernel each, and by Chainer's rules."""
    def weights():
        chain = workloads.create_train_chain('darknet19', width=1 / 8)
        chain.to_device(gpu)
        optimizer = momentum_sgd.FusedCorrectedMomentumSGD(lr=.1, momentum=.9).setup(chain)
        rng = np.random.default_rng(0)
        for _, param in sorted(chain.namedparams()):
            param.update_rule.add_hook(momentum_sgd.WeightDecay(.01))
        for _ in range(4):
            for _, param in sorted(chain.namedparams()):
                param.grad = gpu.send(rng.normal(size=param.shape).astype('f'))
            optimizer.update()
        return {name: cuda.to_cpu(param.array) for name, param in chain.namedparams()}
    found = weights()
    monkeypatch.setattr(momentum_sgd, '_decay_of', lambda rule: None)
    for name, expected in weights().items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


MEAN = """
import numpy as np
import chainer
import yolo_dist
from yolo_dist.distributed import communicator, launch

def create_model(device):
    model = chainer.Chain()
    with model.init_scope():
        model.a = chainer.Parameter(np.zeros((40, 50), np.float32))
        model.b = chainer.Parameter(np.zeros(70000, np.float32))
        model.unused = chainer.Parameter(np.zeros(3, np.float32))
    model.to_device(device)
    return model

def mean(name, **settings):
    comm = communicator.create_communicator(name, **settings)
    device = communicator.choose_device(comm)
    model = create_model(device)
    comm.bcast_data(model)
    for worker in range(settings['n_workers']):
        rng = np.random.default_rng(worker)
        model.cleargrads()
        model.a.grad = device.send(rng.normal(size=(40, 50)).astype(np.float32))
        model.b.grad = device.send((1e-7 * rng.normal(size=70000)).astype(np.float32))
        if worker < settings['n_workers'] - 1:
            comm.accumulate(model)
    comm.multi_node_mean_grad(model)
    comm.read_counts()
    grads = [chainer.backends.cuda.to_cpu(param.grad) for param in model.params()]
    return grads, comm.n_underflowed

def main():
    for n_workers in (1, 2, 5):
        for dtype in ('float16', 'float32'):
            for prescale in (False, True):
                settings = {'n_workers': n_workers, 'allreduce_grad_dtype': dtype,
                            'prescale_gradients': prescale}
                expected, n_expected = mean('naive', **settings)
                found, n_found = mean('pure_nccl', **settings)
                for a, b in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(a, b)
                assert n_found == n_expected, (n_found, n_expected)
    print('all agree')

if __name__ == '__main__':
    launch.run_job(main)
"""


def test_pure_nccl_of_one_process(mpiexec, tmp_path):
    """The mean over carried workers is that of `naive` to the last bit, in both dtypes."""
    (tmp_path / 'mean.py').write_text(MEAN)
    done = mpiexec(1, tmp_path / 'mean.py')
    assert done.returncode == 0, done.stderr
    assert 'all agree' in done.stdout


def train(mpiexec, name, results, settings, *arguments):
    """Trains with one process; returns what the run directory says of the end."""
    done = mpiexec(
        1, '-m', 'yolo_dist.train', ROOT / f'experiments/{name}.yaml', '--results', results,
        *arguments, *(word for setting in settings for word in ('--set', setting)), timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads((results / name / 'status.json').read_text())


@pytest.mark.parametrize('dtype', ['float32', 'mixed16'])
def test_quickstart(mpiexec, tmp_path, dtype):
    """Two workers on one GPU learn the digits, with gradients summed in float16."""
    make_mini_imagenet(tmp_path / 'data')
    settings = [f'data.root={tmp_path / "data"}', 'communicator.name=pure_nccl',
                'communicator.allreduce_grad_dtype=float16', f'model.dtype={dtype}']
    if dtype == 'mixed16':
        settings.append('optimizer.loss_scale=128.0')
    # Stopped and resumed: what a snapshot holds comes back to the GPU.
    first = train(mpiexec, 'quickstart_darknet53', tmp_path,
                  [*settings, 'run.stop_after_epochs=1'])
    assert first['state'] == 'stopped'
    status = train(mpiexec, 'quickstart_darknet53', tmp_path, settings, '--resume')
    assert status['metrics']['val/top1_accuracy_percent'] > 80


@pytest.mark.parametrize('overrides', [
    [], ['model.dtype=mixed16', 'optimizer.loss_scale=dynamic'],
    ['optimizer.weight_decay=0.0',
     'optimizer.lars={trust_coefficient: 0.01, weight_decay: 0.0005}'],
    ['workers=1', 'communicator.double_buffering=true'],
    ['workers=1', 'communicator.multi_node_bn=true']],
    ids=['plain', 'dynamic loss scale', 'LARS', 'double buffering', 'multi-node BN'])
@pytest.mark.parametrize('model', ['yolo_v2', 'yolo_v3'])
def test_detectors_run_to_their_evaluation(mpiexec, tmp_path, mini_voc, model, overrides):
    """Every switch, two epochs of a few images, stopped and resumed between."""
    settings = [f'data.root={mini_voc}', 'communicator.name=pure_nccl', 'model.width=0.125',
                'model.pretrained=null', 'schedule.epochs=2', 'data.batch_size_per_worker=2',
                'schedule.warmup_epochs=0.5', 'schedule.decay={kind: constant}',
                'run.evaluate_every_epochs=1', 'run.snapshot_every_epochs=1', *overrides]
    name = f'quickstart_{model}'
    train(mpiexec, name, tmp_path, [*settings, 'run.stop_after_epochs=1'])
    status = train(mpiexec, name, tmp_path, settings, '--resume')
    assert status['state'] == 'done'
    assert 0 <= status['metrics']['val/map_percent'] <= 100


def test_doctor_finds_all(python):
    """The machine has cuDNN and NCCL, and nothing is slow."""
    done = python('-m', 'yolo_dist.doctor')
    assert done.stdout.endswith('Slow paths\n  none\n'), done.stdout
