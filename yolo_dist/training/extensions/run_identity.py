import chainer
from chainer import training


class RunIdentity(training.Extension):
    """Puts the identity of the run into each snapshot, and does nothing else.

    Args:
        identity (ndarray): The result of :func:`yolo_dist.runs.snapshots.identity`.
    """

    def __init__(self, identity):
        self._identity = identity

    def __call__(self, trainer):
        pass  # it only has to be saved

    def serialize(self, serializer):
        # Only `find_whole_snapshot` reads it back, before anything is loaded.
        if isinstance(serializer, chainer.Serializer):
            serializer('identity', self._identity)
