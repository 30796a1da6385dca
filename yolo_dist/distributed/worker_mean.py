"""The mean of the gradients of all K workers, each of P processes carrying K / P of them.

What happens is what ``pure_nccl`` does (``chainermn/communicators/
pure_nccl_communicator.py``): each worker's gradients are cast to the dtype of the
all-reduce and packed into one buffer, buffers are summed in that dtype, the sum is
multiplied by 1/K in it and cast back. A sum in float16 overflows above 65,504; with
``prescale`` gradients are multiplied by 1/K first and the sum is left as it is.

The order of the sum is a binary tree over worker numbers, ((0 + 1) + (2 + 3)) + ..., so
that it does not depend on how many workers a process carries where that is a power of
two. The order of NCCL's sum depends on its version and on the machine.

The communicators here are ChainerMN's with that mean for ``multi_node_mean_grad``, so
that ``chainermn.create_multi_node_optimizer`` works as ever: of the workers of a
process, all but the last hand in their gradients by ``carry``, and the last one's
``optimizer.update`` finishes the mean.
"""

import functools
import time

import chainer
import numpy as np
from chainermn import nccl
from chainermn.communicators._communication_utility import _get_nccl_type_id
from chainermn.communicators.naive_communicator import NaiveCommunicator
from chainermn.communicators.pure_nccl_communicator import PureNcclCommunicator

from yolo_dist.errors import GradientOverflow
from yolo_dist.kernels.cpu.half import add_half, from_half, to_half
from yolo_dist.kernels.cuda.gradient_packing import GradientPacking

# Elements of one message: a message that stays in the cache is several times as fast.
_N_CHUNK = 1 << 18


class _TreeSum:
    """Sums arrays, one handed in after the other, in the order of a binary tree.

    Keeps about log2 of their number; what is no longer used is lent again.

    Args:
        add (callable): ``add(x, y)`` is ``y += x``.
    """

    def __init__(self, add):
        self._add = add
        self._partial = []  # (number of arrays in it, sum), the numbers decreasing
        self._free = []

    def borrow(self, xp, n_elements, dtype):
        """An array ``(n_elements,)`` of any content, to be filled and handed in."""
        if self._free and self._free[-1].size != n_elements:
            self._free.clear()
        return self._free.pop() if self._free else xp.empty(n_elements, dtype)

    def push(self, array):
        """Hands in an array, which may be changed."""
        n = 1
        while self._partial and self._partial[-1][0] == n:
            array = self._merge(array)
            n *= 2
        self._partial.append((n, array))

    def _merge(self, array):
        _, earlier = self._partial.pop()
        self._add(array, earlier)
        self._free.append(array)
        return earlier

    def pop(self):
        """The sum of all arrays handed in since the last call; give it back when used."""
        _, total = self._partial.pop()
        while self._partial:
            total = self._merge(total)
        return total

    def pop_terms(self):
        """What one more array must be added to, in this order, to give the sum of all.

        Returns:
            list: Arrays; give them back when used.
        """
        terms = [array for _, array in reversed(self._partial)]
        self._partial.clear()
        return terms

    def give_back(self, *arrays):
        """Lends arrays again."""
        self._free.extend(arrays)


class _WorkerMean:
    """What the two communicators have in common; to be mixed into one of ChainerMN's.

    Attributes:
        n_overflowed (int): Elements whose sum was not finite, from the last reset to the
            last :meth:`read_counts`.
        n_flushed (int): Elements of this process's workers that were not zero and
            became zero in float16, likewise.
        mean_seconds (tuple of float): When the last mean began and when it ended.
        waits_for_device (bool): Whether :meth:`now` waits until a GPU has done what was asked of
            it. Times are exact then, and the host no longer runs ahead.
        may_overflow (bool): Whether somebody else deals with sums that are not finite,
            as dynamic loss scaling does.
    """

    def configure(self, *, n_workers, dtype, prescale):
        """Says whose mean it is.

        Args:
            n_workers (int): K.
            dtype ({'float16', 'float32'}): What gradients are summed in.
            prescale (bool): Whether they are multiplied by 1/K before the sum.
        """
        self.n_workers = n_workers
        self.sum_dtype = np.dtype(dtype)
        self.waits_for_device = False
        self.may_overflow = False
        self._before, self._after = (1 / n_workers, 1) if prescale else (1, 1 / n_workers)
        self._sum = _TreeSum(self._add_packed)
        self.mean_seconds = (0., 0.)
        self.reset_counts()

    def reset_counts(self):
        """Counts from 0 again."""
        self.n_overflowed = self.n_flushed = 0

    def read_counts(self):
        """Brings the two counts up to date where they are kept on a device.

        Raises:
            GradientOverflow: If a sum in float16 was not finite since the last call.
        """

    def carry(self, model):
        """Hands in the gradients of a worker that is not the last of this process.

        Args:
            model (chainer.Link): Holds them; their arrays may be used again.
        """
        self._add([param for _, param in self._named_params(model)])

    def multi_node_mean_grad(self, model, zero_fill=True):
        """Replaces the last worker's gradients by the mean over all workers.

        Args:
            model (chainer.Link): Holds them.
            zero_fill (bool): For ChainerMN; missing gradients always count as zero.

        Raises:
            GradientOverflow: If a sum in float16 is not finite and that is known without
                waiting for a device.
        """
        began_at = self.now()
        self._finish(model)
        self.mean_seconds = (began_at, self.now())

    def now(self):
        """Seconds of a clock."""
        return time.perf_counter()

    def _named_params(self, model):
        """Parameters in the order in which ChainerMN packs them, all with a gradient."""
        named = [(name, param) for name, param in sorted(model.namedparams())
                 if param.array is not None]
        for _, param in named:
            if param.grad is None:
                param.grad = param.xp.zeros_like(param.array)
        return named

    def _check(self, model, n_overflowed_of):
        """Raises unless all counts (by name of parameter) are 0 or overflow is allowed."""
        overflowed = {name: int(n) for name, n in n_overflowed_of.items() if n}
        self.n_overflowed += sum(overflowed.values())
        if not overflowed or self.may_overflow:
            return
        name, n = max(overflowed.items(), key=lambda item: item[1])
        size = dict(model.namedparams())[name].size
        cure = ("a worker's own gradient is too large for float16" if self._before != 1 else
                'communicator.prescale_gradients: true divides before the sum')
        raise GradientOverflow(
            f'the float16 sum of the gradients of {self.n_workers} workers is not finite in '
            f'{len(overflowed)} parameters, such as {n} of the {size} elements of {name}; {cure}')


def _in_chunks(arrays):
    """Cuts flat arrays, laid one behind the other, into stretches of ``_N_CHUNK`` elements.

    Args:
        arrays (list of ndarray): Each of one axis.

    Yields:
        list: ``(number of the array, stretch of it, where it lies in the chunk)``.
    """
    chunk, n = [], 0
    for i, array in enumerate(arrays):
        begin = 0
        while begin < array.size:
            stretch = array[begin:begin + _N_CHUNK - n]
            chunk.append((i, stretch, slice(n, n + stretch.size)))
            begin += stretch.size
            n += stretch.size
            if n == _N_CHUNK:
                yield chunk
                chunk, n = [], 0
    if chunk:
        yield chunk


class WorkersNaiveCommunicator(_WorkerMean, NaiveCommunicator):
    """``naive`` with packed messages instead of one for each parameter.

    The last worker's gradients are packed, summed over the processes and unpacked chunk by
    chunk, so that each is read and written in memory once.

    Args:
        mpi_comm (mpi4py.MPI.Comm): The processes.
        **settings: See :meth:`configure`.
    """

    def __init__(self, mpi_comm, **settings):
        super().__init__(mpi_comm)
        from mpi4py import MPI
        self.configure(**settings)
        self._chunk, self._floats = (np.empty(_N_CHUNK, dtype)
                                     for dtype in (self.sum_dtype, np.float32))
        self._mpi_type, self._mpi_sum = None, MPI.SUM
        if self.sum_dtype == np.float16:
            self._mpi_type, self._mpi_sum = MPI.UINT16_T, _mpi_sum_of_halves()

    def _add_packed(self, x, y):
        if self.sum_dtype == np.float16:
            add_half(x, y)
        else:
            np.add(y, x, out=y)

    # A cast of many small arrays at once takes a fraction of one for each.

    def _pack(self, chunk, packed):
        if self.sum_dtype == np.float16:
            floats = np.concatenate([grad for _, grad, _ in chunk], out=self._floats[:packed.size])
            self.n_flushed += to_half(floats, packed, scale=self._before)
            return
        for _, grad, place in chunk:
            np.multiply(grad, self._before, out=packed[place], casting='same_kind')

    def _unpack(self, chunk, packed, n_overflowed):
        if self.sum_dtype == np.float16:
            floats = self._floats[:packed.size]
            if from_half(packed, floats, scale=self._after):
                for i, _, place in chunk:
                    n_overflowed[i] += np.count_nonzero(~np.isfinite(packed[place]))
            for _, grad, place in chunk:
                grad[...] = floats[place]
            return
        for _, grad, place in chunk:
            np.multiply(packed[place], self._after, out=grad)

    def _add(self, params):
        grads = [param.grad.reshape(-1) for param in params]
        packed = self._sum.borrow(np, sum(grad.size for grad in grads), self.sum_dtype)
        for i, chunk in enumerate(_in_chunks(grads)):
            self._pack(chunk, packed[i * _N_CHUNK:][:chunk[-1][2].stop])
        self._sum.push(packed)

    def _finish(self, model):
        names, params = zip(*self._named_params(model), strict=True)
        if self.n_workers == 1 and self.sum_dtype == np.float32:
            return
        carried = self._sum.pop_terms()
        n_overflowed = [0] * len(names)
        for i, chunk in enumerate(_in_chunks([param.grad.reshape(-1) for param in params])):
            packed = self._chunk[:chunk[-1][2].stop]
            self._pack(chunk, packed)
            for term in carried:
                self._add_packed(term[i * _N_CHUNK:][:packed.size], packed)
            if self.size > 1:
                message = packed if self._mpi_type is None else [packed.view(np.uint16),
                                                                 self._mpi_type]
                self.mpi_comm.Allreduce(_in_place(), message, self._mpi_sum)
            self._unpack(chunk, packed, n_overflowed)
        self._sum.give_back(*carried)
        self._check(model, dict(zip(names, n_overflowed, strict=True)))


def _in_place():
    from mpi4py import MPI
    return MPI.IN_PLACE


@functools.cache  # mpi4py has room for 16 operations
def _mpi_sum_of_halves():
    """MPI has no float16; a message of its bits needs a sum of its own."""
    from mpi4py import MPI
    return MPI.Op.Create(
        lambda x, y, datatype: add_half(np.frombuffer(x, np.float16),
                                        np.frombuffer(y, np.float16)), commute=True)


class WorkersPureNcclCommunicator(_WorkerMean, PureNcclCommunicator):
    """``pure_nccl`` for K workers: a kernel to pack, NCCL, a kernel to unpack.

    Counts stay on the device until :meth:`read_counts`; no iteration waits for them.

    Args:
        mpi_comm (mpi4py.MPI.Comm): The processes, one a GPU.
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
        # Double buffering packs on a stream that waits for no other.
        self._wait_for_device()
        n_flushed, n_not_finite = self._packing.n_flushed, self._packing.n_not_finite
        self.n_flushed += int(n_flushed[0])
        names = [name for name, _ in self._named_params(self._model)]
        counts = dict(zip(names, n_not_finite.tolist(), strict=True))
        n_flushed[...] = n_not_finite[...] = 0
        self._check(self._model, counts)

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
        # Double buffering calls this one, on a stream of its own.
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
