from chainer.training.extensions import LogReport

from yolo_dist.runs.run_directory import write_json


class Log(LogReport):
    """Chainer's ``LogReport``, with a file that is whole or absent.

    Args:
        path (pathlib.Path): The file.
        report_trigger (callable): Iterations at which to report.
    """

    def __init__(self, path, report_trigger):
        super().__init__(trigger=report_trigger, filename=None)
        self._path = path

    def __call__(self, trainer):
        n_entries = len(self.log)
        super().__call__(trainer)
        if len(self.log) > n_entries:
            write_json(self._path, self.log)
