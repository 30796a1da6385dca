"""End a job that makes no progress, and say where each of its processes was.

All processes of a job wait for each other in every iteration. A process that is stopped, waits for
a file or has lost its network holds up all of them, and no process gets an error.
"""

import os
import pathlib
import sys
import threading
import time

from yolo_dist.runs.heartbeat import read_beats, write_beat

_BEAT_SECONDS = 10
# A process waits for this time so that one with a lower number can report for all.
_TURN_SECONDS = 3
# The longest time for writing the last message to a file system or a pipe.
_LAST_WORDS_SECONDS = 10
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]

# The place of the main thread, one for each process.
_progress = 'start-up', time.monotonic()


def progress(place):
    """Note that this process has made progress.

    Args:
        place (str): What the process does next, in words.
    """
    global _progress
    _progress = place, time.monotonic()


def is_evaluating():
    """Whether this process is in an evaluation."""
    return _progress[0].startswith('evaluation')


def _where():
    """Return the place, the time spent there, and the line of the main thread in the package."""
    place, since = _progress
    frame = sys._current_frames().get(threading.main_thread().ident)
    while frame is not None and not frame.f_code.co_filename.startswith(f'{_PACKAGE}{os.sep}'):
        frame = frame.f_back
    line = '' if frame is None else (
        f' (in {pathlib.Path(frame.f_code.co_filename).relative_to(_PACKAGE)}:{frame.f_lineno})')
    return f'{place}, for {time.monotonic() - since:.0f} s{line}'


class Watchdog:
    """Threads of a process that watch the progress of its main thread.

    They also run while the main thread waits inside MPI, because MPI does not hold Python's lock.
    A process without progress ends itself. ``mpiexec`` then ends the job, stopped processes
    included.

    Args:
        seconds (float): Longest time without progress: without an iteration, a batch of an
            evaluation or a snapshot.
        process (int): Number of this process.
        n_processes (int): Number of processes.
    """

    def __init__(self, seconds, process, n_processes):
        self._seconds = seconds
        self._process = process
        self._n_processes = n_processes
        self._directory = None
        progress('start-up')
        threading.Thread(target=self._watch, daemon=True).start()

    def record_in(self, directory):
        """Begin to write a sign of life into a run directory every 10 s.

        Args:
            directory (pathlib.Path): The run directory, whose heartbeat has been begun.
        """
        self._directory = directory
        # This is a separate thread, because a hanging file system must not stop the watchdog.
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
