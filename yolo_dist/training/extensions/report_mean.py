import math
import time

import numpy as np
from chainer import training
from chainer.backends import cuda

from yolo_dist.errors import TrainingDiverged


class ReportMean(training.Extension):
    """Reports means over all workers and over the iterations since the last report.

    Chainer's ``LogReport`` sees only the values of its own process. Values stay on
    their device until a report, which is one all-reduce of a few numbers.

    Reports:
        ``train/...``: Each of the train chain's values, such as ``train/loss``.
        ``epoch_detail``: Position in training, epochs.
        ``images_per_second``: Speed of all workers together, without the time of
        evaluations, snapshots and logging.

    Args:
        comm (chainermn.CommunicatorBase): The communicator. Collective.
        report_trigger (callable): Iterations at which to report.
        prefix (str): Prefix of the train chain's values in an observation.

    Raises:
        TrainingDiverged: In all processes, if a mean is not finite.
    """

    trigger = (1, 'iteration')
    priority = training.PRIORITY_EDITOR + 1

    def __init__(self, comm, report_trigger, *, prefix='main/'):
        self._comm = comm
        self._report_trigger = report_trigger
        self._prefix = prefix
        self._sums = {}
        self._count = 0
        self._seconds = 0.0

    def __call__(self, trainer):
        for key in [key for key in trainer.observation if key.startswith(self._prefix)]:
            # These values are removed, because no log may show the values of a single worker.
            value = trainer.observation.pop(key)
            self._sums[key] = self._sums.get(key, 0) + getattr(value, 'array', value)
        self._count += 1
        is_due = self._report_trigger(trainer)
        if is_due:
            # This also waits for the device, whose kernels may still be running.
            sums = {key: float(cuda.to_cpu(value)) for key, value in self._sums.items()}
        self._seconds += time.perf_counter() - trainer.updater.update_began_at
        if is_due:
            self._report(trainer, sums)

    def _report(self, trainer, sums):
        keys = sorted(sums)
        means = np.array([sums[key] for key in keys]) / self._count
        means = self._comm.allreduce_obj(means) / self._comm.size
        images = self._count * trainer.updater.global_batch_size
        trainer.observation['epoch_detail'] = trainer.updater.epoch_detail
        trainer.observation['images_per_second'] = images / self._seconds
        for key, mean in zip(keys, means.tolist()):
            name = key.removeprefix(self._prefix)
            trainer.observation[f'train/{name}'] = mean
            if not math.isfinite(mean):
                raise TrainingDiverged(
                    f'{name} is {mean} at iteration {trainer.updater.iteration} '
                    f'(epoch {trainer.updater.epoch_detail:.2f})')
        self._sums, self._count, self._seconds = {}, 0, 0.0
