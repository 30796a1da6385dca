import numpy as np
from chainer import training


class Interruption(training.Extension):
    """Lets a scheduler's signal end a session after the current iteration.

    A signal may reach only some processes, or reach them in different iterations. The
    processes therefore agree on the iteration in which to stop, by a sum of one number.
    The triggers that depend on it call :meth:`is_due` directly, without the trainer.

    Args:
        comm (chainermn.CommunicatorBase): The communicator. Collective.
        stop_request: Its ``number`` is the signal that this process received, else ``None``.
    """

    trigger = (1, 'iteration')
    # Before all extensions that act on it.
    priority = training.PRIORITY_WRITER + 10

    def __init__(self, comm, stop_request):
        self._comm = comm
        self._stop_request = stop_request
        self._is_due = False

    def __call__(self, trainer):
        received = np.array([self._stop_request.number is not None], np.int32)
        total = np.empty_like(received)
        self._comm.mpi_comm.Allreduce(received, total)
        self._is_due = bool(total[0])

    def is_due(self, trainer=None):
        """Whether the session ends with this iteration, the same in all processes."""
        return self._is_due
