"""What it costs to train with several processes."""
import time

import numpy as np

from yolo_dist.benchmarks import workloads
from yolo_dist.benchmarks.timing import Timing, ratio
from yolo_dist.distributed import communicator

_POLL_SECONDS = 1e-3


def _wait(comm):
    # A barrier of MPI spins, and would take the cores from those still working.
    request = comm.mpi_comm.Ibarrier()
    while not request.Test():
        time.sleep(_POLL_SECONDS)
    # All are here. Where one begins a poll earlier, a large message over a network takes twice as
    # long, as Open MPI then sends and receives it in turns.
    comm.mpi_comm.Barrier()


def _timed(comm, function):
    """Seconds until the last process is done, and seconds that the own cores were busy."""
    _wait(comm)
    start, busy_start = time.perf_counter(), time.process_time()
    function()
    busy = time.process_time() - busy_start
    _wait(comm)
    return time.perf_counter() - start, max(busy, 1e-9)


def _loop():
    sum(range(10_000_000))


def measure_allreduce(arguments):
    """Time a training step of one process, of all at once, and the mean of gradients.

    Collective. In each round first the root trains alone while the others sleep,
    then all train side by side, then all average their gradients, then all sum as many numbers
    in one message, which is MPI's all-reduce alone. A loop that needs no memory, run by the root
    alone and by all, says what the machine itself allows.

    Args:
        arguments (~argparse.Namespace): Of the command line.

    Returns:
        dict: Figures; ``None`` but on the root.
    """
    comm = communicator.create_communicator('naive', allreduce_grad_dtype=arguments.sum_dtype)
    comm.may_overflow = True  # its time is the same
    step, chain = workloads.create_training_step(
        arguments.model, input_size=arguments.input_size, batch=arguments.batch,
        width=arguments.width)
    step()
    step()
    message = np.zeros(sum(param.size for param in chain.params()), comm.sum_dtype)
    works = {
        'loop_alone': _loop if comm.rank == 0 else lambda: None,
        'loop_together': _loop,
        'alone': step if comm.rank == 0 else lambda: None,
        'together': step,
        'allreduce': lambda: comm.multi_node_mean_grad(chain),
        'bare': lambda: comm.sum_packed(message)}
    samples = {name: [] for name in works}
    for _ in range(arguments.repeats):
        for name, work in works.items():
            samples[name].append(_timed(comm, work))
    if comm.rank != 0:
        return None
    loop_alone, loop_together, alone, together, allreduce, bare = (
        Timing(tuple(seconds for seconds, _ in pairs)) for pairs in samples.values())
    alone_busy, together_busy, allreduce_busy = (
        Timing(tuple(busy for _, busy in samples[name]))
        for name in ('alone', 'together', 'allreduce'))
    whole, whole_busy = (
        Timing(tuple(a + b for a, b in zip(first.seconds, second.seconds, strict=True)))
        for first, second in ((together, allreduce), (together_busy, allreduce_busy)))
    n_bytes = sum(param.array.nbytes for param in chain.params())
    return {
        'processes': comm.size,
        'gradient_megabytes': n_bytes / 1e6,
        'allreduce_dtype': arguments.sum_dtype,
        'allreduce_milliseconds': 1e3 * allreduce.median,
        'allreduce_spread': allreduce.spread,
        'bare_allreduce_milliseconds': 1e3 * bare.median,
        'bare_allreduce_spread': bare.spread,
        'allreduce_against_bare': ratio(allreduce, bare),
        'allreduce_gigabytes_per_second': n_bytes / allreduce.median / 1e9,
        'milliseconds_alone': 1e3 * alone.median,
        'milliseconds_together': 1e3 * whole.median,
        'images_per_second': comm.size * arguments.batch / whole.median,
        'speed_up_of_a_loop': comm.size * ratio(loop_alone, loop_together),
        'speed_up_of_computing': comm.size * ratio(alone, together),
        # By CPU time: what sharing memory and caches costs alone where others take the cores.
        'speed_up_of_computing_by_cpu_time': comm.size * ratio(alone_busy, together_busy),
        'speed_up': comm.size * ratio(alone, whole),
        'speed_up_by_cpu_time': comm.size * ratio(alone_busy, whole_busy),
    }
