"""Loaders give all examples in order, and the loss of one is an error, not a hang."""
import os
import signal
import time

import numpy as np
import pytest

from yolo_dist.errors import ProcessLost
from yolo_dist.training.iterators import iterate_batches
from yolo_dist.training.loaders import Loaders

EXAMPLE_BYTES = 2 ** 12


class Images:
    """Example ``i`` is filled with ``i``, which takes longer for the even ones."""

    def __len__(self):
        return 23

    def __getitem__(self, i):
        time.sleep(0.002 * (i % 2 == 0))
        return np.full((3, 8, 8), i, np.uint8), i


class Endless(Images):
    def __len__(self):
        return 10 ** 6


@pytest.mark.parametrize('n_loaders, batch_size', [(1, 4), (3, 4), (5, 2), (2, 30)])
def test_all_examples_come_once_and_in_order(n_loaders, batch_size):
    """Whoever reads them, and however many batches are read ahead."""
    batches = list(iterate_batches(Images(), batch_size, n_loaders))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    examples = [example for batch in batches for example in batch]
    assert [i for _, i in examples] == list(range(23))
    for img, i in examples:
        np.testing.assert_array_equal(img, np.full((3, 8, 8), i))


def test_an_array_without_room_comes_all_the_same():
    """The memory holds a part of the examples' arrays only."""
    loaders = Loaders(Images(), 4, 2, example_bytes=100)
    assert [int(img[0, 0, 0]) for batch in loaders for img, _ in batch] == list(range(23))


def lost(loaders):
    """What is said of a lost loader, within some batches."""
    end = time.monotonic() + 30
    with pytest.raises(ProcessLost) as caught:
        while time.monotonic() < end:
            next(loaders)
    return str(caught.value)


def test_a_killed_loader_is_an_error_that_names_it():
    """Its number, its process and the signal; the other loader is alive."""
    loaders = Loaders(Endless(), 4, 2, EXAMPLE_BYTES)
    next(loaders)
    process = loaders._loaders[1][0]
    os.kill(process.pid, signal.SIGKILL)
    assert f'loader 1 of 2 (process {process.pid}) was killed by signal 9' in lost(loaders)
    loaders.finalize()


class Crashes(Endless):
    def __getitem__(self, i):
        os._exit(7)


def test_a_loader_that_crashes_is_an_error():
    """One that was never killed, as by a fault of a decoder."""
    loaders = Loaders(Crashes(), 4, 1, EXAMPLE_BYTES)
    assert 'ended with status 7' in lost(loaders)
    loaders.finalize()


def test_the_end_of_loaders_does_not_wait_for_one_that_is_stopped():
    """They are killed, whatever they do."""
    loaders = Loaders(Endless(), 4, 2, EXAMPLE_BYTES)
    process = loaders._loaders[0][0]
    os.kill(process.pid, signal.SIGSTOP)
    loaders.finalize()
    assert process.exitcode == -signal.SIGKILL


# Starts as `train` does, says who its loaders and their fork server are, and reads on: each
# of them hangs then.
READS = """
import time
from multiprocessing import forkserver
import yolo_dist
from yolo_dist.distributed import launch
from yolo_dist.training.loaders import Loaders

class Hangs:
    def __len__(self):
        return 1000

    def __getitem__(self, i):
        if i >= 4:
            time.sleep(1000)
        return i

def main():
    loaders = Loaders(Hangs(), 4, 2, 100)
    next(loaders)
    print(forkserver._forkserver._forkserver_pid,
          *(process.pid for process, _ in loaders._loaders), flush=True)
    for batch in loaders:
        pass

if __name__ == '__main__':
    launch.run_job(main)
"""


@pytest.fixture
def reads(start, tmp_path):
    """A process that reads; it, its fork server's number and its loaders' numbers."""
    script = tmp_path / 'reads.py'
    script.write_text(READS)
    process = start(script)
    fork_server, *loaders = map(int, process.stdout.readline().split())
    return process, fork_server, loaders


def test_a_lost_fork_server_ends_the_process(reads):
    """With one line that names the process, and no traceback."""
    process, fork_server, loaders = reads
    os.kill(fork_server, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.count('error (process 0 of 1 on ') == 1 and 'fork server' in errors
    assert 'Traceback' not in errors
    wait_until_gone(loaders)


def test_loaders_end_with_their_parent_and_with_nothing_else(reads):
    """Signals that ask the job to stop do nothing to them; after a kill none is left."""
    process, fork_server, loaders = reads
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        for pid in (fork_server, *loaders):
            os.kill(pid, number)
    with pytest.raises(TimeoutError):
        wait_until_gone([fork_server, *loaders], any, seconds=0.5)
    assert process.poll() is None
    process.kill()
    wait_until_gone([fork_server, *loaders])


def is_gone(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] in 'ZX'
    except OSError:
        return True


def wait_until_gone(pids, which=all, seconds=30):
    end = time.monotonic() + seconds
    while not which(is_gone(pid) for pid in pids):
        if time.monotonic() > end:
            raise TimeoutError(pids)
        time.sleep(0.05)
