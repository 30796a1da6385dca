from chainer import training

from yolo_dist.drawing import draw_curves, tolerate_failure
from yolo_dist.runs.run_directory import read_json
from yolo_dist.whole_files import write_whole


class Curves(training.Extension):
    """Draws the learning curves of the run so far into ``curves.png``.

    Args:
        name (str): Name of the run.
        directory (pathlib.Path): Its directory, which holds ``log.json``.
    """

    priority = training.PRIORITY_READER - 2

    def __init__(self, name, directory):
        self._name = name
        self._directory = directory

    def __call__(self, trainer):
        logs = {self._name: read_json(self._directory / 'log.json') or []}
        path = self._directory / 'curves.png'
        with tolerate_failure(path), write_whole(path) as partial:
            draw_curves(logs, partial)
