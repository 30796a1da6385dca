"""The workers that one process carries, each with batch-normalisation statistics of its own."""

import chainer
import numpy as np


class LocalWorkers:
    """Lends the one model of a process to its workers in turn.

    Workers share weights but not running statistics (sec. 4.4 averages only gradients).
    The statistics of a worker are in the model while this worker trains. Nothing is
    copied.

    Args:
        model (chainer.Link): The model; worker 0 starts with its statistics.
        n_local (int): Workers of this process, k / P.
    """

    def __init__(self, model, n_local):
        # Persistent names are a set, whose order differs between processes.
        self._places = [(link, name) for _, link in sorted(model.namedlinks())
                        for name in sorted(link._persistent)
                        if isinstance(getattr(link, name), chainer.get_array_types())
                        and getattr(link, name).dtype.kind == 'f']
        own = [getattr(link, name) for link, name in self._places]
        self._statistics = [own] + [[array.copy() for array in own] for _ in range(1, n_local)]

    def __len__(self):
        return len(self._statistics)

    def enter(self, i):
        """Make the model train as the ``i``-th worker of this process, from 0."""
        if len(self) > 1:
            for (link, name), array in zip(self._places, self._statistics[i]):
                setattr(link, name, array)

    def share(self):
        """Give all workers the statistics in the model, after a snapshot was loaded into it."""
        for i, (link, name) in enumerate(self._places):
            array = getattr(link, name)
            for statistics in self._statistics:
                if statistics[i] is not array:
                    statistics[i][...] = array

    def average(self, comm):
        """Replace each worker's statistics by the mean over all workers of all processes.

        This is done before statistics are used outside the workers, in an evaluation or
        a snapshot. Training does not read them, so the mean changes no update. Running
        averages are linear, so it does not change their mean at any later time. The sum
        goes through host memory, because ChainerMN's ``AllreducePersistent`` passes
        device pointers to MPI.

        Args:
            comm (chainermn.CommunicatorBase): The communicator. Collective.
        """
        if not self._places or comm.size * len(self) == 1:
            return
        # In float64 the mean hardly depends on the order of the sum.
        packed = sum(np.concatenate([chainer.backends.cuda.to_cpu(array).ravel()
                                     for array in statistics], dtype=np.float64)
                     for statistics in self._statistics)
        total = np.empty_like(packed)
        comm.mpi_comm.Allreduce(packed, total)
        total /= comm.size * len(self)
        begin = 0
        for i, (link, _) in enumerate(self._places):
            size = self._statistics[0][i].size
            mean = link.xp.asarray(total[begin:begin + size])
            for statistics in self._statistics:
                statistics[i][...] = mean.reshape(statistics[i].shape)
            begin += size
