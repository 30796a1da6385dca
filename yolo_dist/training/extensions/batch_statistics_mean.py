from chainer import training


class BatchStatisticsMean(training.Extension):
    """Averages the batch-normalisation statistics over workers.

    Runs wherever statistics are about to leave a worker: before each evaluation
    and each snapshot, so that a resumed run holds the same statistics as one that
    was never interrupted.

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
