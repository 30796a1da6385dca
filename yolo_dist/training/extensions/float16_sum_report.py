from chainer import training

from yolo_dist.errors import GradientNotFinite, TrainingDiverged


class Float16SumReport(training.Extension):
    """Reports the elements that gradients lost in float16 sums since the last report.

    Reports:
        ``overflowed_elements``: Elements whose sum was not finite.
        ``flushed_elements``: Elements of any worker's gradient that were not zero
        and became zero in float16.

    Args:
        comm (chainermn.CommunicatorBase): A communicator of
            :mod:`~yolo_dist.distributed.worker_mean`, with sums in float16. Collective.
        report_trigger (callable): Iterations at which to report.

    Raises:
        TrainingDiverged: In all processes, if a sum overflowed on a GPU. Updates on a GPU do not
            wait for this check.
    """

    trigger = (1, 'iteration')
    # Before the means of values that an overflow has made useless.
    priority = training.PRIORITY_EDITOR + 2

    def __init__(self, comm, report_trigger):
        self._comm = comm
        self._report_trigger = report_trigger

    def __call__(self, trainer):
        if not self._report_trigger(trainer):
            return
        try:
            self._comm.read_counts()
        except GradientNotFinite as error:
            raise TrainingDiverged(
                f'{error}; since the last report, at iteration {trainer.updater.iteration} '
                f'(epoch {trainer.updater.epoch_detail:.2f}) or before') from None
        underflowed = self._comm.allreduce_obj(int(self._comm.n_underflowed))
        trainer.observation['overflowed_elements'] = self._comm.n_overflowed
        trainer.observation['flushed_elements'] = underflowed
        self._comm.reset_counts()
