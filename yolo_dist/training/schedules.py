"""Lengths of runs, and learning rates as pure functions of the position in training.

Nothing here keeps a counter. A resumed run therefore needs no state for the right
rate.
"""

import dataclasses

from yolo_dist.errors import InputError


def _decay(decay, epoch_detail, epochs):
    """Factor on the rate: sec. 4.1 has power 2 (YOLO9000 4), sec. 4.2 1/10 at epochs 60 and 90."""
    if decay.kind == 'polynomial':
        return max(0.0, 1.0 - epoch_detail / epochs) ** decay.power
    if decay.kind == 'step':
        return decay.factor ** sum(epoch_detail >= epoch for epoch in decay.at_epochs)
    return 1.0


def scale_lr(base_lr, *, lr_rule, n_workers, batch_size_per_worker, base_lr_batch_size=None):
    """Learning rate for a global batch of ``k n`` images.

    ========= ======================== ==================================================
    lr_rule   rate                     reading
    ========= ======================== ==================================================
    linear    ``eta k n / reference``  Goyal et al.; sec. 4.1 with reference 256; with
                                       reference ``n`` this is ``k eta``
    literal   ``eta k n``              sec. 4.2 as printed
    darknet   ``eta k n / 64``         Darknet's batch of 64 for detection
    ========= ======================== ==================================================

    Args:
        base_lr (float): eta, the rate without distribution.
        lr_rule ({'linear', 'literal', 'darknet'}): The reading.
        n_workers (int): k, the paper's number of GPUs.
        batch_size_per_worker (int): n, images.
        base_lr_batch_size (int): Batch that ``base_lr`` belongs to, images; only for
            ``'linear'``.

    Returns:
        float: The scaled rate.

    Raises:
        ValueError: If ``lr_rule`` is unknown.
    """
    batch_size = n_workers * batch_size_per_worker
    if lr_rule == 'linear':
        return base_lr * batch_size / base_lr_batch_size
    if lr_rule == 'literal':
        return base_lr * batch_size
    if lr_rule == 'darknet':
        return base_lr * batch_size / 64
    raise ValueError(f"lr_rule is {lr_rule!r}; expected 'linear', 'literal' or 'darknet'")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Learning rate at each position of a training run.

    ``s`` is the scaled rate, ``w`` the epochs of the warm-up, ``E`` the epochs of
    the run, and ``b = min(eta, s)``::

        e >= w                             s * decay(e)
        e <  w, warmup 'gradual'           b + (s - b) * e / w
        e <  1, warmup 'hold_first_epoch'  b
        1 <= e < w, 'hold_first_epoch'     b + (s - b) * (e - 1) / (w - 1)

    The decay is a function of the whole position ``e``, not of the epochs since the
    warm-up. It does not act during the warm-up. Darknet's ``burn_in`` does the same
    (``src/network.c``, ``get_current_rate``). A run whose scaled rate is below eta
    needs no warm-up and starts at ``s``.

    Args:
        base_lr (float): eta.
        scaled_lr (float): ``s``, see :func:`scale_lr`.
        epochs (float): ``E``.
        warmup ({'hold_first_epoch', 'gradual', 'none'}): ``'hold_first_epoch'`` keeps eta
            for the first epoch (sec. 4.1). ``'gradual'`` grows at each iteration from the
            first [Goyal et al. 2017, sec. 2.2].
        warmup_epochs (float): ``w``, the first epoch of ``'hold_first_epoch'`` included.
        decay (Polynomial, Step or Constant): A section of :mod:`yolo_dist.config.sections`.
    """

    base_lr: float
    scaled_lr: float
    epochs: float
    warmup: str
    warmup_epochs: float
    decay: object

    def __call__(self, epoch_detail):
        """Rate for the update that starts at ``epoch_detail`` epochs."""
        if self.warmup == 'none' or epoch_detail >= self.warmup_epochs:
            return self.scaled_lr * _decay(self.decay, epoch_detail, self.epochs)
        start = min(self.base_lr, self.scaled_lr)
        if self.warmup == 'gradual':
            share = epoch_detail / self.warmup_epochs
        else:
            share = max(0.0, epoch_detail - 1) / (self.warmup_epochs - 1)
        return start + (self.scaled_lr - start) * share

    def table(self):
        """``[(epoch, rate), ...]`` at a few epochs that show its course, for the log."""
        epochs = {0.0, float(self.epochs)}
        if self.warmup != 'none':
            epochs |= {1.0, self.warmup_epochs / 2, float(self.warmup_epochs)}
        if self.decay.kind == 'step':
            epochs |= {*self.decay.at_epochs}
        else:
            epochs |= {self.epochs * quarter / 4 for quarter in (1, 2, 3)}
        return [(epoch, self(epoch)) for epoch in sorted(epochs) if epoch <= self.epochs]


def create_schedule(config):
    """Make the :class:`Schedule` of an experiment.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.

    Returns:
        Schedule: Its learning rate.
    """
    optimizer, schedule = config.optimizer, config.schedule
    scaled_lr = scale_lr(
        optimizer.base_lr, lr_rule=optimizer.lr_rule, n_workers=config.workers,
        batch_size_per_worker=config.data.batch_size_per_worker,
        base_lr_batch_size=optimizer.base_lr_batch_size)
    return Schedule(optimizer.base_lr, scaled_lr, schedule.epochs,
                    schedule.warmup, schedule.warmup_epochs, schedule.decay)


def n_training_iterations(config, n_examples):
    """Length of a run, iterations.

    Epochs are counted in images and need not end at the end of a batch. 100 epochs
    of the 16,551 VOC images are 1,078 iterations at k = 96 and 808 at k = 128.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        n_examples (int): Size of the training set.

    Returns:
        int: ``epochs * n_examples / (k n)``, rounded, at least 1. For a throughput run
        it is the length in ``run.measure``.
    """
    if config.run.measure is not None:
        return config.run.measure.warmup_iterations + config.run.measure.iterations
    return max(1, round(config.schedule.epochs * n_examples / config.global_batch_size))


def check_batch_fits(config, n_examples):
    """Check that one global batch is not larger than the training set.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        n_examples (int): Size of the training set.

    Raises:
        InputError: If ``k n`` exceeds ``n_examples``.
    """
    if config.global_batch_size > n_examples:
        raise InputError(
            f'one batch takes workers x data.batch_size_per_worker = {config.workers} x '
            f'{config.data.batch_size_per_worker} = {config.global_batch_size} images, but the '
            f'training set has {n_examples}; use fewer workers or smaller batches')
