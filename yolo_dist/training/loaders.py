"""Processes that read examples ahead of training, and the detection of their loss."""

import multiprocessing
import os
import signal
import threading
import warnings
import weakref
from multiprocessing import connection as connections
from multiprocessing import sharedctypes

from chainer.iterators.multiprocess_iterator import _pack, _unpack

from yolo_dist.errors import ProcessLost

# Number of batches that are being read or wait to be used.
_N_AHEAD = 3


class Loaders:
    """Batches of a dataset, once and in order, read ahead by processes.

    Loader ``l`` of ``L`` reads the examples ``l``, ``l + L``, ... Arrays come back through shared
    memory. There is no lock between processes. Each can therefore be killed at any time and leaves
    nothing in ``/dev/shm``. ``MultiprocessIterator`` would wait for ever for a dead loader.

    Args:
        dataset: A Chainer dataset that can be pickled and raises nothing.
        batch_size (int): Size of all batches but the last.
        n_processes (int): Number of loaders, L.
        example_bytes (int): Shared memory for the arrays of an example. An array that does not
            fit comes through a pipe, which is slower.

    Raises:
        ProcessLost: From ``next``, if a loader is gone.
    """

    def __init__(self, dataset, batch_size, n_processes, example_bytes):
        self._n_examples = len(dataset)
        self._batch_size = batch_size
        self._memory = sharedctypes.RawArray('b', _N_AHEAD * batch_size * example_bytes)
        self._loaders = []
        self.finalize = weakref.finalize(self, _end, self._loaders)
        for number in range(n_processes):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(target=_load, daemon=True, args=(
                dataset, number, n_processes, self._memory, example_bytes, theirs))
            process.start()
            theirs.close()
            self._loaders.append((process, ours))
        self._n_taken = 0
        for batch in range(_N_AHEAD):
            self._ask(batch)

    def __iter__(self):
        return self

    def __next__(self):
        first, last = self._bounds(self._n_taken)
        if first == last:
            raise StopIteration
        batch = [None] * (last - first)
        n_loaders = len(self._loaders)
        for number in range(n_loaders):
            batch[(number - first) % n_loaders::n_loaders] = self._receive(number)
        batch = [_unpack(example, self._memory) for example in batch]
        self._ask(self._n_taken + _N_AHEAD)
        self._n_taken += 1
        return batch

    def _bounds(self, batch):
        return (min(batch * self._batch_size, self._n_examples),
                min((batch + 1) * self._batch_size, self._n_examples))

    def _ask(self, batch):
        first, last = self._bounds(batch)
        place = batch % _N_AHEAD * self._batch_size
        for number, (_, connection) in enumerate(self._loaders):
            try:
                connection.send((first, last, place))
            except OSError:
                raise self._lost(number) from None

    def _receive(self, number):
        connection = self._loaders[number][1]
        sentinels = [process.sentinel for process, _ in self._loaders]
        ready = connections.wait([connection, *sentinels])
        for other, sentinel in enumerate(sentinels):
            if sentinel in ready:
                raise self._lost(other)
        try:
            return connection.recv()
        except (EOFError, OSError):
            raise self._lost(number) from None

    def _lost(self, number):
        process = self._loaders[number][0]
        process.join(1)
        return ProcessLost(f'loader {number} of {len(self._loaders)} (process {process.pid}) '
                           f'{_cause(process.exitcode)}; the run goes on with --resume')


def _cause(exitcode):
    if exitcode is None:
        return 'no longer answers'
    if exitcode == 255:  # the status of multiprocessing if the fork server does not know it
        return 'or its fork server was killed'
    if exitcode >= 0:
        return f'ended with status {exitcode}'
    cause = f'was killed by signal {-exitcode} ({signal.Signals(-exitcode).name})'
    if exitcode == -signal.SIGKILL:
        cause += ', which the system does when memory runs out'
    return cause


def _end(loaders):
    for process, connection in loaders:
        process.kill()
        connection.close()
    for process, _ in loaders:
        process.join()


def _load(dataset, number, n_loaders, memory, example_bytes, connection):
    """Read the requested examples, in a loader process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.filterwarnings('ignore', 'Shared memory size is too small')
    try:
        while True:
            first, last, place = connection.recv()
            examples = []
            for i in range(first + (number - first) % n_loaders, last, n_loaders):
                offset = (place + i - first) * example_bytes
                examples.append(_pack(dataset[i], memory, offset, offset + example_bytes))
            connection.send(examples)
    except (EOFError, OSError):  # the parent is gone
        pass


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(0)
