"""Files that Open MPI leaves in ``/dev/shm``, 16 MB each."""

import contextlib
import os
import pathlib
import platform
import time

_FOLDER = pathlib.Path('/dev/shm')
# A file of a job that starts just now may not be in use yet.
_MIN_AGE_SECONDS = 60


def start_without_shared_memory():
    """Keep Open MPI from making such a file in a process without mpiexec. It never removes it.

    Such a process is alone and sends messages only to itself. Call this before MPI starts.
    """
    if not {'PMIX_RANK', 'PMI_RANK', 'OMPI_COMM_WORLD_RANK'} & set(os.environ):
        os.environ.setdefault('OMPI_MCA_btl', 'self')


def remove_left_overs():
    """Remove the files that killed jobs of this user left on this host.

    A file that a process has mapped is in use and is kept.
    """
    found = [path for path in _FOLDER.glob(f'sm_segment.{platform.node()}.{os.getuid()}.*')
             if _age_seconds(path) > _MIN_AGE_SECONDS]
    if not found:
        return
    in_use = _mapped_files()
    for path in found:
        if str(path) not in in_use:
            with contextlib.suppress(OSError):
                path.unlink()


def _age_seconds(path):
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.


def _mapped_files():
    """Return the files of the folder that any process of this user has mapped."""
    files = set()
    for maps in pathlib.Path('/proc').glob('[0-9]*/maps'):
        with contextlib.suppress(OSError):  # the process has ended or belongs to another user
            text = maps.read_text(encoding='utf-8', errors='replace')
            files.update(line.split(maxsplit=5)[5] for line in text.splitlines()
                         if str(_FOLDER) in line)
    return files
