"""Threads of the kernels: parts, errors, two callers at a time, and a fork."""
import os
import threading
import time

import pytest

from yolo_dist.kernels.cpu import threads


def test_each_part_has_its_own_thread_and_results_are_in_order():
    """Also when the helpers have gone to sleep in between."""
    for pause_seconds in (0, 0, .05):
        time.sleep(pause_seconds)
        parts = threads.parallel(lambda i: (i, threading.get_ident(), threads.n_threads()), 3)
        assert [i for i, *_ in parts] == [0, 1, 2]
        assert len({ident for _, ident, _ in parts}) == 3
        assert [n for *_, n in parts] == [1, 1, 1]


@pytest.mark.parametrize('failing', [0, 1, 2])
def test_an_error_waits_for_the_other_parts(failing):
    """They write into buffers of the caller."""
    finished = []

    def run(i):
        if i == failing:
            raise RuntimeError(f'part {i}')
        time.sleep(.05)
        finished.append(i)
    with pytest.raises(RuntimeError, match=f'part {failing}'):
        threads.parallel(run, 3)
    assert sorted(finished) == sorted({0, 1, 2} - {failing})
    assert threads.parallel(lambda i: i, 3) == [0, 1, 2]


def test_a_second_caller_does_its_parts_itself():
    """The helpers are lent to one at a time, and nobody waits for them."""
    inside, done = threading.Event(), threading.Event()

    def run(i):
        inside.set()
        assert done.wait(10)
    first = threading.Thread(target=threads.parallel, args=(run, 2))
    first.start()
    assert inside.wait(10)
    here = threading.get_ident()
    assert threads.parallel(lambda i: (i, threading.get_ident()), 2) == [(0, here), (1, here)]
    done.set()
    first.join()


def test_threads_are_made_anew_after_a_fork():
    """A child of a process has none of its threads."""
    threads.parallel(lambda i: i, 2)
    child = os.fork()
    if child == 0:
        os._exit(threads.parallel(lambda i: i + 1, 2) != [1, 2])
    deadline = time.monotonic() + 30
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail('the child waits for a thread that it does not have')
        time.sleep(.01)
    assert ended[1] == 0
