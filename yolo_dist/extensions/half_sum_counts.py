from chainer import training


class HalfSumCounts(training.Extension):
    """What gradients lose in a float16 sum, counted since the last report.

    Reports:
        ``overflowed_elements``: Elements whose sum was not finite.
        ``flushed_elements``: Elements of any worker's gradient that were not zero
        and became zero in float16.

    Args:
        comm (chainermn.CommunicatorBase): Of :mod:`~yolo_dist.gradient_mean`, with
            sums in float16. Collective.
        report_trigger (callable): Iterations at which to report.
    """

    trigger = (1, 'iteration')
    priority = training.PRIORITY_EDITOR

    def __init__(self, comm, report_trigger):
        self._comm = comm
        self._report_trigger = report_trigger

    def __call__(self, trainer):
        if not self._report_trigger(trainer):
            return
        flushed = self._comm.allreduce_obj(int(self._comm.n_flushed))
        trainer.observation['overflowed_elements'] = self._comm.n_overflowed
        trainer.observation['flushed_elements'] = flushed
        self._comm.reset_counts()
