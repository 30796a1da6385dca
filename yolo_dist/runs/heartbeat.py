"""Signs of life of a run in ``heartbeat.jsonl``: a reader can tell a running run from a dead one.

Each process of a job rewrites its own line of the file in place every few seconds. The line also
says where the process is. The file exists while the run is running.
"""

import functools
import json
import os
import pathlib
import platform
import re
import tempfile
import time
from typing import NamedTuple

from yolo_dist.outside_files import read_file

_NAME = 'heartbeat.jsonl'
_LINE_BYTES = 1024

# After this time without a sign of life, twenty missed beats, processes of other hosts are dead.
DEAD_SECONDS = 200


class Beat(NamedTuple):
    """The last sign of life of a process.

    Attributes:
        process (int): Its number in the job.
        host (str): Its host.
        machine (str): The boot of a system, and the container in it, that ``pid`` belongs to.
        pid (int): Its process id on that machine.
        started (str): When the process was started, in ticks of that system.
        time (str): When the sign was given, by the clock of the host.
        place (str): What the process was doing.
    """

    process: int
    host: str
    machine: str
    pid: int
    started: str
    time: str
    place: str


def begin_heartbeat(directory):
    """Create a new file for the processes of this session."""
    (directory / _NAME).write_bytes(b'')


def end_heartbeat(directory):
    """Remove the file: the status says how the session ended."""
    (directory / _NAME).unlink(missing_ok=True)


def write_beat(directory, process, place):
    """Give a sign of life, if the heartbeat has begun and not ended.

    Args:
        directory (pathlib.Path): The run directory.
        process (int): Number of this process.
        place (str): What the process is doing.
    """
    beat = Beat(process, platform.node(), _machine(), os.getpid(), _started(os.getpid()),
                time.strftime('%Y-%m-%dT%H:%M:%S%z'), ascii(place)[1:-1][:200])
    line = json.dumps(beat._asdict()).encode().ljust(_LINE_BYTES - 1)[:_LINE_BYTES - 1] + b'\n'
    try:
        file = os.open(directory / _NAME, os.O_WRONLY)
    except OSError:
        return
    try:
        os.pwrite(file, line, process * _LINE_BYTES)
    except OSError:  # a full disk must not end the run
        pass
    finally:
        os.close(file)


def read_beats(directory):
    """Read the last sign of life of each process.

    Returns:
        list of Beat: One for each process that has given a sign; empty without a heartbeat.
    """
    try:
        lines = read_file(pathlib.Path(directory) / _NAME).decode(errors='replace').splitlines()
    except OSError:
        return []
    beats = []
    for line in lines:
        try:
            # A process without a sign of life so far leaves a gap of zeros.
            beats.append(Beat(**json.loads(line.strip('\0'))))
        except (ValueError, TypeError, RecursionError):  # half written
            pass
    return beats


def is_dead(directory):
    """Whether the job that runs in a directory is gone.

    A process of this machine is looked up in the process table. For processes of other hosts the
    age of the file decides. The age is measured with the clock of the file system: a new file
    beside the heartbeat gives the present time. The clocks of hosts may therefore differ. This
    assumes that the file system stamps all files with one clock, as NFS does, or that the clocks
    of the hosts differ by less than ``DEAD_SECONDS``. If this process may not write into the
    directory, it uses its own clock under the same assumption.

    Returns:
        bool: Also false if nothing can be known, for example without a heartbeat.
    """
    beats = read_beats(directory)
    if not beats:
        return False
    here = [beat for beat in beats if beat.machine == _machine()]
    if any(_started(beat.pid) == beat.started for beat in here):
        return False
    return len(here) == len(beats) or _silent_seconds(directory) > DEAD_SECONDS


def _silent_seconds(directory):
    try:
        written = os.stat(directory / _NAME).st_mtime
    except FileNotFoundError:  # the run is ending at this moment
        return 0.
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix='.now.') as file:
            return os.fstat(file.fileno()).st_mtime - written
    except OSError:
        return time.time() - written


@functools.cache
def boot_id():
    """Return an identifier of this boot of this host.

    Hosts may share a name. Two boots never share an identifier.

    Returns:
        str: The identifier; ``None`` if the system has none.
    """
    try:
        return pathlib.Path('/proc/sys/kernel/random/boot_id').read_text(encoding='utf-8').strip()
    except OSError:
        return None


@functools.cache
def _machine():
    try:
        return f'{boot_id() or platform.node()} {os.readlink("/proc/self/ns/pid")}'
    except OSError:
        return platform.node()


def _started(pid):
    """When a process of this machine was started; ``None`` if there is no such process."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return None
    # The process name, in brackets, may contain any character.
    state, *fields = re.sub(r'.*\) ', '', stat, flags=re.DOTALL).split()
    return None if state == 'Z' else fields[18]
