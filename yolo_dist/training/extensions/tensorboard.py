import importlib.util
import io

import numpy as np
from chainer import training

from yolo_dist.drawing import tolerate_failure, write_figure
from yolo_dist.errors import InputError


def check_tensorboard():
    """Check that event files can be written.

    Raises:
        InputError: If tensorboardX is not installed.
    """
    if importlib.util.find_spec('tensorboardX') is None:
        raise InputError('--tensorboard: found no package tensorboardX, which writes the event '
                         "files; install it by pip install -e '.[tensorboard]', or remove the "
                         'option')


class TensorBoard(training.Extension):
    """Writes event files: the logged values over iterations, and pictures of each evaluation.

    A session that goes on from a snapshot hides the points that an earlier session wrote after
    the snapshot. No point of a curve is therefore shown twice.

    Args:
        folder (pathlib.Path): Where the event files go.
        report_trigger (callable): Iterations at which to write.
        evaluation (Evaluation): Its ``results`` are drawn.
        draw (callable): Called with the results; returns a figure.
    """

    trigger = (1, 'iteration')
    priority = training.PRIORITY_READER - 1

    def __init__(self, folder, report_trigger, evaluation, draw):
        self._folder = folder
        self._report_trigger = report_trigger
        self._evaluation = evaluation
        self._draw = draw
        self._writer, self._drawn = None, None

    def initialize(self, trainer):
        from tensorboardX import SummaryWriter  # an optional package
        self._writer = SummaryWriter(str(self._folder), purge_step=trainer.updater.iteration + 1,
                                     filename_suffix=f'.{trainer.updater.iteration}')

    def __call__(self, trainer):
        if not self._report_trigger(trainer):
            return
        with tolerate_failure(self._folder):
            for name, value in trainer.observation.items():
                if value is not None and np.ndim(value) == 0:
                    self._writer.add_scalar(name, float(value), trainer.updater.iteration)
            if self._evaluation.results is not self._drawn:
                self._drawn = self._evaluation.results
                self._writer.add_image('examples', _pixels(self._draw(self._drawn)),
                                       trainer.updater.iteration, dataformats='HWC')
            self._writer.flush()

    def finalize(self):
        if self._writer is not None:
            self._writer.close()


def _pixels(figure):
    from matplotlib.image import imread

    file = io.BytesIO()
    write_figure(figure, file)
    file.seek(0)
    return (255 * imread(file, format='png')[..., :3]).round().astype(np.uint8)
