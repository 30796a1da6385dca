"""ChainerMN's ``pure_nccl`` communicator with the mean over k workers, for GPUs."""

import chainer
import numpy as np
from chainermn import nccl
from chainermn.communicators._communication_utility import _get_nccl_type_id
from chainermn.communicators.pure_nccl_communicator import PureNcclCommunicator

from yolo_dist.distributed.worker_mean import WorkerMeanMixin
from yolo_dist.kernels.cuda.gradient_packing import GradientPacking


class WorkersPureNcclCommunicator(WorkerMeanMixin, PureNcclCommunicator):
    """``pure_nccl`` for k workers: one kernel packs, NCCL sums, another kernel unpacks.

    Counts stay on the device until :meth:`read_counts`. No iteration waits for them.

    Args:
        mpi_comm (mpi4py.MPI.Comm): The processes, one for each GPU.
        **settings: See :meth:`configure`.
    """

    def __init__(self, mpi_comm, **settings):
        super().__init__(mpi_comm)
        self.configure(**settings)
        self._model = self._packing = None

    def now(self):
        if self.waits_for_device:
            chainer.backends.cuda.Stream.null.synchronize()
        return super().now()

    def bcast_data(self, model):
        # Under mixed16 ChainerMN would round the float32 weights to float16.
        with chainer.using_config('dtype', np.dtype(np.float32)):
            super().bcast_data(model)

    def read_counts(self):
        if self._packing is None:
            return
        # Double buffering packs on a stream that waits for no other stream.
        self._wait_for_device()
        n_underflowed, n_not_finite = self._packing.n_underflowed, self._packing.n_not_finite
        self.n_underflowed += int(n_underflowed[0])
        names = [name for name, _ in self._named_params(self._model)]
        counts = dict(zip(names, n_not_finite.tolist(), strict=True))
        n_underflowed[...] = n_not_finite[...] = 0
        self._check_float16_sum(self._model, counts)

    def _wait_for_device(self):
        chainer.backends.cuda.cupy.cuda.Device().synchronize()

    def _create_packing(self, sizes):
        return GradientPacking(sizes, self.sum_dtype)

    def _add_packed(self, x, y):
        y += x

    def _add(self, params):
        sizes = tuple(param.size for param in params)
        if self._packing is None or self._packing.sizes != sizes:
            self._packing = self._create_packing(sizes)
        packed = self._sum.borrow(params[0].xp, self._packing.n_elements, self.sum_dtype)
        self._packing.pack([param.grad for param in params], packed, self._before)
        self._sum.push(packed)

    def multi_node_mean_grad(self, model, zero_fill=True):
        self._multi_node_mean_grad_async(model, zero_fill, chainer.backends.cuda.Stream.null)

    def _multi_node_mean_grad_async(self, model, zero_fill, stream):
        # Double buffering calls this method on a stream of its own.
        began_at = self.now()
        with stream:
            self._average(model, stream)
        self.mean_seconds = (began_at, self.now())

    def _average(self, model, stream):
        params = [param for _, param in self._named_params(model)]
        if self.n_workers == 1 and self.sum_dtype == np.float32:
            return
        self._init_comms()
        self._model = model
        self._add(params)
        total = self._sum.pop()
        self._all_reduce(total, stream)
        self._packing.unpack(total, [param.grad for param in params], self._after)
        self._sum.give_back(total)

    def _all_reduce(self, array, stream):
        self.nccl_comm.allReduce(array.data.ptr, array.data.ptr, array.size,
                                 _get_nccl_type_id(array.dtype), nccl.NCCL_SUM, stream.ptr)
