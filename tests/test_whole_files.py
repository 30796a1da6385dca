"""Files are there whole or not at all, on a disk that is full, read-only, or gone."""
import contextlib
import os
import pathlib
import resource
import subprocess

import numpy as np
import pytest

from yolo_dist.datasets import open_file_tree, pack_files
from yolo_dist.errors import InputError
from yolo_dist.runs.run_directory import RunDirectory, save_npz, write_json
from yolo_dist.whole_files import check_writable, write_whole


@contextlib.contextmanager
def mounted(folder, options):
    """A file system of one's own, which only root may mount."""
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('mounting a tmpfs needs root')
    try:
        yield folder
    finally:
        subprocess.run(['umount', str(folder)], check=True)


class Noise:
    """Stands for a link: 400 kB that cannot be compressed."""

    def serialize(self, serializer):
        rng = np.random.default_rng(0)
        for i in range(4):
            serializer(f'w{i}', rng.integers(0, 256, 100_000, np.uint8))


def pack(path):
    (path.parent / 'image').write_bytes(bytes(150_000))
    try:
        pack_files(open_file_tree(path.parent), ['image'], path, progress=lambda n: None)
    finally:
        (path.parent / 'image').unlink()


WRITERS = {'npz': lambda path: save_npz(path, Noise()),
           'json': lambda path: write_json(path, ['x' * 300_000])}


@pytest.mark.parametrize('writer', WRITERS)
def test_a_full_disk_is_named_and_keeps_the_old_file(tmp_path, writer):
    """The error names file and cause; the file before is whole, and nothing else is there."""
    with mounted(tmp_path / 'disk', 'size=256k') as disk:
        (disk / 'file').write_text('old')
        with pytest.raises(InputError, match=r'disk/file: .*No space left on device'):
            WRITERS[writer](disk / 'file')
        assert os.listdir(disk) == ['file'] and (disk / 'file').read_text() == 'old'


def test_a_full_disk_leaves_no_packed_set(tmp_path):
    """LMDB says no more than that it cannot write."""
    with mounted(tmp_path / 'disk', 'size=256k') as disk:
        with pytest.raises(InputError, match='disk/set.lmdb: cannot be packed'):
            pack(disk / 'set.lmdb')
        assert os.listdir(disk) == []


def test_a_read_only_disk_is_found_before_anything_is_computed(tmp_path):
    """`check_writable` says of a place what writing would say."""
    with mounted(tmp_path / 'disk', 'size=256k') as disk:
        subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)
        for attempt in (check_writable, WRITERS['json']):
            with pytest.raises(InputError, match=r'disk/file: .*Read-only file system'):
                attempt(disk / 'file')
    with pytest.raises(InputError, match='is a folder'):
        check_writable(tmp_path)
    with pytest.raises(InputError, match='nowhere/file: .*No such file'):
        check_writable(tmp_path / 'nowhere/file')
    check_writable(tmp_path / 'file')
    assert not (tmp_path / 'file').exists()


@pytest.mark.parametrize('limit, value, cause', [
    (resource.RLIMIT_FSIZE, 100_000, 'File too large'),
    (resource.RLIMIT_NOFILE, 3, 'Too many open files')])
@pytest.mark.parametrize('writer', WRITERS)
def test_a_limit_of_the_system_is_named(tmp_path, writer, limit, value, cause):
    """Stands for quotas, and for jobs that have used up their open files."""
    (tmp_path / 'file').write_text('old')
    old = resource.getrlimit(limit)
    resource.setrlimit(limit, (value, old[1]))
    try:
        with pytest.raises(InputError) as caught:
            WRITERS[writer](tmp_path / 'file')
    finally:
        resource.setrlimit(limit, old)
    assert f'{tmp_path}/file' in str(caught.value) and cause in str(caught.value)
    assert os.listdir(tmp_path) == ['file'] and (tmp_path / 'file').read_text() == 'old'


def test_other_errors_stay_what_they_are(tmp_path):
    """Only the operating system's refusals become errors of the user."""
    with pytest.raises(KeyError), write_whole(tmp_path / 'file') as partial:
        partial.write_text('half')
        raise KeyError('a defect')
    assert os.listdir(tmp_path) == []


def test_a_failed_run_says_so_on_a_full_disk(tmp_path):
    """Where no new file can be made, the old status is written over."""
    with mounted(tmp_path / 'disk', 'size=16k') as disk:
        (disk / 'status.json').write_text('{"state": "running", "n_workers": 2, "reason": "none"}')
        with pytest.raises(OSError, match='No space'):
            (disk / 'ballast').write_bytes(bytes(100_000))
        results = RunDirectory(disk, None)
        with pytest.raises(InputError):
            write_json(disk / 'status.json', {'state': 'failed'})
        results.config = type('config', (), {'workers': 2})
        results.write_failure('OSError: no room')
        assert results.state() == 'failed'


def test_left_overs_of_a_killed_job_are_removed(tmp_path):
    """Those of today's writer and of version 0.1, and no file of the run."""
    from yolo_dist.runs.run_directory import _remove_left_overs
    left = ['.status.json.partial-0a1b2c3d', '.weights_best.npz.partial-00000000',
            '.class_names.txt.partial-0a1b2c3d', '.curves.png.Ab3_x', '.config.yaml.q1w2e3',
            'tmpsnapshot_iter_12Ab']
    # `submit` may write job.json while the run starts.
    kept = ['status.json', 'snapshot_iter_12.npz', 'log.json', '.lock', 'job.json', '.mine',
            '.job.json.partial-0a1b2c3d']
    for name in left + kept:
        (tmp_path / name).touch()
    (tmp_path / 'log.jsonx1y2').mkdir()
    (tmp_path / 'log.jsonx1y2/log.json').touch()
    _remove_left_overs(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_nothing_else_renames_files():
    """One writer: only it calls `os.replace` or `os.rename`, or makes temporary files."""
    package = pathlib.Path(__file__).resolve().parents[1] / 'yolo_dist'
    found = {path.name for path in package.rglob('*.py') for word in (
        'os.replace(', 'os.rename(', 'mkstemp(', 'mkdtemp(') if word in path.read_text()}
    assert found == {'whole_files.py'}, found
