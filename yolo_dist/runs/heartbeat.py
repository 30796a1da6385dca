"""Signs of life of a run: ``heartbeat.jsonl``, by which a reader tells running from dead.

Each process of a job rewrites its own line of the file every few seconds, in place, so that the
file also says where each of them was last. The file is there while the run is.
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

# Where processes of other hosts say nothing for so long, they are dead. Twenty missed beats.
DEAD_SECONDS = 200


class Beat(NamedTuple):
    """The last sign of life of a process.

    Attributes:
        process (int): Its number in the job.
        host (str): Its host.
        machine (str): What its process id belongs to: a start of a system and a container in it.
        pid (int): Its process id there.
        started (str): When it was started, in ticks of that system.
        time (str): When the sign was given, by the clock of the host.
        place (str): Where it was.
    """

    process: int
    host: str
    machine: str
    pid: int
    started: str
    time: str
    place: str


def begin_heartbeat(directory):
    """Make the file anew, for the processes of this session."""
    (directory / _NAME).write_bytes(b'')


def end_heartbeat(directory):
    """Remove the file: the status says how the session ended."""
    (directory / _NAME).unlink(missing_ok=True)


def write_beat(directory, process, place):
    """Give a sign of life, where the heartbeat has begun and not ended.

    Args:
        directory (pathlib.Path): The run directory.
        process (int): Number of this process.
        place (str): Where it is.
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
    except OSError:  # a full disk ends no run
        pass
    finally:
        os.close(file)


def read_beats(directory):
    """Read the last sign of life of each process.

    Returns:
        list of Beat: Of those that have given one; empty where there is no heartbeat.
    """
    try:
        lines = read_file(pathlib.Path(directory) / _NAME).decode(errors='replace').splitlines()
    except OSError:
        return []
    beats = []
    for line in lines:
        try:
            # A process that has said nothing yet leaves a gap of zeros.
            beats.append(Beat(**json.loads(line.strip('\0'))))
        except (ValueError, TypeError, RecursionError):  # half written
            pass
    return beats


def is_dead(directory):
    """Whether the job that runs in a directory is gone.

    A process of this machine is looked up. For those of other hosts the age of the file counts,
    by the clock of the file system: a file that is made beside it tells the time, so that the
    clocks of hosts may differ. Assumed is that the file system stamps files with one clock, as
    NFS does, or that the hosts' clocks differ by less than ``DEAD_SECONDS``. In a directory in
    which this process may not write its own clock counts, under the same assumption.

    Returns:
        bool: False too where nothing can be known, as in a directory without a heartbeat.
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
    except FileNotFoundError:  # it ends just now
        return 0.
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix='.now.') as file:
            return os.fstat(file.fileno()).st_mtime - written
    except OSError:
        return time.time() - written


@functools.cache
def boot_id():
    """Tell the start of this host's kernel from all others.

    Hosts may share a name, starts of a kernel do not.

    Returns:
        str: An identifier; ``None`` where the system gives none.
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
    """When a process of this machine was started; ``None`` where there is none."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return None
    # The name, in brackets, may hold anything.
    state, *fields = re.sub(r'.*\) ', '', stat, flags=re.DOTALL).split()
    return None if state == 'Z' else fields[18]
