"""Rows of Table 2, made small, through real schedulers that run for these tests alone."""

import os
import pathlib
import signal
import subprocess

import pytest
from private_processes import wait_until

from yolo_dist.jobs import run_state
from yolo_dist.results import find_snapshot

ROW = 'table2/yolo_v3_k8/seed_0'
# 22 images in batches of 8: 83 updates, which take seconds.
LONG = ['workers=2', 'schedule.epochs=30']
LONG_ITERATIONS = 83


def ask(command, environment):
    return subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=True).stdout


@pytest.fixture
def state(tmp_path, monkeypatch):
    """State of the row under test: ``state(environment)``."""
    def state(environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return run_state(tmp_path / 'results' / ROW)
    return state


def log_of(directory):
    log = directory / 'job.log'
    return log.read_text() if log.exists() else '(no job.log)'


def wait_for_end(state, environment, directory):
    """Waits until the row is neither queued nor running any more."""
    found = wait_until(lambda: (now := state(environment)).state not in (
        'waiting', 'running', 'stopped') and not now.is_active and now,
        seconds=90, what=f'the end of the job\n{log_of(directory)}')
    assert found.state == 'done', log_of(directory)


def test_slurm_runs_a_row_on_two_nodes(slurm, submit, small, write_site, state, read, tmp_path,
                                       experiment):
    """k = 4 with 2 GPUs a node: 2 nodes, 4 processes, results in the run's directory."""
    site = write_site('slurm', ['--nodes=$n_nodes', '--ntasks-per-node=$processes_per_node'])
    arguments = [experiment, '--run', 'yolo_v3_k8', '--site', site, *small('workers=4')]
    done = submit(*arguments, env=slurm)
    assert (done.returncode, done.stdout.split(':')[0]) == (0, ROW), done.stderr
    directory = tmp_path / 'results' / ROW
    wait_for_end(state, slurm, directory)
    status = read(directory / 'status.json')
    assert (status['n_workers'], status['n_processes']) == (4, 4)
    assert 'map_percent' in str(status['metrics'])
    assert (directory / 'weights_final.npz').exists()
    assert '2 nodes, 4 processes' in log_of(directory)
    again = submit(*arguments, env=slurm)
    assert (again.returncode, again.stdout.startswith(f'{ROW}: done already')) == (0, True)
    shown = submit(*arguments, '--status', env=slurm)
    assert shown.stdout.splitlines()[-1] == '1 done'


def check_requeued(job_id, directory, state, environment, read):
    """A job that was warned has the same id, stopped once, went on and finished."""
    wait_for_end(state, environment, directory)
    assert read(directory / 'job.json')['job_id'] == job_id
    assert read(directory / 'status.json')['iteration'] == LONG_ITERATIONS
    assert len(read(directory / 'environment.json')) == 2
    log = log_of(directory)
    assert log.count('stopped with a snapshot; queued again') == 1
    assert log.count('resumed from') == 1


def test_slurm_queues_a_warned_job_again(slurm, submit, small, write_site, state, read, tmp_path,
                                         experiment):
    """The signal of a time limit makes a snapshot; the job waits, goes on from it and finishes.

    Slurm looks at time limits twice a minute; here it is told to send their signal at once.
    """
    site = write_site('slurm', ['--nodes=$n_nodes', '--ntasks-per-node=$processes_per_node'])
    arguments = [experiment, '--run', 'yolo_v3_k8', '--site', site, *small(*LONG)]
    done = submit(*arguments, env=slurm)
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.split()[-1]
    directory = tmp_path / 'results' / ROW
    wait_until((directory / 'log.json').exists, seconds=60, what='the first report')
    assert state(slurm).state == 'running'
    ask(['scancel', '--batch', '--signal=USR1', job_id], slurm)
    stopped = wait_until(lambda: (now := state(slurm)).state == 'stopped' and now, seconds=30,
                         what=f'a stop\n{log_of(directory)}')
    snapshot = find_snapshot(directory)
    assert stopped.is_active and snapshot is not None
    refused = submit(*arguments, env=slurm)
    assert refused.returncode == 2
    assert f'is stopped already (job {job_id}, waits to go on' in refused.stderr
    check_requeued(job_id, directory, state, slurm, read)
    assert f'resumed from {snapshot.relative_to(tmp_path)}' in log_of(directory)


def test_gridengine_queues_a_warned_job_again(gridengine, submit, small, write_site, state, read,
                                              tmp_path, experiment):
    """The launcher's own warning, given here ahead of time, and the exit status 99."""
    site = write_site('uge', ['-pe', 'test', '$n_processes'])
    done = submit(experiment, '--run', 'yolo_v3_k8', '--site', site, *small(*LONG),
                  env=gridengine)
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.split()[-1]
    directory = tmp_path / 'results' / ROW
    wait_until((directory / 'log.json').exists, seconds=60, what='the first report')
    assert state(gridengine).state == 'running'
    process, = pathlib.Path(gridengine['SGE_ROOT']).glob(
        f'execd/*/active_jobs/{job_id}.1/job_pid')
    os.kill(int(process.read_text()), signal.SIGUSR1)
    check_requeued(job_id, directory, state, gridengine, read)


def test_a_workstation_carries_more_workers_than_it_has_gpus(submit, small, write_site, read,
                                                             tmp_path, experiment):
    """k = 4 where 3 processes fit: 2, the largest divisor, in the foreground."""
    site = write_site('local', gpus_per_node=3)
    done = submit(experiment, '--run', 'yolo_v3_k8', '--site', site, *small('workers=4'))
    assert done.returncode == 0, done.stdout + done.stderr
    status = read(tmp_path / 'results' / ROW / 'status.json')
    assert (status['state'], status['n_workers'], status['n_processes']) == ('done', 4, 2)
    assert 'on 2 processes' in done.stdout
    assert done.stdout == log_of(tmp_path / 'results' / ROW)
