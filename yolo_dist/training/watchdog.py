"""Ends a job that gets no further, and says where each of its processes was.

All processes of a job wait for each other in every iteration. One that is stopped, that waits for
a file or that has lost its network holds up all of them, and none gets an error.
"""

import os
import pathlib
import sys
import threading
import time

from yolo_dist.runs.heartbeat import read_beats, write_beat

_BEAT_SECONDS = 10
# So long a process waits for one of a lower number to speak for all.
_TURN_SECONDS = 3
# So long a file system or a pipe may keep the last words.
_LAST_WORDS_SECONDS = 10
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]

# A process has one main thread, which is at one place.
_progress = 'start-up', time.monotonic()


def progress(place):
    """Note that this process got further.

    Args:
        place (str): What it does next, in words.
    """
    global _progress
    _progress = place, time.monotonic()


def is_evaluating():
    """Whether this process is in an evaluation."""
    return _progress[0].startswith('evaluation')


def _where():
    """Return the place, for how long, and the line of the package that the main thread is in."""
    place, since = _progress
    frame = sys._current_frames().get(threading.main_thread().ident)
    while frame is not None and not frame.f_code.co_filename.startswith(f'{_PACKAGE}{os.sep}'):
        frame = frame.f_back
    line = '' if frame is None else (
        f' (in {pathlib.Path(frame.f_code.co_filename).relative_to(_PACKAGE)}:{frame.f_lineno})')
    return f'{place}, for {time.monotonic() - since:.0f} s{line}'


class Watchdog:
    """Threads of a process that see whether its main thread gets further.

    They run while the main thread waits inside MPI, which keeps no lock of Python's. A process
    that gets no further ends itself, and with it ``mpiexec`` ends the job, stopped processes
    included.

    Args:
        seconds (float): How long nothing may happen: no iteration, no batch of an evaluation, no
            snapshot.
        process (int): Number of this process.
        n_processes (int): How many there are.
    """

    def __init__(self, seconds, process, n_processes):
        self._seconds = seconds
        self._process = process
        self._n_processes = n_processes
        self._directory = None
        progress('start-up')
        threading.Thread(target=self._watch, daemon=True).start()

    def record_in(self, directory):
        """From now on leave a sign of life in a run directory, every 10 s.

        Args:
            directory (pathlib.Path): The run directory, whose heartbeat has been begun.
        """
        self._directory = directory
        # A thread of its own: a file system that hangs must not hold up the watchdog.
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self):
        while True:
            write_beat(self._directory, self._process, _where())
            time.sleep(_BEAT_SECONDS)

    def _watch(self):
        patience = self._seconds + _TURN_SECONDS * self._process
        while (left := _progress[1] + patience - time.monotonic()) > 0:
            time.sleep(left)
        last_words = threading.Thread(target=self._say, daemon=True)
        last_words.start()
        last_words.join(_LAST_WORDS_SECONDS)
        os._exit(1)

    def _say(self):
        def say(text):
            print(f'watchdog: {text}', file=sys.stderr, flush=True)
        say(f'process {self._process} of {self._n_processes} ends the job: no iteration, batch of '
            f'an evaluation or snapshot for {self._seconds:g} s (run.watchdog_seconds); it is at: '
            f'{_where()}')
        for beat in [] if self._directory is None else read_beats(self._directory):
            if beat.process != self._process:
                say(f'process {beat.process} on {beat.host} was last at ({beat.time}): '
                    f'{beat.place}')
