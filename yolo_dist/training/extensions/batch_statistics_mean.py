from chainer import training


class BatchStatisticsMean(training.Extension):
    """Averages the batch-normalisation statistics over workers.

    Runs before statistics are used outside a worker: before each evaluation and
    each snapshot. A resumed run therefore has the same statistics as an
    uninterrupted run.

    Args:
        workers (~yolo_dist.distributed.virtual_workers.LocalWorkers): The workers of this process.
        comm (chainermn.CommunicatorBase): The communicator. Collective.
    """

    priority = training.PRIORITY_WRITER + 2

    def __init__(self, workers, comm):
        self._workers = workers
        self._comm = comm

    def __call__(self, trainer):
        self._workers.average(self._comm)
