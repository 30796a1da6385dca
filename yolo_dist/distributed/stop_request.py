"""Signals that ask a job to stop."""

import contextlib
import os
import select
import signal
import sys
import threading
import time

# Signals that schedulers and terminals send before they end a job.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
# Exit status of a session that a signal ended: start the run again with --resume.
INTERRUPTED = os.EX_TEMPFAIL

# After these signals a scheduler soon kills the job. SIGUSR1 is a warning that leaves time.
_URGENT = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
_EVALUATION_SECONDS = 15
# A scheduler and mpiexec may both deliver the same request.
_SAME_REQUEST_SECONDS = 1


class StopRequest:
    """Receives the signals of this process as soon as they arrive.

    Python's own handlers wait until MPI or NumPy returns. A thread therefore receives each signal
    as well. Outside of :meth:`heard_by` there is no work to lose, and a signal ends the process at
    once. ``mpiexec`` then ends the job.

    Attributes:
        number (int): The first signal; ``None`` before it.
        at_end (callable): Called before a signal ends the process at once.
    """

    def __init__(self):
        self.number = None
        self.at_end = lambda: None
        self._lock = threading.Lock()
        self._tell = self._end
        self._is_evaluating = None

    def listen(self):
        """Begin to receive signals. Call this once, in the main thread."""
        self._pipe, end = os.pipe()
        os.set_blocking(end, False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._receive)
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        threading.Thread(target=self._hear, daemon=True).start()

    def ignore(self):
        """Ignore signals from now on. Call this when the process is about to end."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def heard_by(self, tell, *, is_evaluating):
        """Part of a job that ends by itself soon after ``number`` is set.

        Args:
            tell (callable): Called with the first signal, in another thread.
            is_evaluating (callable): Whether the process is in an evaluation. If the signal is
                urgent and the evaluation takes long, the process ends before its end.
        """
        self._is_evaluating = is_evaluating
        with self._lock:
            self._tell = tell
        try:
            yield
        finally:
            with self._lock:
                self._tell = lambda number: None

    def _receive(self, number, frame):
        if self.number is None:
            self.number = number

    def _hear(self):
        first, = os.read(self._pipe, 1)
        heard_at = evaluates_since = time.monotonic()
        self._receive(first, None)
        with self._lock:
            self._tell(first)
        while True:
            now = time.monotonic()
            if select.select([self._pipe], [], [], 0.5)[0]:
                number, = os.read(self._pipe, 1)
                if time.monotonic() - heard_at > _SAME_REQUEST_SECONDS:
                    self._end(number)
            if not self._is_evaluating():
                evaluates_since = now
            elif first in _URGENT and now - evaluates_since > _EVALUATION_SECONDS:
                print('the evaluation takes too long for this signal; the run will go on from its '
                      'last snapshot', file=sys.stderr, flush=True)
                self._end(first)

    def _end(self, number):
        print(f'ended at once by {signal.Signals(number).name}', file=sys.stderr, flush=True)
        self.at_end()
        os._exit(INTERRUPTED)
