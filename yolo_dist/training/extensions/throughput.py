import resource
import sys
import time

import numpy as np
from chainer import training

_PHASES = ('input', 'forward_backward', 'allreduce', 'update')


def _quartiles(values):
    lower, median, upper = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return {'median': median, 'lower_quartile': lower, 'upper_quartile': upper}


class Throughput(training.Extension):
    """Measures the speed of a run that is only as long as the measurement.

    An iteration lasts from the end of the previous iteration to its own end, in the
    slowest process. Everything in between counts. Each process keeps its times and
    exchanges them once, when the trainer is about to stop.

    The root writes these values once:

    =========================  ==============  ==============================================
    key                        unit            meaning
    =========================  ==============  ==============================================
    ``n_workers``              1               k
    ``n_processes``            1               P; the speed is that of k GPUs only if P = k
    ``global_batch_size``      images          ``k n``
    ``warmup_iterations``      1               iterations before the measured ones
    ``iterations``             1               measured iterations
    ``images_per_second``      images / s      whole job: median and quartiles
    ``seconds_per_iteration``  s               slowest process: median and quartiles
    ``phase_seconds``          s               median of each phase, mean over processes
    ``peak_memory_megabytes``  MB              of the host, largest process, since its start
    =========================  ==============  ==============================================

    Args:
        comm (chainermn.CommunicatorBase): A communicator of
            :mod:`~yolo_dist.distributed.worker_mean`. Collective in the last iteration.
        warmup_iterations (int): Iterations that do not count, because compilers, caches
            and memory pools are still warming up.
        write (callable): Called with the dictionary above.
        clock (callable): Seconds.
    """

    trigger = (1, 'iteration')
    # After all other work beside updates.
    priority = training.PRIORITY_READER - 3

    def __init__(self, comm, warmup_iterations, write, *, clock=time.perf_counter):
        self._comm = comm
        self._warmup_iterations = warmup_iterations
        self._write = write
        self._clock = clock
        self._seconds = []
        self._phases = []

    def initialize(self, trainer):
        self._ended_at = self._clock()

    def __call__(self, trainer):
        began_at, self._ended_at = self._ended_at, self._clock()
        self._seconds.append(self._ended_at - began_at)
        self._phases.append([trainer.updater.phase_seconds[phase] for phase in _PHASES])
        if trainer.stop_trigger(trainer):
            self._finish(trainer.updater.global_batch_size)

    def _finish(self, global_batch_size):
        measured = slice(self._warmup_iterations, None)
        unit = 1 if sys.platform == 'darwin' else 1024  # bytes
        peak = unit / 1e6 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        gathered = self._comm.gather_obj((self._seconds[measured], self._phases[measured], peak))
        if self._comm.rank != 0 or not self._seconds[measured]:
            return
        seconds = np.max([of_process for of_process, *_ in gathered], axis=0)
        phases = np.mean([np.median(of_process, axis=0) for _, of_process, _ in gathered], axis=0)
        self._write({
            'n_workers': self._comm.n_workers,
            'n_processes': self._comm.size,
            'global_batch_size': global_batch_size,
            'warmup_iterations': self._warmup_iterations,
            'iterations': len(seconds),
            'images_per_second': _quartiles(global_batch_size / seconds),
            'seconds_per_iteration': _quartiles(seconds),
            'phase_seconds': dict(zip(_PHASES, phases.tolist())),
            'peak_memory_megabytes': max(peak for *_, peak in gathered)})
