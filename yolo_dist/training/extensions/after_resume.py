from chainer import training

from yolo_dist.training.extensions.snapshot import Snapshot


class AfterResume(training.Extension):
    """Does, after a resume, what comes after the snapshot in the iteration of the snapshot.

    Attributes:
        observation (dict): What was reported before the snapshot, as
            :func:`~yolo_dist.runs.snapshots.load_snapshot` returns it; ``None``: nothing to do.
    """

    # Begins when all others have begun.
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
        pass  # its work is done before the first iteration

    def is_due(self, trainer=None):
        """Whether it is at work: there is a report where there was a snapshot."""
        return self._is_due
