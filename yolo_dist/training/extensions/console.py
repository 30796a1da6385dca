import os
import sys
import time

import tqdm
from chainer import training

_NO_RESULT = '| held-out set: no object'


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}'


def _open_terminal(out):
    """Return the terminal that shows ``out``, or ``None`` if ``out`` goes elsewhere.

    Open MPI gives each process a terminal of its own without a size, even if the output
    of ``mpiexec`` goes to a file. /proc tells where the output of ``mpiexec`` goes, which
    is the parent of the process if both are on one node.
    """
    if out is not sys.stdout or 'OMPI_COMM_WORLD_RANK' not in os.environ:
        return out if out.isatty() else None
    try:
        target = os.readlink(f'/proc/{os.getppid()}/fd/1')
        if not target.startswith(('/dev/pts/', '/dev/tty')):
            return None
        return open(target, 'w', encoding='utf-8')
    except OSError:
        return None


class Console(training.Extension):
    """Prints one line for each report, and on a terminal a progress bar below them.

    Args:
        n_iterations (int): Length of the run.
        report_trigger (callable): Iterations at which to print a line.
        out (file): Where to write; standard output if ``None``.
    """

    trigger = (1, 'iteration')
    priority = training.PRIORITY_READER - 1

    _COLUMNS = (
        ('lr', 'lr {:.5f}'), ('train/loss', 'loss {:.4f}'),
        ('train/accuracy', 'train acc {:.3f}'), ('images_per_second', '{:.1f} images/s'),
        ('val/top1_accuracy_percent', '| val top-1 {:.2f} %'),
        ('val/top5_accuracy_percent', 'top-5 {:.2f} %'), ('val/map_percent', '| val mAP {:.2f} %'))

    def __init__(self, n_iterations, report_trigger, *, out=None):
        self._n_iterations = n_iterations
        self._report_trigger = report_trigger
        self._out = out or sys.stdout
        self._bar = None

    def initialize(self, trainer):
        self._first_iteration = trainer.updater.iteration
        self._began_at = time.perf_counter()
        terminal = _open_terminal(self._out)
        self._bar = tqdm.tqdm(total=self._n_iterations, initial=self._first_iteration,
                              unit='it', file=terminal, dynamic_ncols=True, leave=False,
                              disable=terminal is None)

    def __call__(self, trainer):
        self._bar.update(trainer.updater.iteration - self._bar.n)
        if self._report_trigger(trainer):
            self._bar.clear()
            print(self._line(trainer), file=self._out, flush=True)

    def _line(self, trainer):
        iteration = trainer.updater.iteration
        seconds = time.perf_counter() - self._began_at
        done = max(1, iteration - self._first_iteration)  # 0 directly after a resume
        left = seconds / done * (self._n_iterations - iteration)
        values = [_NO_RESULT if trainer.observation[key] is None
                  else form.format(trainer.observation[key])
                  for key, form in self._COLUMNS if key in trainer.observation]
        return (f'epoch {trainer.updater.epoch_detail:7.2f}  '
                f'iteration {iteration:>{len(str(self._n_iterations))}}/{self._n_iterations}  '
                f'{"  ".join(values)}  left {_duration(left)}')

    def finalize(self):
        if self._bar is not None:
            self._bar.close()
