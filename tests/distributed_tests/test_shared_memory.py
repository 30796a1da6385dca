"""What killed jobs leave in /dev/shm is removed, and nothing else."""
import mmap
import os
import pathlib
import platform

import pytest

from yolo_dist.distributed.shared_memory import remove_left_overs

FOLDER = pathlib.Path('/dev/shm')


@pytest.fixture
def segment():
    """Makes a file as Open MPI names it: ``segment(name, age_seconds, user=0)`` -> path."""
    made = []

    def segment(name, age_seconds, user=0):
        owner = f'{platform.node()}.{os.getuid() + user}'
        path = FOLDER / f'sm_segment.{owner}.test{os.getpid()}{name}'
        path.write_bytes(bytes(mmap.PAGESIZE))
        written = path.stat().st_mtime - age_seconds
        os.utime(path, (written, written))
        made.append(path)
        return path

    if not os.access(FOLDER, os.W_OK):
        pytest.skip('there is no /dev/shm to write in')
    yield segment
    for path in made:
        path.unlink(missing_ok=True)


def test_only_files_of_dead_owners_are_removed(segment):
    """One that a process has mapped, a fresh one and another user's stay."""
    dead, used, fresh = segment('dead', 600), segment('used', 600), segment('fresh', 0)
    others = segment('others', 600, user=1)
    with open(used, 'r+b') as file, mmap.mmap(file.fileno(), 0):
        remove_left_overs()
        assert not dead.exists()
        assert used.exists() and fresh.exists() and others.exists()
    remove_left_overs()
    assert not used.exists() and fresh.exists()
