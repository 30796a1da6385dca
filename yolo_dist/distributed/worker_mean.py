"""The mean of the gradients of all k workers; each of P processes carries k / P of them.

The arithmetic is that of ``pure_nccl`` (``chainermn/communicators/
pure_nccl_communicator.py``). The gradients of each worker are cast to the dtype of the
all-reduce and packed into one buffer. The buffers are summed in that dtype. The sum is
multiplied by 1/k in that dtype and cast back. A sum in float16 overflows above 65,504.
With ``prescale`` the gradients are multiplied by 1/k first, and the sum is not scaled.

The order of the sum is a binary tree over worker numbers, ((0 + 1) + (2 + 3)) + .... If
the number of workers of a process is a power of two, the order does not depend on it.
The order of NCCL's sum depends on its version and on the machine.

The communicators here are those of ChainerMN with this mean as ``multi_node_mean_grad``.
``chainermn.create_multi_node_optimizer`` therefore works unchanged. All workers of a
process but the last hand in their gradients by ``accumulate``. The ``optimizer.update``
of the last worker finishes the mean.
"""

import time

import numpy as np

from yolo_dist.distributed.tree_sum import TreeSum
from yolo_dist.errors import GradientNotFinite


class WorkerMeanMixin:
    """The common part of the two communicators, a mixin for those of ChainerMN.

    Attributes:
        n_overflowed (int): Elements whose sum was not finite, from the last reset to the
            last :meth:`read_counts`.
        n_underflowed (int): Elements of the workers of this process that were not zero and
            became zero in float16, counted in the same period.
        mean_seconds (tuple of float): When the last mean began and when it ended.
        waits_for_device (bool): Whether :meth:`now` waits until the GPU has finished its work.
            Times are then exact, and the host no longer runs ahead.
        may_overflow (bool): Whether sums that are not finite are handled elsewhere, as in
            dynamic loss scaling.
    """

    def configure(self, *, n_workers, dtype, prescale):
        """Set the parameters of the mean.

        Args:
            n_workers (int): k.
            dtype ({'float16', 'float32'}): Dtype of the sum of gradients.
            prescale (bool): Whether gradients are multiplied by 1/k before the sum.
        """
        self.n_workers = n_workers
        self.sum_dtype = np.dtype(dtype)
        self.waits_for_device = False
        self.may_overflow = False
        self._before, self._after = (1 / n_workers, 1) if prescale else (1, 1 / n_workers)
        self._sum = TreeSum(self._add_packed)
        self.mean_seconds = (0., 0.)
        self.reset_counts()

    def reset_counts(self):
        """Count from 0 again."""
        self.n_overflowed = self.n_underflowed = 0

    def read_counts(self):
        """Update the two counts if they are kept on a device.

        Raises:
            GradientNotFinite: If a sum in float16 was not finite since the last call.
        """

    def accumulate(self, model):
        """Hand in the gradients of a worker that is not the last of this process.

        Args:
            model (chainer.Link): Holds the gradients; their arrays may be used again.
        """
        self._add([param for _, param in self._named_params(model)])

    def multi_node_mean_grad(self, model, zero_fill=True):
        """Replace the last worker's gradients by the mean over all workers.

        Args:
            model (chainer.Link): Holds the gradients.
            zero_fill (bool): For ChainerMN; missing gradients always count as zero.

        Raises:
            GradientNotFinite: If a sum in float16 is not finite and this is known without
                waiting for a device.
        """
        began_at = self.now()
        self._finish(model)
        self.mean_seconds = (began_at, self.now())

    def now(self):
        """Return the time of a clock in seconds."""
        return time.perf_counter()

    def _named_params(self, model):
        """Parameters in the order in which ChainerMN packs them, all with a gradient."""
        named = [(name, param) for name, param in sorted(model.namedparams())
                 if param.array is not None]
        for _, param in named:
            if param.grad is None:
                param.grad = param.xp.zeros_like(param.array)
        return named

    def _check_float16_sum(self, model, n_overflowed_of):
        """Raise unless all counts (by name of parameter) are 0 or overflow is allowed."""
        overflowed = {name: int(n) for name, n in n_overflowed_of.items() if n}
        self.n_overflowed += sum(overflowed.values())
        if not overflowed or self.may_overflow:
            return
        name, n = max(overflowed.items(), key=lambda item: item[1])
        size = dict(model.namedparams())[name].size
        cure = ("a worker's own gradient is too large for float16"
                if self._before != 1 or self.n_workers == 1 else
                'set communicator.prescale_gradients: true to divide before the sum')
        raise GradientNotFinite(
            f'the float16 sum of the gradients of {self.n_workers} workers is not finite in '
            f'{len(overflowed)} parameters, such as {n} of the {size} elements of {name}; {cure}')
