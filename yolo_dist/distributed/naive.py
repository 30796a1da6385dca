"""ChainerMN's ``naive`` communicator with the mean over k workers, for CPUs."""

import functools

import numpy as np
from chainermn.communicators.naive_communicator import NaiveCommunicator

from yolo_dist.distributed.worker_mean import WorkerMeanMixin
from yolo_dist.errors import GradientNotFinite, in_short
from yolo_dist.kernels.cpu.float16_sum import add_half, from_half, to_half

# A message that fits into the cache is several times as fast. Over a link of 1 Gbit/s Open MPI
# 5.0.11 takes 1.5 times as long with messages of 1 MB.
_MESSAGE_BYTES = 1 << 19


def _in_chunks(arrays, n_elements):
    """Cut flat arrays, laid one behind the other, into chunks of ``n_elements``.

    Args:
        arrays (list of ndarray): Arrays of one axis.
        n_elements (int): Elements of a chunk; the last chunk may be shorter.

    Yields:
        list: ``(number of the array, part of the array, its place in the chunk)``.
    """
    chunk, n = [], 0
    for i, array in enumerate(arrays):
        begin = 0
        while begin < array.size:
            stretch = array[begin:begin + n_elements - n]
            chunk.append((i, stretch, slice(n, n + stretch.size)))
            begin += stretch.size
            n += stretch.size
            if n == n_elements:
                yield chunk
                chunk, n = [], 0
    if chunk:
        yield chunk


class WorkersNaiveCommunicator(WorkerMeanMixin, NaiveCommunicator):
    """``naive`` with packed messages instead of one message for each parameter.

    The gradients of the last worker are packed, summed over the processes and unpacked chunk by
    chunk. Each is therefore read from memory and written to memory once.

    Args:
        mpi_comm (mpi4py.MPI.Comm): The processes.
        **settings: See :meth:`configure`.
    """

    def __init__(self, mpi_comm, **settings):
        super().__init__(mpi_comm)
        from mpi4py import MPI
        self.configure(**settings)
        self._n_chunk = _MESSAGE_BYTES // self.sum_dtype.itemsize
        self._chunk, self._floats = (np.empty(self._n_chunk, dtype)
                                     for dtype in (self.sum_dtype, np.float32))
        self._mpi_type, self._mpi_sum = None, MPI.SUM
        if self.sum_dtype == np.float16:
            self._mpi_type, self._mpi_sum = MPI.UINT16_T, _mpi_sum_of_halves()

    def sum_packed(self, packed):
        """Replace an array by its sum over the processes, in one message. Collective.

        Args:
            packed (ndarray): Flat, of ``sum_dtype``.
        """
        message = packed if self._mpi_type is None else [packed.view(np.uint16), self._mpi_type]
        self.mpi_comm.Allreduce(_in_place(), message, self._mpi_sum)

    def _add_packed(self, x, y):
        if self.sum_dtype == np.float16:
            add_half(x, y)
        else:
            np.add(y, x, out=y)

    # One cast of many small arrays takes a fraction of the time of one cast for each. Most chunks
    # are a part of one large array, which needs no copy.

    def _pack(self, chunk, packed):
        if self.sum_dtype == np.float16:
            floats = self._floats_of(chunk)
            if len(chunk) > 1:
                np.concatenate([grad for _, grad, _ in chunk], out=floats)
            self.n_underflowed += to_half(floats, packed, scale=self._before)
            return
        for _, grad, place in chunk:
            np.multiply(grad, self._before, out=packed[place], casting='same_kind')

    def _unpack(self, chunk, packed, n_overflowed):
        if self.sum_dtype == np.float16:
            floats = self._floats_of(chunk)
            if from_half(packed, floats, scale=self._after):
                for i, _, place in chunk:
                    n_overflowed[i] += np.count_nonzero(~np.isfinite(packed[place]))
            if len(chunk) > 1:
                for _, grad, place in chunk:
                    grad[...] = floats[place]
            return
        for _, grad, place in chunk:
            np.multiply(packed[place], self._after, out=grad)

    def _floats_of(self, chunk):
        """Where the float32 numbers of a chunk are side by side, its only part or a buffer."""
        return chunk[0][1] if len(chunk) == 1 else self._floats[:chunk[-1][2].stop]

    def _add(self, params):
        grads = [param.grad.reshape(-1) for param in params]
        packed = self._sum.borrow(np, sum(grad.size for grad in grads), self.sum_dtype)
        for i, chunk in enumerate(_in_chunks(grads, self._n_chunk)):
            self._pack(chunk, packed[i * self._n_chunk:][:chunk[-1][2].stop])
        self._sum.push(packed)

    def _finish(self, model):
        names, params = zip(*self._named_params(model), strict=True)
        if self.n_workers == 1 and self.sum_dtype == np.float32:
            for i, param in enumerate(params):
                grad = param.grad.reshape(-1)
                self._check_float32_sum([(i, grad, slice(0, grad.size))], grad, [], names)
            return
        accumulated = self._sum.pop_terms()
        n_overflowed = [0] * len(names)
        grads = [param.grad.reshape(-1) for param in params]
        for i, chunk in enumerate(_in_chunks(grads, self._n_chunk)):
            packed = self._chunk[:chunk[-1][2].stop]
            self._pack(chunk, packed)
            for term in accumulated:
                self._add_packed(term[i * self._n_chunk:][:packed.size], packed)
            if self.size > 1:
                self.sum_packed(packed)
            self._check_float32_sum(chunk, packed, [term[i * self._n_chunk:][:packed.size]
                                                    for term in accumulated], names)
            self._unpack(chunk, packed, n_overflowed)
        self._sum.give_back(*accumulated)
        self._check_float16_sum(model, dict(zip(names, n_overflowed, strict=True)))

    def _check_float32_sum(self, chunk, packed, accumulated, names):
        """Raise if a float32 sum is not finite, before it replaces the gradients."""
        if self.sum_dtype == np.float16 or self.may_overflow or _is_finite(packed):
            return
        bad = [names[i] for i, _, place in chunk if not _is_finite(packed[place])]
        error = GradientNotFinite(f'the mean gradient of {in_short(bad)} is not finite')
        own = [grad for _, grad, _ in chunk] + accumulated
        error.is_own = not all(map(_is_finite, own))
        raise error


def _is_finite(array):
    # The sum of squares is the fastest test of numbers in the cache. It may itself overflow.
    return np.isfinite(array.dot(array)) or np.isfinite(array).all()


def _in_place():
    from mpi4py import MPI
    return MPI.IN_PLACE


@functools.cache  # mpi4py allows 16 operations
def _mpi_sum_of_halves():
    """Make a sum for float16. MPI has none, and messages carry only the bits."""
    from mpi4py import MPI
    return MPI.Op.Create(
        lambda x, y, datatype: add_half(np.frombuffer(x, np.float16),
                                        np.frombuffer(y, np.float16)), commute=True)
