"""A reader tells a run that is going on from one whose job is gone."""
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from yolo_dist.jobs import record_job, run_state
from yolo_dist.reporting.values import state_in_words
from yolo_dist.runs import heartbeat
from yolo_dist.runs.heartbeat import DEAD_SECONDS, begin_heartbeat, is_dead, read_beats, write_beat
from yolo_dist.runs.records import read_record


@pytest.fixture
def run(tmp_path):
    """A run directory that says `running`, with a heartbeat that has begun."""
    shutil.copy('experiments/quickstart_darknet19.yaml', tmp_path / 'config.yaml')
    (tmp_path / 'status.json').write_text(json.dumps({'state': 'running'}))
    (tmp_path / 'log.json').write_text(json.dumps([{'iteration': 3, 'epoch_detail': 1.5}]))
    begin_heartbeat(tmp_path)
    return tmp_path


BEATS = """
import pathlib, sys, time
import yolo_dist
from yolo_dist.runs.heartbeat import write_beat
write_beat(pathlib.Path(sys.argv[1]), 0, 'iteration 4')
print('beats', flush=True)
time.sleep(100)
"""


@pytest.fixture
def beating(run):
    """Another process that has given a sign of life there."""
    process = subprocess.Popen([sys.executable, '-c', BEATS, str(run)], stdout=subprocess.PIPE)
    assert process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_killed_run_is_dead_at_once_on_its_machine(run, beating):
    """As long as the process lives it is running; the report and the status of jobs follow."""
    record_job(run, job_id='x', scheduler='local', command=['bash'])
    record = json.loads((run / 'job.json').read_text())
    (run / 'job.json').write_text(json.dumps(record | {'host': 'elsewhere'}))  # cannot be asked
    assert not is_dead(run)
    assert state_in_words(read_record(run)) == 'running, epoch 1.5 of 4'
    assert (run_state(run).state, run_state(run).is_active) == ('running', True)
    beating.kill()
    beating.wait()
    assert is_dead(run)
    assert state_in_words(read_record(run)) == 'dead, epoch 1.5 of 4'
    assert (run_state(run).state, run_state(run).is_active) == ('failed', False)
    (run / 'job.json').unlink()
    assert (run_state(run).state, run_state(run).is_active) == ('failed', False)


def test_another_process_of_the_same_number_is_not_the_run(run):
    """Process ids are given again; the time of the start is not."""
    write_beat(run, 0, 'iteration 4')
    assert not is_dead(run)
    path = run / 'heartbeat.jsonl'
    path.write_text(path.read_text().replace(f'"started": "{read_beats(run)[0].started}"',
                                             '"started": "1"'))
    assert is_dead(run)


@pytest.mark.parametrize('clock', [0, 86400, -86400])
def test_a_run_on_another_host_is_dead_after_a_silence(run, monkeypatch, clock):
    """Whatever the clocks of both hosts say: the file system's counts."""
    monkeypatch.setattr(heartbeat, '_machine', lambda: 'another')
    monkeypatch.setattr(time, 'strftime', lambda format: f'{clock}')
    write_beat(run, 0, 'iteration 4')
    monkeypatch.undo()
    now = time.time()
    monkeypatch.setattr(time, 'time', lambda: now + clock)
    assert not is_dead(run)
    os.utime(run / 'heartbeat.jsonl', (now, now - DEAD_SECONDS + 30))
    assert not is_dead(run)
    os.utime(run / 'heartbeat.jsonl', (now, now - DEAD_SECONDS - 30))
    assert is_dead(run)
    assert {path.name for path in run.iterdir()} == {
        'config.yaml', 'status.json', 'log.json', 'heartbeat.jsonl'}


def test_without_a_heartbeat_the_status_is_believed(run):
    """Runs of earlier versions have none, and a session that is being set up has an empty one."""
    assert not is_dead(run)
    (run / 'heartbeat.jsonl').unlink()
    assert not is_dead(run)
    assert read_record(run).state == 'running'


def test_each_process_has_a_line_of_its_own(run):
    """They write in any order and any number of times; text of any length stays in its line."""
    for process, place in [(2, 'x' * 999), (0, '"\\\n'), (2, 'é' * 999), (0, 'iteration 5')]:
        write_beat(run, process, place)
    assert [(beat.process, beat.pid) for beat in read_beats(run)] == [
        (0, os.getpid()), (2, os.getpid())]
    assert read_beats(run)[0].place == 'iteration 5'
