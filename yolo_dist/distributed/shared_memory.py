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
    """Keep Open MPI from making such a file in a process without mpiexec, for it never removes it.

    Such a process is alone and sends itself messages at most. To be called before MPI starts.
    """
    if not {'PMIX_RANK', 'PMI_RANK', 'OMPI_COMM_WORLD_RANK'} & set(os.environ):
        os.environ.setdefault('OMPI_MCA_btl', 'self')


def remove_left_overs():
    """Remove what jobs of this user on this host left when they were killed.

    A file that a process has mapped is in use, and stays.
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
    """Return the files of the folder that a process of this user has in its memory."""
    files = set()
    for maps in pathlib.Path('/proc').glob('[0-9]*/maps'):
        with contextlib.suppress(OSError):  # it has ended, or is of another user
            text = maps.read_text(encoding='utf-8', errors='replace')
            files.update(line.split(maxsplit=5)[5] for line in text.splitlines()
                         if str(_FOLDER) in line)
    return files
