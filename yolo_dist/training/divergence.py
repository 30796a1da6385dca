"""What is said where training meets numbers that are not finite."""

import platform

import numpy as np

from yolo_dist.errors import TrainingDiverged, in_short


def is_finite(array):
    """Whether all elements of an array are finite numbers.

    Args:
        array (ndarray): Of floating-point numbers, on any device.

    Returns:
        bool: The answer; one pass over the array where it is true.
    """
    flat = array.reshape(-1)
    # A sum of squares may overflow where no element does.
    return bool(np.isfinite(float(flat.dot(flat))) or (abs(flat) < np.inf).all())


def raise_diverged(what, own, *, comm, updater, iteration):
    """End training in all processes, which tell each other what each of them has seen. Collective.

    Args:
        what (str): What is not finite, as all processes see it.
        own (str): What is not finite in this process; empty: nothing.
        comm (chainermn.CommunicatorBase): The communicator.
        updater (~yolo_dist.training.updater.TrainUpdater): The updater.
        iteration (int): The iteration, from 1.

    Raises:
        TrainingDiverged: Always.
    """
    seen = comm.mpi_comm.allgather((platform.node(), own))
    places = [f'process {i} on {host}: {text}' for i, (host, text) in enumerate(seen) if text]
    raise TrainingDiverged(
        f'{what} at iteration {iteration} (epoch {updater.epoch_detail_at(iteration):.2f}, '
        f'learning rate {updater.get_optimizer("main").lr:g}); '
        + (in_short(places) or 'no loss and no gradient of a single process is'))
