"""MPI, from its start to the end of the job, in the order that works.

Nothing else starts MPI or makes a communicator. A *process* is an MPI rank; a
*worker* is one of the paper's k GPUs with its own minibatch.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback

import chainer
import threadpoolctl

from yolo_dist.distributed.device import n_gpus, use_gpu
from yolo_dist.errors import InputError

# What schedulers send before they end a job.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class _AgreedInputError(InputError):
    """An input error that every process of the job knows of."""


def _do_nothing():
    pass


def _start_forkserver():
    # Loader processes must descend from a process that has never touched MPI or
    # CUDA: InfiniBand drivers and NCCL do not survive a fork.
    multiprocessing.set_start_method('forkserver', force=True)
    # A signal that asks the job to stop reaches them, too; they end with their parent.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS[1:]}
    process = multiprocessing.Process(target=_do_nothing)
    process.start()
    process.join()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run_job(main):
    """Runs the ``main`` of an entry point in every process of an MPI job.

    An :class:`InputError` is printed once and ends the job with status 2. Any
    other exception is printed by the process in which it happened, which then
    aborts the whole job, so that no process is left waiting for a dead one.

    Args:
        main (callable): Called without arguments.
    """
    _start_forkserver()
    from mpi4py import MPI
    world = MPI.COMM_WORLD
    _share_cores(world)
    try:
        status = main()
    except _AgreedInputError as error:
        if world.rank == 0:
            print(f'error: {error}', file=sys.stderr, flush=True)
        status = 2
    except InputError as error:
        where = f' (process {world.rank})' if world.size > 1 else ''
        print(f'error{where}: {error}', file=sys.stderr, flush=True)
        _abort(world, 2)
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
        if world.size > 1:
            print(f'process {world.rank} of {world.size} failed; ending the job',
                  file=sys.stderr, flush=True)
        _abort(world, 1)
    sys.exit(status)


def _abort(world, status):
    sys.stderr.flush()
    if world.size > 1:
        world.Abort(status)
    os._exit(status)


def _share_cores(world):
    # Without this each process starts as many BLAS threads as the node has cores.
    from mpi4py import MPI
    node = world.Split_type(MPI.COMM_TYPE_SHARED)
    cores = set().union(*node.allgather(os.sched_getaffinity(0)))
    threadpoolctl.threadpool_limits(max(1, len(cores) // node.size))
    node.Free()


@contextlib.contextmanager
def agreed():
    """Part of the set-up that succeeds in all processes or fails in all.

    Inside, no process may wait for another. When any process raises
    :class:`InputError`, all of them raise it at the end of the block.

    Raises:
        InputError: With the messages of all processes, each distinct one once.
    """
    from mpi4py import MPI
    message = None
    try:
        yield
    except InputError as error:
        message = str(error)
    messages = MPI.COMM_WORLD.allgather(message)
    distinct = dict.fromkeys(text for text in messages if text is not None)
    if distinct:
        raise _AgreedInputError('\n'.join(distinct))


def process_number():
    """Rank of this process in the job."""
    from mpi4py import MPI
    return MPI.COMM_WORLD.rank


def n_processes():
    """Number of processes of the job, P."""
    from mpi4py import MPI
    return MPI.COMM_WORLD.size


def check_launch(config):
    """Checks that the launched processes can carry the experiment's workers.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.

    Raises:
        InputError: If P does not divide K, or what is asked for needs P = K.
    """
    n_workers = config.workers
    if n_workers % n_processes():
        divisors = [n for n in range(1, n_workers + 1) if n_workers % n == 0]
        raise InputError(
            f'launched with {n_processes()} processes, but {n_workers} workers cannot be divided '
            f'among {n_processes()}; use a divisor of {n_workers}: '
            f'{", ".join(map(str, divisors))}')
    for key in ('multi_node_bn', 'double_buffering'):
        if getattr(config.communicator, key) and n_processes() < n_workers:
            raise InputError(
                f'communicator.{key} needs a process for each worker, but {n_workers} workers '
                f'were launched on {n_processes()} processes; launch it with '
                f'`mpiexec -n {n_workers}`, or `--set communicator.{key}=false`')


def local_workers(n_workers):
    """Worker numbers that this process carries.

    Args:
        n_workers (int): k of the experiment.

    Returns:
        range: A block of ``k / P`` numbers.
    """
    per_process = n_workers // n_processes()
    return range(process_number() * per_process, (process_number() + 1) * per_process)


def create_communicator(name, *, n_workers=None, allreduce_grad_dtype='float32',
                        prescale_gradients=False, double_buffering=False):
    """Makes a ChainerMN communicator for the gradients of K workers.

    Args:
        name ({'auto', 'naive', 'pure_nccl'}): ``'auto'`` is ``pure_nccl`` where
            CuPy finds a GPU, else ``naive``.
        n_workers (int): K; ``None`` is one for each process.
        allreduce_grad_dtype ({'float16', 'float32'}): What gradients are summed
            in; the paper used float16 (sec. 5.1).
        prescale_gradients (bool): Whether gradients are multiplied by 1/K before
            they are summed, not after.
        double_buffering (bool): Whether the optimizer will ask for it.

    Returns:
        chainermn.CommunicatorBase: See :mod:`~yolo_dist.distributed.worker_mean`. Collective.

    Raises:
        InputError: If the machine or the communicator cannot do what is asked.
    """
    from mpi4py import MPI

    from yolo_dist.distributed.worker_mean import (
        WorkersNaiveCommunicator,
        WorkersPureNcclCommunicator,
    )
    settings = {'n_workers': n_workers or n_processes(), 'dtype': allreduce_grad_dtype,
                'prescale': prescale_gradients}
    if name == 'auto':
        name = 'pure_nccl' if n_gpus() else 'naive'
    if name == 'naive':
        if double_buffering:
            raise InputError(
                'communicator.double_buffering: found true, but gradients are averaged by the '
                'naive communicator here, which cannot do it beside the computing; run it on a '
                'GPU, or `--set communicator.double_buffering=false`')
        return WorkersNaiveCommunicator(MPI.COMM_WORLD, **settings)
    if not n_gpus():
        raise InputError(
            'communicator.name: found pure_nccl, but CuPy finds no GPU here; '
            '`python -m yolo_dist.doctor` says why, and '
            '`--set communicator.name=auto` falls back to the CPU')
    return WorkersPureNcclCommunicator(MPI.COMM_WORLD, **settings)


def communicator_name(comm):
    """ChainerMN's name of a communicator, ``'naive'`` or ``'pure_nccl'``."""
    from chainermn.communicators.naive_communicator import NaiveCommunicator
    return 'naive' if isinstance(comm, NaiveCommunicator) else 'pure_nccl'


def choose_device(comm):
    """The device of this process: its GPU under ``pure_nccl``, else the CPU.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.

    Returns:
        chainer.backend.Device: Already made current.

    Raises:
        InputError: If the node has fewer GPUs than processes, or has no cuDNN.
    """
    if communicator_name(comm) != 'pure_nccl':
        return chainer.get_device('@numpy')
    if comm.intra_size > n_gpus():
        raise InputError(
            f'{comm.intra_size} processes on a node where each sees {n_gpus()} GPUs; pure_nccl '
            'needs one GPU for each process, all of which every process of the node sees '
            '(`srun --gpus-per-node=N`, not --gpus-per-task)')
    return use_gpu(comm.intra_rank)


def create_mnbn_model(model, comm):
    """ChainerMN's copy of a model whose batch normalisation is over all workers' batches.

    Args:
        model (chainer.Link): The model.
        comm (chainermn.CommunicatorBase): The communicator, with P = K.

    Returns:
        chainer.Link: The copy.
    """
    import chainermn
    return chainermn.links.create_mnbn_model(model, comm)
