"""One training iteration: read, forward, backward, all-reduce, update."""

import time

from chainer.training.updaters import StandardUpdater


def n_training_iterations(config, n_examples):
    """Length of a run, iterations.

    Epochs are counted in images, so they need not end where a batch ends; 100
    epochs of the 16,551 VOC images are 1,078 iterations at k = 96 and 808 at
    k = 128.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        n_examples (int): Size of the training set.

    Returns:
        int: ``epochs * n_examples / (k n)``, rounded, at least 1.
    """
    return max(1, round(config.schedule.epochs * n_examples / config.global_batch_size))


class TrainUpdater(StandardUpdater):
    """Chainer's updater with the epoch taken from the images of all workers.

    Everything that depends on the position in training (epochs, triggers, the
    learning rate, YOLOv2's prior phase) derives from ``iteration`` alone.

    Args:
        iterator (~yolo_dist.iterators.StreamIterator): Batches of this process.
        optimizer: See :func:`~yolo_dist.optimizers.create_optimizer`.
        converter (callable): ``converter(batch, device)`` returns the arguments
            of the train chain.
        device (chainer.backend.Device): Where to compute.
        global_batch_size (int): ``k n``, images.
        n_examples (int): Size of the training set.
    """

    def __init__(self, iterator, optimizer, *, converter, device, global_batch_size, n_examples):
        super().__init__(iterator, optimizer, device=device, auto_new_epoch=False)
        self._convert = converter
        self._global_batch_size = global_batch_size
        self._n_examples = n_examples

    def epoch_detail_at(self, iteration):
        """Position after ``iteration`` updates, epochs."""
        return iteration * self._global_batch_size / self._n_examples

    @property
    def epoch_detail(self):
        return self.epoch_detail_at(self.iteration)

    @property
    def previous_epoch_detail(self):
        return self.epoch_detail_at(max(0, self.iteration - 1))

    @property
    def epoch(self):
        return int(self.epoch_detail)

    @property
    def is_new_epoch(self):
        return self.epoch > int(self.previous_epoch_detail)

    @property
    def global_batch_size(self):
        """``k n``, images."""
        return self._global_batch_size

    def update_core(self):
        self.update_began_at = time.perf_counter()
        optimizer = self.get_optimizer('main')
        train_chain = optimizer.target
        train_chain.n_images_seen = (self.iteration + 1) * self._global_batch_size
        batch = self.get_iterator('main').next()
        optimizer.update(train_chain, *self._convert(batch, self.device))
