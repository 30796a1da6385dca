"""Rows of Table 2, made small, through real schedulers that run for these tests alone."""

import os
import pathlib
import signal
import subprocess

import pytest
from private_processes import wait_until

from yolo_dist.errors import InputError
from yolo_dist.jobs import run_state
from yolo_dist.report import main as report
from yolo_dist.runs.run_directory import snapshot_files
from yolo_dist.submit import main

ROW = 'table2/yolo_v2_k8/seed_0'
# 22 images in batches of 8: 66 updates, which take seconds.
LONG = ['workers=2', 'schedule.epochs=24']
LONG_ITERATIONS = 66

# Seconds; a step takes a few on an idle machine, far more on a busy one.
PATIENCE = 200


def ask(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True).stdout


@pytest.fixture
def visit(tmp_path, monkeypatch):
    """Makes this process a client of a scheduler, in the folder of the test."""
    def visit(environment):
        monkeypatch.chdir(tmp_path)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
    return visit


@pytest.fixture
def state(tmp_path):
    """State of the row under test, from the scheduler that is visited."""
    return lambda: run_state(tmp_path / 'results' / ROW)


def log_of(directory):
    log = directory / 'job.log'
    return log.read_text() if log.exists() else '(no job.log)'


def wait_for_end(state, directory):
    """Waits until the row is neither queued nor running any more."""
    found = wait_until(lambda: (now := state()).state not in (
        'waiting', 'running', 'stopped') and not now.is_active and now,
        seconds=PATIENCE, what=f'the end of the job\n{log_of(directory)}')
    assert found.state == 'done', log_of(directory)


def test_slurm_runs_a_row_on_two_nodes(slurm, submit, small, write_site, visit, state, read,
                                       tmp_path, experiment, capsys):
    """k = 4 with 2 GPUs a node: 2 nodes, 4 processes, results in the run's directory, a report."""
    site = write_site('slurm', ['--nodes=$n_nodes', '--ntasks-per-node=$processes_per_node'])
    arguments = [experiment, '--run', 'yolo_v2_k8', '--site', site, *small('workers=4')]
    done = submit(*arguments, env=slurm)
    assert (done.returncode, done.stdout.split(':')[0]) == (0, ROW), done.stderr
    directory = tmp_path / 'results' / ROW
    visit(slurm)
    wait_for_end(state, directory)
    status = read(directory / 'status.json')
    assert (status['n_workers'], status['n_processes']) == (4, 4)
    assert 'map_percent' in str(status['metrics'])
    assert (directory / 'weights_final.npz').exists()
    assert '2 nodes, 4 processes' in log_of(directory)
    assert main(list(map(str, arguments))) == 0
    assert capsys.readouterr().out.startswith(f'{ROW}: done already')
    assert main([*map(str, arguments), '--status']) == 0
    assert capsys.readouterr().out.endswith('\n1 done\n')
    wait_until(lambda: not ask('squeue', '--noheader'), seconds=PATIENCE, what='an empty queue')
    assert report([str(experiment), '--results', 'results', '--out', 'report']) == 0
    table = (tmp_path / 'report/report.md').read_text()
    assert '## Table 2' in table and '| YOLOv2 | paper | 78.1 |' in table and '| ours' in table


def check_requeued(job_id, directory, state, read):
    """A job that was warned has the same id, stopped once, went on and finished."""
    wait_for_end(state, directory)
    assert read(directory / 'job.json')['job_id'] == job_id
    assert read(directory / 'status.json')['iteration'] == LONG_ITERATIONS
    assert len(read(directory / 'environment.json')) == 2
    log = log_of(directory)
    assert log.count('stopped with a snapshot; queued again') == 1
    assert log.count('resumed from') == 1


@pytest.fixture
def start(submit, visit, state):
    """Submits, waits for the first report, gives the job: ``start(arguments, env, directory)``."""
    def start(arguments, env, directory):
        done = submit(*arguments, env=env)
        assert done.returncode == 0, done.stderr
        visit(env)
        wait_until((directory / 'log.json').exists, seconds=PATIENCE, what='the first report')
        assert state().state == 'running'
        return done.stdout.split()[-1]
    return start


def test_slurm_queues_a_warned_job_again(slurm, start, small, write_site, state, read, tmp_path,
                                         experiment):
    """The signal of a time limit makes a snapshot; the job waits, goes on from it and finishes.

    Slurm looks at time limits twice a minute; here it is told to send their signal at once.
    """
    site = write_site('slurm', ['--nodes=$n_nodes', '--ntasks-per-node=$processes_per_node'])
    arguments = [experiment, '--run', 'yolo_v2_k8', '--site', site, *small(*LONG)]
    directory = tmp_path / 'results' / ROW
    job_id = start(arguments, slurm, directory)
    ask('scancel', '--batch', '--signal=USR1', job_id)
    stopped = wait_until(lambda: (now := state()).state == 'stopped' and now, seconds=PATIENCE,
                         what=f'a stop\n{log_of(directory)}')
    snapshot = snapshot_files(directory)[0]
    assert stopped.is_active and snapshot is not None
    with pytest.raises(InputError, match=fr'is stopped already \(job {job_id}, waits to go on'):
        main(list(map(str, arguments)))
    check_requeued(job_id, directory, state, read)
    assert f'resumed from {snapshot.relative_to(tmp_path)}' in log_of(directory)


def test_gridengine_queues_a_warned_job_again(gridengine, start, small, write_site, state, read,
                                              tmp_path, experiment):
    """The launcher's own warning, given here ahead of time, and the exit status 99."""
    site = write_site('uge', ['-pe', 'test', '$n_processes'])
    directory = tmp_path / 'results' / ROW
    job_id = start([experiment, '--run', 'yolo_v2_k8', '--site', site, *small(*LONG)], gridengine,
                   directory)
    process, = pathlib.Path(gridengine['SGE_ROOT']).glob(
        f'execd/*/active_jobs/{job_id}.1/job_pid')
    os.kill(int(process.read_text()), signal.SIGUSR1)
    check_requeued(job_id, directory, state, read)


def test_a_workstation_carries_more_workers_than_it_has_gpus(submit, small, write_site, read,
                                                             tmp_path, experiment):
    """k = 4 where 3 processes fit: 2, the largest divisor, in the foreground."""
    site = write_site('local', gpus_per_node=3)
    done = submit(experiment, '--run', 'yolo_v2_k8', '--site', site, *small('workers=4'))
    assert done.returncode == 0, done.stdout + done.stderr
    status = read(tmp_path / 'results' / ROW / 'status.json')
    assert (status['state'], status['n_workers'], status['n_processes']) == ('done', 4, 2)
    assert 'on 2 processes' in done.stdout
    assert done.stdout == log_of(tmp_path / 'results' / ROW)
