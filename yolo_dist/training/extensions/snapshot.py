import json

import chainer
import numpy as np
from chainer import training

from yolo_dist.runs.run_directory import save_npz, snapshot_files


class Snapshot(training.Extension):
    """Writes the whole state of training before the evaluation, which may fail or be killed.

    The extensions that follow in its iteration (evaluation, log, best weights, curves) are not
    part of the state. :class:`AfterResume` runs them after a resume.

    Args:
        directory (pathlib.Path): The run directory.
        n_kept (int): Snapshots to keep, this one included.
    """

    # After all extensions that train and report on training.
    priority = training.PRIORITY_EDITOR - 10

    def __init__(self, directory, n_kept):
        self._directory = directory
        self._n_kept = n_kept
        self._observation = {}

    def __call__(self, trainer):
        self._observation = {key: float(value) for key, value in trainer.observation.items()}
        path = self._directory / f'snapshot_iter_{trainer.updater.iteration}.npz'
        save_npz(path, trainer)
        files = snapshot_files(self._directory)
        for old in files[files.index(path) + self._n_kept:]:
            old.unlink(missing_ok=True)

    def serialize(self, serializer):
        # `load_snapshot` reads it back in every process.
        if isinstance(serializer, chainer.Serializer):
            text = json.dumps(self._observation)
            serializer('observation', np.frombuffer(text.encode(), np.uint8))
