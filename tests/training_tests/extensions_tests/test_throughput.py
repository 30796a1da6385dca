"""What a throughput run measures, with clocks set by hand."""

import json
import types

import pytest

from yolo_dist.training.extensions.throughput import Throughput


class Processes:
    """A communicator of two processes; the other one hands in what it is given."""

    size = 2
    n_workers = 4

    def __init__(self, rank=0, other=None):
        self.rank = rank
        self.gathered = []
        self._other = other

    def gather_obj(self, value):
        self.gathered.append(value)
        return [value, self._other] if self.rank == 0 else None


def run(comm, ends, phases, *, warmup_iterations, write):
    """Lets a run of ``len(ends)`` iterations pass whose iterations end at these seconds."""
    clock = iter([100.0, *ends])
    extension = Throughput(comm, warmup_iterations, write, clock=lambda: next(clock))
    updater = types.SimpleNamespace(iteration=0, global_batch_size=60)
    trainer = types.SimpleNamespace(
        updater=updater, stop_trigger=lambda trainer: updater.iteration >= len(ends))
    extension.initialize(trainer)
    for values in phases:
        updater.iteration += 1
        updater.phase_seconds = dict(zip(
            ('input', 'forward_backward', 'allreduce', 'update'), values))
        extension(trainer)


PHASES = [(9.0, 9.0, 9.0, 9.0), (0.1, 0.5, 0.2, 0.1), (0.3, 0.6, 0.2, 0.1), (0.1, 0.7, 0.8, 0.1)]


def test_speed_is_that_of_the_slowest_process():
    """Seconds 1, 2, 3 here and 2, 2, 2 there are 2, 2, 3; 60 images each; the first is warm-up.

    The memory is that of the largest process, here the other one.
    """
    other = ([2.0, 2.0, 2.0], [(0.0, 1.0, 0.4, 0.1)] * 3, 1e9)
    written = []
    run(Processes(other=other), [150.0, 151.0, 153.0, 156.0], PHASES,
        warmup_iterations=1, write=written.append)
    assert written == [{
        'n_workers': 4, 'n_processes': 2, 'global_batch_size': 60,
        'warmup_iterations': 1, 'iterations': 3,
        'images_per_second': {'median': 30.0, 'lower_quartile': 25.0, 'upper_quartile': 30.0},
        'seconds_per_iteration': {'median': 2.0, 'lower_quartile': 2.0, 'upper_quartile': 2.5},
        'phase_seconds': pytest.approx({
            'input': (0.1 + 0.0) / 2, 'forward_backward': (0.6 + 1.0) / 2,
            'allreduce': (0.2 + 0.4) / 2, 'update': 0.1}),
        'peak_memory_megabytes': 1e9}]
    assert json.loads(json.dumps(written[0])) == written[0]


def test_only_the_root_writes_and_all_exchange_once():
    """Another process hands in its clocks in the last iteration and writes nothing."""
    comm = Processes(rank=1)
    run(comm, [101.0, 102.0, 104.0, 107.0], PHASES, warmup_iterations=2,
        write=lambda content: pytest.fail('written'))
    (seconds, phases, peak_megabytes), = comm.gathered
    assert (seconds, phases) == ([2.0, 3.0], [list(values) for values in PHASES[2:]])
    assert 20 < peak_megabytes < 20_000  # of this very process


def test_without_warm_up_the_first_iteration_counts_from_the_start():
    """It begins where the trainer does."""
    comm = Processes(rank=1)
    run(comm, [101.5], PHASES[:1], warmup_iterations=0, write=None)
    assert comm.gathered[0][0] == [1.5]


def test_a_run_that_ends_in_its_warm_up_has_no_speed():
    """A signal may stop it early."""
    run(Processes(other=([], [])), [101.0, 102.0], PHASES[:2], warmup_iterations=5,
        write=lambda content: pytest.fail('written'))
