import chainer
from chainer import training


class RunIdentity(training.Extension):
    """Does nothing but put the identity of the run into each snapshot.

    Args:
        identity (ndarray): What :func:`yolo_dist.runs.snapshots.identity` returned.
    """

    def __init__(self, identity):
        self._identity = identity

    def __call__(self, trainer):
        pass  # its work is to be saved

    def serialize(self, serializer):
        # Read back by `find_whole_snapshot` alone, before anything is loaded.
        if isinstance(serializer, chainer.Serializer):
            serializer('identity', self._identity)
