"""MPI, from its start to the end of the job, in the order that works.

Nothing else starts MPI or makes a communicator. A *process* is an MPI rank; a
*worker* is one of the paper's k GPUs with its own minibatch.
"""

import contextlib
import multiprocessing
import os
import sys
import traceback

import chainer
import numpy as np
import threadpoolctl

from yolo_dist.errors import InputError


class _AgreedInputError(InputError):
    """An input error that every process of the job knows of."""


def _do_nothing():
    pass


def _start_forkserver():
    # Loader processes must descend from a process that has never touched MPI or
    # CUDA: InfiniBand drivers and NCCL do not survive a fork.
    multiprocessing.set_start_method('forkserver', force=True)
    process = multiprocessing.Process(target=_do_nothing)
    process.start()
    process.join()


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


def check_launch(n_workers):
    """Checks that the launched processes can carry the experiment's workers.

    Args:
        n_workers (int): k of the experiment.

    Raises:
        InputError: If the number of processes is not the number of workers.
    """
    if n_processes() != n_workers:
        raise InputError(
            f'launched with {n_processes()} processes, but the experiment has {n_workers} '
            f'workers; launch it with `mpiexec -n {n_workers}`, or change the experiment with '
            f'`--set workers={n_processes()}` (this also scales the learning rate)')


def local_workers(n_workers):
    """Worker numbers that this process carries.

    Args:
        n_workers (int): k of the experiment.

    Returns:
        range: A block of ``k / P`` numbers.
    """
    per_process = n_workers // n_processes()
    return range(process_number() * per_process, (process_number() + 1) * per_process)


def _gpu_is_available():
    return chainer.backends.cuda.available and \
        chainer.backends.cuda.cupy.cuda.runtime.getDeviceCount() > 0


def create_communicator(name, *, allreduce_grad_dtype='float32'):
    """Makes a ChainerMN communicator.

    Args:
        name ({'auto', 'naive', 'pure_nccl'}): ``'auto'`` is ``pure_nccl`` where
            CuPy finds a GPU, else ``naive``.
        allreduce_grad_dtype ({'float16', 'float32'}): What gradients are summed
            in; the paper used float16 (sec. 5.1).

    Returns:
        chainermn.CommunicatorBase: The communicator. Collective.

    Raises:
        InputError: If the machine or the communicator cannot do what is asked.
    """
    import chainermn
    if name == 'auto':
        name = 'pure_nccl' if _gpu_is_available() else 'naive'
    if name == 'naive':
        if allreduce_grad_dtype == 'float16':
            raise InputError(
                'communicator.allreduce_grad_dtype: found float16 on the naive communicator, '
                'which sums gradients in float32; use pure_nccl on a GPU, or '
                '`--set communicator.allreduce_grad_dtype=float32`')
        return chainermn.create_communicator('naive')
    if not _gpu_is_available():
        raise InputError(
            'communicator.name: found pure_nccl, but CuPy finds no GPU here; '
            '`python -m yolo_dist.doctor` says why, and '
            '`--set communicator.name=auto` falls back to the CPU')
    return chainermn.create_communicator(
        'pure_nccl', allreduce_grad_dtype=np.dtype(allreduce_grad_dtype))


def communicator_name(comm):
    """ChainerMN's name of a communicator, ``'naive'`` or ``'pure_nccl'``."""
    return {'NaiveCommunicator': 'naive', 'PureNcclCommunicator': 'pure_nccl'}[type(comm).__name__]


def choose_device(comm):
    """The device of this process: its GPU under ``pure_nccl``, else the CPU.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.

    Returns:
        chainer.backend.Device: Already made current.

    Raises:
        InputError: If the node has fewer GPUs than processes.
    """
    if communicator_name(comm) != 'pure_nccl':
        return chainer.get_device('@numpy')
    n_gpus = chainer.backends.cuda.cupy.cuda.runtime.getDeviceCount()
    if comm.intra_size > n_gpus:
        raise InputError(f'{comm.intra_size} processes on a node with {n_gpus} GPUs; pure_nccl '
                         'needs one GPU for each process')
    device = chainer.get_device(f'@cupy:{comm.intra_rank}')
    device.use()
    return device


def average_batch_statistics(model, comm):
    """Replaces each worker's batch-normalisation statistics by their mean.

    Workers keep statistics of their own during training (sec. 4.4 averages
    gradients alone); they are averaged whenever they leave the worker, for an
    evaluation or a snapshot. Training does not read them, so this changes no
    update; and as running averages are linear, it does not change their mean at
    any later time either. The sum goes through host memory: ChainerMN's
    ``AllreducePersistent`` hands device pointers to MPI.

    Args:
        model (chainer.Link): The model, the same in all processes.
        comm (chainermn.CommunicatorBase): The communicator. Collective.
    """
    if comm.size == 1:
        return
    places = [(link, name) for _, link in sorted(model.namedlinks())
              for name in sorted(link._persistent)
              if isinstance(getattr(link, name), chainer.get_array_types())
              and getattr(link, name).dtype.kind == 'f']
    if not places:
        return
    from mpi4py import MPI
    packed = np.concatenate([
        chainer.backends.cuda.to_cpu(getattr(link, name)).ravel() for link, name in places])
    mean = np.empty_like(packed)
    comm.mpi_comm.Allreduce(packed, mean, MPI.SUM)
    mean /= comm.size
    begin = 0
    for link, name in places:
        array = getattr(link, name)
        array[...] = link.xp.asarray(mean[begin:begin + array.size]).reshape(array.shape)
        begin += array.size
