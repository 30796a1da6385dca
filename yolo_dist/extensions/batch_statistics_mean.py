from chainer import training

from yolo_dist.communicator import average_batch_statistics


class BatchStatisticsMean(training.Extension):
    """Averages the batch-normalisation statistics over workers.

    Runs wherever statistics are about to leave a worker: before each evaluation
    and each snapshot, so that a resumed run holds the same statistics as one that
    was never interrupted.

    Args:
        model (chainer.Link): The model.
        comm (chainermn.CommunicatorBase): The communicator. Collective.
    """

    priority = training.PRIORITY_WRITER + 2

    def __init__(self, model, comm):
        self._model = model
        self._comm = comm

    def __call__(self, trainer):
        average_batch_statistics(self._model, self._comm)
