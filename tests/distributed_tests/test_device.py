"""Which GPU a process takes, and what is said where it cannot; CuPy is a fake."""
import types

import chainer
import numpy as np
import pytest
from chainer.backends import cuda
from chainermn.communicators.naive_communicator import NaiveCommunicator

from yolo_dist.distributed import communicator
from yolo_dist.distributed.device import n_gpus, set_precision, use_gpu
from yolo_dist.errors import InputError


class NoDriver(Exception):
    pass


@pytest.fixture
def gpus(monkeypatch):
    """A function that says what there is: ``gpus(n, cudnn=True, disabled=False, version=92800,
    capability=(9, 0))``; gives a list of the devices that were made current."""
    used = []

    class Device:
        def __init__(self, name):
            self.name = name

        def use(self):
            used.append(self.name)

    def have(n, *, cudnn=True, disabled=False, version=92800, capability=(9, 0)):
        def get_device_count():
            if n is None:
                raise NoDriver('no driver')
            return n
        runtime = types.SimpleNamespace(
            getDeviceCount=get_device_count, CUDARuntimeError=NoDriver,
            getDeviceProperties=lambda i: dict(zip(('major', 'minor'), capability)))
        cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime))
        for name, value in {'available': True, 'cupy': cupy, 'cudnn_enabled': cudnn,
                            'libcudnn': types.SimpleNamespace(getVersion=lambda: version),
                            '_cudnn_disabled_by_user': disabled}.items():
            monkeypatch.setattr(cuda, name, value, raising=False)
        monkeypatch.setattr(chainer, 'get_device', Device)
        for name in ('cudnn_fast_batch_normalization', 'autotune'):
            monkeypatch.setattr(chainer.global_config, name, False)
        return used
    return have


def test_gpus_are_counted(gpus):
    """None without CuPy, none without a driver, else as many as CUDA says."""
    assert n_gpus() == 0
    gpus(None)
    assert n_gpus() == 0
    gpus(3)
    assert n_gpus() == 3


def test_a_gpu_is_used(gpus):
    """The one that was asked for becomes current."""
    used = gpus(2)
    assert use_gpu(1).name == '@cupy:1'
    assert used == ['@cupy:1']
    assert chainer.config.cudnn_fast_batch_normalization and chainer.config.autotune


def test_a_gpu_that_is_not_there(gpus):
    """The message says how many there are."""
    gpus(2)
    with pytest.raises(InputError, match='GPU 2: CuPy finds 2 GPUs here'):
        use_gpu(2)


def test_no_cudnn_is_an_error_unless_it_is_meant(gpus):
    """A GPU without cuDNN is refused; CHAINER_CUDNN=0 says that it is meant."""
    used = gpus(1, cudnn=False)
    with pytest.raises(InputError, match=r"no cuDNN.*'\.\[gpu\]'.*CHAINER_CUDNN=0"):
        use_gpu(0)
    assert used == []
    used = gpus(1, cudnn=False, disabled=True)
    use_gpu(0)
    assert used == ['@cupy:0']


@pytest.mark.parametrize('capability, version, is_good', [
    ((7, 0), 91002, True), ((7, 0), 91100, False), ((7, 0), 92800, False), ((7, 5), 92800, True),
    ((7, 0), 8907, True), ((6, 1), 91200, False), ((12, 0), 92800, True)])
def test_cudnn_that_dropped_the_gpu(gpus, capability, version, is_good):
    """Volta with cuDNN 9.11 is refused before training, unless cuDNN is switched off."""
    used = gpus(1, capability=capability, version=version)
    if is_good:
        use_gpu(0)
        assert used == ['@cupy:0']
        return
    message = (rf'capability {capability[0]}\.{capability[1]}, but cuDNN {version} computes on '
               r"7\.5 and newer only; .* pip install -e '\.\[gpu-volta\]'")
    with pytest.raises(InputError, match=message):
        use_gpu(0)
    assert used == []
    gpus(1, capability=capability, version=version, cudnn=False, disabled=True)
    use_gpu(0)


def test_process_takes_the_gpu_of_its_rank_in_the_node(gpus):
    """The third process of a node has GPU 2; a node with fewer GPUs than processes is refused."""
    comm = types.SimpleNamespace(intra_size=3, intra_rank=2)
    used = gpus(4)
    communicator.choose_device(comm)
    assert used == ['@cupy:2']
    gpus(2)
    with pytest.raises(InputError, match='3 processes on a node where each sees 2 GPUs'):
        communicator.choose_device(comm)


def test_naive_communicator_means_the_cpu():
    """Without pure_nccl nothing is computed on a GPU."""
    comm = NaiveCommunicator.__new__(NaiveCommunicator)
    assert communicator.choose_device(comm).xp is np


@pytest.mark.parametrize('dtype, expected, tensor_cores', [
    ('float32', 'float32', 'auto'), ('tf32', 'float32', 'always'),
    ('mixed16', chainer.mixed16, 'auto')])
def test_precision(dtype, expected, tensor_cores):
    """TF32 is allowed only where it is asked for, and `auto` is float16 alone."""
    before = chainer.global_config.dtype, chainer.global_config.use_cudnn_tensor_core
    try:
        set_precision(dtype)
        assert chainer.config.dtype == expected
        assert chainer.config.use_cudnn_tensor_core == tensor_cores
    finally:
        chainer.global_config.dtype, chainer.global_config.use_cudnn_tensor_core = before
