"""One job at a time in a run directory; a dead one does not count."""
import json
import os
import subprocess
import sys
import threading

import pytest

from yolo_dist.errors import InputError
from yolo_dist.runs import lock
from yolo_dist.runs.lock import RunLock

OWNER = """
import sys, time
from yolo_dist.runs.lock import RunLock
RunLock(sys.argv[1]).acquire()
print('acquired', flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that has the lock of ``run``."""
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
    process = subprocess.Popen([sys.executable, '-c', OWNER, str(tmp_path / 'run')], text=True,
                               stdout=subprocess.PIPE, env=os.environ | {'PYTHONPATH': path})
    assert process.stdout.readline() == 'acquired\n'
    yield process
    process.kill()
    process.wait()


def test_the_second_job_is_told_who_has_the_directory(tmp_path, owner):
    """A living owner is named; a killed one holds nothing, without a wait."""
    second = RunLock(tmp_path / 'run')
    with pytest.raises(InputError, match=f'another job writes here: process {owner.pid} on '):
        second.acquire()
    second.release()
    assert (tmp_path / 'run/.lock').exists()  # it was not the second's to remove
    owner.kill()
    owner.wait()
    third = RunLock(tmp_path / 'run')
    third.acquire()
    third.release()
    assert not os.listdir(tmp_path / 'run')


def test_what_was_made_for_nothing_is_removed(tmp_path):
    """Folders that hold nothing when the lock is given back were not there before."""
    held = RunLock(tmp_path / 'a/b/run')
    held.acquire()
    (tmp_path / 'a/kept').touch()
    held.release()
    assert [path.name for path in tmp_path.rglob('*')] == ['a', 'kept']


@pytest.fixture
def of_another_host(tmp_path, monkeypatch):
    """A lock file of a host whose kernel locks are not seen here."""
    monkeypatch.setattr(lock, '_SECONDS_UNTIL_DEAD', 1)
    path = tmp_path / '.lock'
    path.write_text(json.dumps({'host': 'elsewhere', 'boot': 'other', 'process': 12, 'since': ''}))
    return path


def test_a_living_owner_on_a_host_that_shares_no_locks(tmp_path, of_another_host):
    """It touches the file, which is seen."""
    done = threading.Event()

    def beat():
        while not done.wait(0.05):
            os.utime(of_another_host)
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(InputError, match='process 12 on elsewhere'):
            RunLock(tmp_path).acquire()
    finally:
        done.set()
        thread.join()


def test_a_dead_owner_on_another_host(tmp_path, of_another_host):
    """It does not touch the file."""
    held = RunLock(tmp_path)
    held.acquire()
    held.release()
    assert not of_another_host.exists()


def test_the_owner_touches_its_file(tmp_path, monkeypatch):
    """By which other hosts know that it lives."""
    monkeypatch.setattr(lock, '_SECONDS_BETWEEN_BEATS', 0.05)
    held = RunLock(tmp_path)
    held.acquire()
    os.utime(tmp_path / '.lock', (0, 0))
    for _ in range(100):
        if (tmp_path / '.lock').stat().st_mtime:
            break
        threading.Event().wait(0.05)
    assert (tmp_path / '.lock').stat().st_mtime
    held.release()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """The touched file alone decides then, within a host, too."""
    monkeypatch.setattr(lock, '_SECONDS_UNTIL_DEAD', 1)
    monkeypatch.setattr(lock, '_SECONDS_BETWEEN_BEATS', 0.05)

    def refuse(file, operation):
        raise OSError(lock.errno.ENOLCK, 'No locks available')
    monkeypatch.setattr(lock.fcntl, 'flock', refuse)
    held = RunLock(tmp_path)
    held.acquire()
    with pytest.raises(InputError, match=f'process {os.getpid()} on'):
        RunLock(tmp_path).acquire()
    held.release()
