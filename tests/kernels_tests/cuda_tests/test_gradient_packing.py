"""The mean of gradients on a GPU: what is asked of the device, with NumPy in its place."""
import contextlib
import types

import chainer
import numpy as np
import pytest
from chainermn.communicators.pure_nccl_communicator import PureNcclCommunicator

from yolo_dist.distributed.naive import WorkersNaiveCommunicator
from yolo_dist.distributed.pure_nccl import WorkersPureNcclCommunicator
from yolo_dist.errors import GradientNotFinite, TrainingDiverged
from yolo_dist.kernels.cpu.float16_sum import from_half, to_half
from yolo_dist.kernels.cuda.multi_tensor import N_CHUNK, create_chunks
from yolo_dist.training.extensions import Float16SumReport


@pytest.mark.parametrize('sizes', [(5,), (1, N_CHUNK, 7), (2 * N_CHUNK + 1, 0, 3)])
def test_chunks_cover_every_element_once(sizes):
    """Each element of each gradient is in one piece, which lies in one gradient."""
    seen = [np.zeros(size, int) for size in sizes]
    for k, begin in zip(*create_chunks(sizes), strict=True):
        seen[k][begin:begin + N_CHUNK] += 1
    assert all((counts == 1).all() for counts in seen)


class Packing:
    """The two kernels, in NumPy."""

    def __init__(self, sizes, dtype):
        self.sizes, self.n_elements, self.dtype = sizes, sum(sizes), dtype
        self.n_underflowed = np.zeros(1, np.uint64)
        self.n_not_finite = np.zeros(len(sizes), np.uint64)

    def _parts(self, packed):
        return np.split(packed, np.cumsum(self.sizes)[:-1])

    def pack(self, grads, packed, scale):
        for grad, part in zip(grads, self._parts(packed), strict=True):
            if self.dtype == np.float16:
                self.n_underflowed += np.uint64(to_half(grad, part, scale=scale))
            else:
                part[...] = (grad * np.float32(scale)).ravel()

    def unpack(self, packed, grads, scale):
        for k, (grad, part) in enumerate(zip(grads, self._parts(packed), strict=True)):
            if self.dtype == np.float16:
                self.n_not_finite[k] += np.uint64(from_half(part, grad, scale=scale))
            else:
                grad[...] = (part * np.float32(scale)).reshape(grad.shape)


class Stream(contextlib.nullcontext):
    ptr = 0


class OneProcess(WorkersPureNcclCommunicator):
    """The communicator without NCCL: a sum over one process changes nothing."""

    def __init__(self, **settings):
        self.configure(**settings)
        self._model = self._packing = None
        self.n_sums = 0

    def _init_comms(self):
        pass

    def _wait_for_device(self):
        pass

    def _create_packing(self, sizes):
        return Packing(sizes, self.sum_dtype)

    def _all_reduce(self, array, stream):
        assert array.dtype == self.sum_dtype
        self.n_sums += 1


pytestmark = pytest.mark.filterwarnings('ignore:overflow', 'ignore:invalid')


@pytest.fixture(autouse=True)
def streams(monkeypatch):
    monkeypatch.setattr(chainer.backends.cuda, 'Stream', types.SimpleNamespace(null=Stream()))


def create_model():
    model = chainer.Chain()
    with model.init_scope():
        model.a = chainer.Parameter(np.zeros((40, 50), np.float32))
        model.b = chainer.Parameter(np.zeros(7, np.float32))
        model.unused = chainer.Parameter(np.zeros(3, np.float32))
    return model


def mean_of(comm, *, scale=1.):
    """The mean of k workers' gradients, all in this process."""
    model = create_model()
    for worker in range(comm.n_workers):
        rng = np.random.default_rng(worker)
        model.cleargrads()
        model.a.grad = (scale * rng.normal(size=(40, 50))).astype(np.float32)
        model.b.grad = (1e-9 * rng.normal(size=7)).astype(np.float32)
        if worker < comm.n_workers - 1:
            comm.accumulate(model)
    comm.multi_node_mean_grad(model)
    return [param.grad for _, param in sorted(model.namedparams())]


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
@pytest.mark.parametrize('prescale', [False, True])
@pytest.mark.parametrize('n_workers', [1, 2, 5])
def test_mean_is_that_of_the_naive_communicator(dtype, prescale, n_workers):
    """Bit for bit, with its counts."""
    from mpi4py import MPI
    settings = {'n_workers': n_workers, 'dtype': dtype, 'prescale': prescale}
    expected_of, found_of = WorkersNaiveCommunicator(MPI.COMM_SELF, **settings), OneProcess(
        **settings)
    for expected, found in zip(mean_of(expected_of), mean_of(found_of), strict=True):
        np.testing.assert_array_equal(found, expected)
    found_of.read_counts()
    assert found_of.n_underflowed == expected_of.n_underflowed
    assert (found_of.n_underflowed > 0) == (dtype == 'float16')


def test_double_buffering_has_its_times():
    """Its optimizer calls the asynchronous mean, on a stream of its own."""
    comm = OneProcess(n_workers=1, dtype='float16', prescale=False)
    model = create_model()
    model.cleargrads()
    before = comm.now()
    comm._multi_node_mean_grad_async(model, True, Stream())
    began_at, ended_at = comm.mean_seconds
    assert before <= began_at <= ended_at <= comm.now()


def test_one_worker_in_float32_costs_nothing():
    """The mean of one gradient is itself."""
    comm = OneProcess(n_workers=1, dtype='float32', prescale=False)
    mean_of(comm)
    assert comm.n_sums == 0
    comm = OneProcess(n_workers=1, dtype='float16', prescale=False)
    mean_of(comm)
    assert comm.n_sums == 1


def test_overflow_waits_for_the_report():
    """An update does not look at the counts; reading them names the parameter, once."""
    comm = OneProcess(n_workers=32, dtype='float16', prescale=False)
    grads = mean_of(comm, scale=1e4)
    assert not np.isfinite(grads[0]).all() and comm.n_overflowed == 0
    with pytest.raises(GradientNotFinite,
                       match='1 parameters.*of the 2000 elements of /a;.*presc'):
        comm.read_counts()
    assert comm.n_overflowed > 0
    comm.reset_counts()
    comm.read_counts()
    assert comm.n_overflowed == 0


def test_overflow_that_is_dealt_with_is_counted():
    """Under dynamic loss scaling an overflow is a number, not an error."""
    comm = OneProcess(n_workers=32, dtype='float16', prescale=False)
    comm.may_overflow = True
    mean_of(comm, scale=1e4)
    comm.read_counts()
    assert comm.n_overflowed > 0


def test_report_ends_a_run_that_overflowed():
    """The extension reads the counts when a report is due, before the loss is found not finite."""
    from yolo_dist.training.extensions import ReportMean
    comm = OneProcess(n_workers=32, dtype='float16', prescale=False)
    mean_of(comm, scale=1e4)
    updater = types.SimpleNamespace(iteration=7, epoch_detail=.5)
    trainer = types.SimpleNamespace(updater=updater, observation={})
    Float16SumReport(comm, lambda trainer: False)(trainer)
    with pytest.raises(TrainingDiverged, match=r'elements of /a.*at iteration 7 \(epoch 0.50\)'):
        Float16SumReport(comm, lambda trainer: True)(trainer)
    assert Float16SumReport.priority > ReportMean.priority


def test_normalisation_over_workers_keeps_chainermns_mean():
    """ChainerMN's batch normalisation divides by processes and touches no count of gradients."""
    assert (WorkersPureNcclCommunicator._multi_node_mean_nccl
            is PureNcclCommunicator._multi_node_mean_nccl)
