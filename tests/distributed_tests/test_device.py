"""Which GPU a process takes, and what is said where it cannot; CuPy is a fake."""
import json
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


# Four processes on nodes of GPUs a to d. For each case, a process sets what it would find in its
# environment, and takes its device with CUDA's numbers of what that leaves.
DOUBLES = """
import json, os, sys, types
import yolo_dist
from yolo_dist.distributed import communicator, launch
from yolo_dist.errors import InputError

def show(numbers_of_node, variable):
    import chainer
    from chainer.backends import cuda
    # As CUDA reads it: by number or by the beginning of a UUID, until one that is not there.
    names = {str(i): name for i, name in enumerate(numbers_of_node)}
    names |= {f'GPU-{name}': name for name in numbers_of_node}
    found = numbers_of_node if variable is None else [
        names[part] for part in variable.split(',') if part in names]
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: len(found), CUDARuntimeError=ValueError,
        getDeviceProperties=lambda i: {'uuid': found[i].encode(), 'major': 9, 'minor': 0})
    cuda.available = cuda.cudnn_enabled = True
    cuda.cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime))
    cuda.libcudnn = types.SimpleNamespace(getVersion=lambda: 92800)
    chainer.get_device = lambda name: types.SimpleNamespace(
        use=lambda: None, name=found[int(name.removeprefix('@cupy:'))])

def main():
    from mpi4py import MPI
    world = MPI.COMM_WORLD
    for cards, variables, n_per_node in json.loads(sys.argv[1]):
        comm = types.SimpleNamespace(mpi_comm=world, inter_rank=world.rank // n_per_node,
                                     intra_rank=world.rank % n_per_node)
        show(cards[world.rank], variables[world.rank])
        try:
            taken = communicator.choose_device(comm).name
        except InputError as error:
            taken = str(error)
        everyone = world.gather(taken)
        if world.rank == 0:
            print(json.dumps(everyone))

if __name__ == '__main__':
    launch.run_job(main)
"""
NODE = ['ab', 'ab', 'cd', 'cd']
# What CUDA finds on the node of each process, what the process has in CUDA_VISIBLE_DEVICES, and
# how many processes a node has, 2 if nothing is said.
CASES = {
    'srun --gpus-per-node=2, mpiexec, PBS by number': (NODE, ['0,1'] * 4),
    'no variable: a node of its own': (NODE, [None] * 4),
    'PBS by UUID, in an order of its own': (NODE, ['GPU-b,GPU-a'] * 2 + ['GPU-c,GPU-d'] * 2),
    'srun --gpus-per-task=1 without containers': (NODE, ['0', '1', '0', '1']),
    'srun --gpus-per-task=1: each sees one card, as number 0': (list('abcd'), ['0'] * 4),
    'Grid Engine gives the process before it the other card': (NODE, ['1', '0', '1', '0']),
    'some see one card, some see all': (NODE, ['0', '0,1', '0', '0,1']),
    'one GPU a node, each of them number 0': (list('abcd'), ['0'] * 4, 1),
    'one GPU a node, no variable': (list('abcd'), [None] * 4, 1),
    'one node of four': (['abcd'] * 4, ['0,1,2,3'] * 4, 4),
    'a node of four, others use the rest of eight': (['xabxcdxx'] * 4, ['1,2,4,5'] * 4, 4)}


def test_each_process_takes_a_gpu_of_its_own(mpiexec, tmp_path):
    """However the scheduler shows the cards of one to four nodes to the processes on each."""
    (tmp_path / 'doubles.py').write_text(DOUBLES)
    cases = [[[list(cards) for cards in of_process], variables, *(n_per_node or [2])]
             for of_process, variables, *n_per_node in CASES.values()]
    cases += [[cases[0][0], ['0', '0', '0,1', '0,1'], 2]]  # two processes see the same card alone
    done = mpiexec(4, tmp_path / 'doubles.py', json.dumps(cases))
    assert done.returncode == 0, done.stderr
    *taken, refused = map(json.loads, done.stdout.splitlines())
    assert len(taken) == len(CASES)
    for case, cards in zip(CASES, taken):
        assert sorted(cards) == list('abcd'), case
        assert len(CASES[case]) == 3 or set(cards[:2]) == set('ab'), case
    assert taken[0] == list('abcd') and taken[2] == list('bacd')
    assert all('process 1 of its node sees 1 GPUs, and the processes before it' in message
               for message in refused)


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
