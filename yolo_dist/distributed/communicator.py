"""The communicator of a job, and the workers and the device of each process."""

import chainer

from yolo_dist.distributed.device import n_gpus, own_gpu, use_gpu, visible_gpus
from yolo_dist.distributed.launch import fail_together, n_processes, process_number
from yolo_dist.errors import InputError


def check_launch(config):
    """Check that the launched processes can carry the experiment's workers.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.

    Raises:
        InputError: If P does not divide k, or a chosen key needs P = k.
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


def check_communicator(name, *, double_buffering=False):
    """Check that a communicator can be created here. No process waits for another.

    Args:
        name ({'auto', 'naive', 'pure_nccl'}): See :func:`create_communicator`.
        double_buffering (bool): Whether the optimizer will use double buffering.

    Returns:
        str: ``'naive'`` or ``'pure_nccl'``; for ``'auto'`` the one that is used here.

    Raises:
        InputError: If the machine or the communicator does not support the settings.
    """
    if name == 'auto':
        name = 'pure_nccl' if n_gpus() else 'naive'
    if name == 'naive' and double_buffering:
        raise InputError(
            'communicator.double_buffering: found true, but the naive communicator is used here, '
            'which cannot average gradients during the computation; run on a GPU, or '
            '`--set communicator.double_buffering=false`')
    if name == 'pure_nccl' and not n_gpus():
        raise InputError(
            'communicator.name: found pure_nccl, but CuPy finds no GPU here; '
            '`python -m yolo_dist.doctor` says why, and '
            '`--set communicator.name=auto` falls back to the CPU')
    return name


def create_communicator(name, *, n_workers=None, allreduce_grad_dtype='float32',
                        prescale_gradients=False, double_buffering=False):
    """Make a ChainerMN communicator for the gradients of k workers.

    Args:
        name ({'auto', 'naive', 'pure_nccl'}): ``'auto'`` is ``pure_nccl`` if
            CuPy finds a GPU, else ``naive``.
        n_workers (int): k; ``None`` is one for each process.
        allreduce_grad_dtype ({'float16', 'float32'}): Dtype of the sum of gradients;
            the paper used float16 (sec. 5.1).
        prescale_gradients (bool): Whether gradients are multiplied by 1/k before
            the sum, not after it.
        double_buffering (bool): Whether the optimizer will use double buffering.

    Returns:
        chainermn.CommunicatorBase: See :mod:`~yolo_dist.distributed.worker_mean`. Collective.

    Raises:
        InputError: See :func:`check_communicator`.
    """
    name = check_communicator(name, double_buffering=double_buffering)
    from mpi4py import MPI

    from yolo_dist.distributed.naive import WorkersNaiveCommunicator
    from yolo_dist.distributed.pure_nccl import WorkersPureNcclCommunicator
    settings = {'n_workers': n_workers or n_processes(), 'dtype': allreduce_grad_dtype,
                'prescale': prescale_gradients}
    if name == 'naive':
        return WorkersNaiveCommunicator(MPI.COMM_WORLD, **settings)
    return WorkersPureNcclCommunicator(MPI.COMM_WORLD, **settings)


def communicator_name(comm):
    """ChainerMN's name of a communicator, ``'naive'`` or ``'pure_nccl'``."""
    from chainermn.communicators.naive_communicator import NaiveCommunicator
    return 'naive' if isinstance(comm, NaiveCommunicator) else 'pure_nccl'


def choose_device(comm):
    """Return the device of this process: its GPU under ``pure_nccl``, else the CPU. Collective.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.

    Returns:
        chainer.backend.Device: The device, already made current.

    Raises:
        InputError: In all processes, if one finds no GPU of its own or no cuDNN.
    """
    if communicator_name(comm) != 'pure_nccl':
        return chainer.get_device('@numpy')
    places = comm.mpi_comm.allgather((comm.inter_rank, comm.intra_rank, visible_gpus()))
    with fail_together():
        return use_gpu(own_gpu([
            gpus for node, place, gpus in sorted(places)
            if node == comm.inter_rank and place <= comm.intra_rank]))


def create_mnbn_model(model, comm):
    """Copy a model by ChainerMN, with batch normalisation over the batches of all workers.

    Args:
        model (chainer.Link): The model.
        comm (chainermn.CommunicatorBase): The communicator, with P = k.

    Returns:
        chainer.Link: The copy.
    """
    import chainermn
    return chainermn.links.create_mnbn_model(model, comm)
