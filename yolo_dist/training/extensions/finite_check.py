import numpy as np
from chainer import training
from chainer.backends import cuda

from yolo_dist.errors import in_short
from yolo_dist.training.divergence import is_finite, raise_diverged


class FiniteCheck(training.Extension):
    """Ends training in all processes in the iteration in which a loss is not finite.

    The cost is an all-reduce of one number. On a GPU the checked losses are those of the previous
    iteration, for which it does not have to wait. Before a snapshot the weights and the state of
    the optimizer are checked as well. The mean of the gradients is checked before it moves a
    weight: see :class:`~yolo_dist.distributed.naive.WorkersNaiveCommunicator`.

    Args:
        comm (chainermn.CommunicatorBase): The communicator. Collective.
        snapshot_trigger (callable): Iterations that end in a snapshot.
        prefix (str): Prefix of the train chain's values in an observation.

    Raises:
        TrainingDiverged: In all processes.
    """

    # Before all extensions that would use such numbers.
    priority = training.PRIORITY_WRITER + 11

    def __init__(self, comm, snapshot_trigger, *, prefix='main/'):
        self._comm = comm
        self._snapshot_trigger = snapshot_trigger
        self._prefix = prefix
        self._before = {}

    def __call__(self, trainer):
        losses = {key.removeprefix(self._prefix): getattr(value, 'array', value)
                  for key, value in trainer.observation.items() if key.startswith(self._prefix)}
        if any(isinstance(value, cuda.ndarray) for value in losses.values()):
            losses, self._before = self._before, losses
        losses = {key: float(value) for key, value in losses.items()}
        found = [f'{key} is {value}' for key, value in losses.items() if not np.isfinite(value)]
        if self._snapshot_trigger(trainer):
            found += [f'{name} is not finite'
                      for name, array in _state(trainer) if not is_finite(array)]
        total = np.array([len(found)], np.int32)
        self._comm.mpi_comm.Allreduce(total.copy(), total)
        if total[0]:
            updater = trainer.updater
            raise_diverged('loss or state is not finite', in_short(found), comm=self._comm,
                           updater=updater, iteration=updater.iteration)


def _state(trainer):
    for name, param in trainer.updater.get_optimizer('main').target.namedparams():
        yield name, param.array
        for key, value in (param.update_rule.state or {}).items():
            if getattr(value, 'dtype', None) is not None and value.dtype.kind == 'f':
                yield f'{name} ({key})', value
