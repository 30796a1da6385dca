"""One training iteration: read, forward, backward, all-reduce, update."""

import time

import chainer
import numpy as np
from chainer.training.updaters import StandardUpdater

from yolo_dist.errors import GradientNotFinite, in_short
from yolo_dist.training.divergence import raise_diverged


class TrainUpdater(StandardUpdater):
    """Chainer's updater for the k / P workers of a process.

    Each worker in turn reads its minibatch, computes its gradient with its own
    batch-normalisation statistics and hands it in. The update of the last worker
    finishes the mean over all k workers and moves the weights. With one worker only
    ``optimizer.update`` runs. Values that the train chain reports are the mean over
    the workers of this process.

    Everything that depends on the position in training (epochs, triggers, the
    learning rate, YOLOv2's prior phase) is computed only from ``iteration``.

    Args:
        iterator (~yolo_dist.training.iterators.StreamIterator): Minibatches of the workers.
        optimizer: See :func:`~yolo_dist.training.optimizers.create_optimizer`.
        comm (chainermn.CommunicatorBase): A communicator of
            :mod:`~yolo_dist.distributed.worker_mean`.
        workers (~yolo_dist.distributed.virtual_workers.LocalWorkers): The workers of this process.
        converter (callable): ``converter(batch, device)`` returns the arguments
            of the train chain.
        device (chainer.backend.Device): Where to compute.
        global_batch_size (int): ``k n``, images.
        n_examples (int): Size of the training set.

    Attributes:
        phase_seconds (dict): Time of the last iteration for ``input`` (waiting for
            minibatches, copying them), ``forward_backward``, ``allreduce`` and
            ``update``. On a GPU it is exact only with ``comm.waits_for_device``.

    Raises:
        TrainingDiverged: In all processes, if a mean of gradients is not finite, before it moves
            a weight. On a GPU only float16 sums are checked, at reports.
    """

    def __init__(self, iterator, optimizer, *, comm, workers, converter, device,
                 global_batch_size, n_examples):
        super().__init__(iterator, optimizer, device=device, auto_new_epoch=False)
        self._comm = comm
        self._workers = workers
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
        input_seconds = 0.
        observations = []
        for i in range(len(self._workers)):
            began_at = time.perf_counter()
            batch = self._convert(self.get_iterator('main').next(), self.device)
            input_seconds += time.perf_counter() - began_at
            self._workers.enter(i)
            observations.append({})
            with chainer.reporter.report_scope(observations[-1]):
                if i < len(self._workers) - 1:
                    self._accumulate(train_chain, optimizer, batch)
                else:
                    self._update(train_chain, optimizer, batch, observations)
        chainer.report({key: sum(_array(values[key]) for values in observations)
                        / len(observations) for key in observations[0]})
        mean_began_at, mean_ended_at = self._comm.mean_seconds
        self.phase_seconds = {
            'input': input_seconds,
            'forward_backward': mean_began_at - self.update_began_at - input_seconds,
            'allreduce': mean_ended_at - mean_began_at,
            'update': self._comm.now() - mean_ended_at}

    def _accumulate(self, train_chain, optimizer, batch):
        loss = train_chain(*batch)
        train_chain.cleargrads()
        loss.backward(loss_scale=optimizer._loss_scale)
        self._comm.accumulate(train_chain)

    def _update(self, train_chain, optimizer, batch, observations):
        try:
            optimizer.update(train_chain, *batch)
        except GradientNotFinite as error:
            own = ['its own gradient is not finite'] if error.is_own else []
            own += [f'{key} of its worker {i} is {float(_array(value))}'
                    for i, values in enumerate(observations) for key, value in values.items()
                    if not np.isfinite(float(_array(value)))]
            raise_diverged(str(error), in_short(own), comm=self._comm, updater=self,
                           iteration=self.iteration + 1)

    def serialize(self, serializer):
        super().serialize(serializer)
        # Chainer does not save the state of dynamic loss scaling.
        optimizer = self.get_optimizer('main').actual_optimizer
        if optimizer._loss_scaling_is_dynamic:
            optimizer._loss_scale = float(serializer('loss_scale', optimizer._loss_scale))
            optimizer._loss_scaling_isnan_ever = bool(serializer(
                'loss_scale_has_overflowed', optimizer._loss_scaling_isnan_ever))


def _array(value):
    return getattr(value, 'array', value)
