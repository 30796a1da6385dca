from chainer import training

from yolo_dist.training.extensions.snapshot import Snapshot


class AfterResume(training.Extension):
    """After a resume, runs the extensions that follow the snapshot in its iteration.

    Attributes:
        observation (dict): The values reported before the snapshot, from
            :func:`~yolo_dist.runs.snapshots.load_snapshot`; ``None``: nothing to do.
    """

    # It is initialised after all others.
    priority = -1000

    def __init__(self):
        self.observation = None
        self._is_due = False

    def initialize(self, trainer):
        if self.observation is None:
            return
        trainer.observation = self.observation
        self._is_due = True
        for entry in sorted(trainer._extensions.values(), key=lambda entry: -entry.priority):
            if entry.priority < Snapshot.priority and entry.trigger(trainer):
                entry.extension(trainer)
        self._is_due = False

    def __call__(self, trainer):
        pass  # the work is done before the first iteration

    def is_due(self, trainer=None):
        """Whether it is running: an iteration with a snapshot also has a report."""
        return self._is_due
