from chainer import training


class LearningRate(training.Extension):
    """Sets the learning rate of each update from a pure schedule.

    The rate of update ``i`` is the value of the schedule at the position where the
    update begins. It is set before the first update, also after a resume, and then
    after each update for the next update.

    Reports:
        ``lr``: Rate of the update that was just made, at iterations that are logged.

    Args:
        schedule (~yolo_dist.training.schedules.Schedule): Rate as a function of epochs.
        report_trigger (callable): Iterations at which to report.
    """

    trigger = (1, 'iteration')
    priority = training.PRIORITY_WRITER

    def __init__(self, schedule, report_trigger):
        self._schedule = schedule
        self._report_trigger = report_trigger

    def initialize(self, trainer):
        self._set(trainer)

    def __call__(self, trainer):
        if self._report_trigger(trainer):
            trainer.observation['lr'] = trainer.updater.get_optimizer('main').lr
        self._set(trainer)

    def _set(self, trainer):
        trainer.updater.get_optimizer('main').lr = self._schedule(trainer.updater.epoch_detail)
