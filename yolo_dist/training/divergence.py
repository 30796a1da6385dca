"""The test for numbers that are not finite, and the error that ends training.

A run has diverged when one of these is not finite. Each is looked at in all processes.

================================= ======================================= ======================
what                              where                                   when
================================= ======================================= ======================
losses of the iteration           ``extensions/finite_check.py``          each iteration; on a GPU
                                                                          one iteration later
weights and momentum              ``extensions/finite_check.py``          before a snapshot
mean of the gradients, float32    ``distributed/naive.py``                each iteration, on a CPU
mean of the gradients, float16    ``distributed/worker_mean.py``; GPU:    each iteration; on a GPU
                                  ``extensions/float16_sum_report.py``    at each report
means of the losses               ``extensions/report_mean.py``           each report
================================= ======================================= ======================
"""

import platform

import numpy as np

from yolo_dist.errors import TrainingDiverged, in_short


def is_finite(array):
    """Whether all elements of an array are finite numbers.

    Args:
        array (ndarray): Floating-point numbers, on any device.

    Returns:
        bool: The answer. It takes one pass over the array if it is true.
    """
    flat = array.reshape(-1)
    # A sum of squares may overflow although every element is finite.
    return bool(np.isfinite(float(flat.dot(flat))) or (abs(flat) < np.inf).all())


def raise_diverged(what, own, *, comm, updater, iteration):
    """End training in all processes, with the findings of each process. Collective.

    Args:
        what (str): The first part of the message, the same in all processes.
        own (str): The values of this process that are not finite; empty if there are none.
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
        + (in_short(places) or 'all losses and gradients of single processes are finite'))
