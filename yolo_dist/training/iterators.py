"""Batches of a training stream and of an evaluation, read ahead by processes."""

import chainer
from chainer.iterators import SerialIterator

from yolo_dist.errors import InputError
from yolo_dist.kernels.cpu.freed_memory import keep_freed_memory
from yolo_dist.kernels.cpu.threads import limit_threads
from yolo_dist.training.loaders import Loaders
from yolo_dist.training.watchdog import progress

LOADER_KEEPS_BYTES = 256 << 20  # of freed memory


class _ErrorsAsExamples(chainer.dataset.DatasetMixin):
    """Returns an error as an example. The error is raised where the example is used."""

    def __init__(self, dataset):
        self._dataset = dataset

    def __setstate__(self, state):
        # The copy is for a loader process: one of many, each of which works on another image.
        limit_threads(1)
        keep_freed_memory(LOADER_KEEPS_BYTES)
        self.__dict__.update(state)

    def __len__(self):
        return len(self._dataset)

    def get_example(self, i):
        try:
            return self._dataset[i]
        except Exception as error:
            if isinstance(error, InputError):
                return error
            return RuntimeError(f'example {i}: {type(error).__name__}: {error}')


def _raise_errors(batch):
    for example in batch:
        if isinstance(example, Exception):
            raise example
    return batch


# Shared memory for an example of an evaluation. Images have any size there.
_EVALUATION_EXAMPLE_BYTES = 2 ** 20


def _read_in_order(dataset, batch_size, n_loader_processes, example_bytes):
    dataset = _ErrorsAsExamples(dataset)
    if n_loader_processes == 0:
        return SerialIterator(dataset, batch_size, repeat=False, shuffle=False)
    return Loaders(dataset, batch_size, n_loader_processes, example_bytes)


class StreamIterator(chainer.dataset.Iterator):
    """Minibatches of a training stream, one for each worker in turn.

    Its only state is the iteration. A snapshot that was taken with one number of
    processes can therefore be resumed with another.

    Args:
        stream (~yolo_dist.training.sampler.TrainingStream): What to read.
        n_loader_processes (int): Processes that read ahead; 0 reads in this one.
    """

    def __init__(self, stream, n_loader_processes):
        self._stream = stream
        self._n_loader_processes = n_loader_processes
        self._iterator = None
        self._n_batches = 0

    @property
    def iteration(self):
        """Number of training iterations whose batches have been read for all workers."""
        return self._n_batches // len(self._stream.workers)

    def __next__(self):
        if self._iterator is None:
            self._stream.first_iteration = self.iteration
            self._iterator = _read_in_order(
                self._stream, self._stream.batch_size_per_worker, self._n_loader_processes,
                self._stream.example_bytes)
        place = f'iteration {self.iteration + 1}'
        progress(f'{place}, waits for images')
        batch = _raise_errors(next(self._iterator))
        progress(f'{place}, computes or waits for other processes')
        self._n_batches += 1
        return batch

    next = __next__

    def serialize(self, serializer):
        iteration = int(serializer('iteration', self.iteration))
        self._n_batches = iteration * len(self._stream.workers)

    def finalize(self):
        if self._iterator is not None:
            self._iterator.finalize()
            self._iterator = None


class _Shard(chainer.dataset.DatasetMixin):
    """Every ``n_shards``-th example of a dataset, read only when asked for."""

    def __init__(self, dataset, shard, n_shards):
        self._dataset = dataset
        self._indices = range(shard, len(dataset), n_shards)

    def __len__(self):
        return len(self._indices)

    def get_example(self, i):
        return self._dataset[self._indices[i]]


def iterate_batches(dataset, batch_size, n_loader_processes, *, shard=0, n_shards=1):
    """Yield the examples of a shard of a dataset once, in order, in batches.

    Args:
        dataset: A Chainer dataset.
        batch_size (int): Size of all batches but the last.
        n_loader_processes (int): Processes that read ahead; 0 reads in this one.
        shard (int): Which shard: examples ``shard``, ``shard + n_shards``, ...
        n_shards (int): How many there are; together they hold each example once.

    Yields:
        list: The examples of a batch.
    """
    part = _Shard(dataset, shard, n_shards)
    if not len(part):
        return
    iterator = _read_in_order(part, batch_size, n_loader_processes, _EVALUATION_EXAMPLE_BYTES)
    try:
        for number, batch in enumerate(iterator):
            progress(f'evaluation, batch {number + 1}')
            yield _raise_errors(batch)
    finally:
        iterator.finalize()
