"""The launcher, with stand-ins for mpiexec, training and the schedulers."""

import os
import signal
import subprocess
import time

import pytest

# Trains until it is told to stop; a snapshot is a file.
TRAINING = """\
echo "$@" >> arguments
trap 'touch run/snapshot_iter_7.npz; exit 75' USR1
touch listening
for _ in $(seq 100); do sleep 0.1; done
"""


@pytest.fixture
def launch(tmp_path, repository):
    """Starts a job: ``launch(scheduler, training=TRAINING, **variables)`` -> subprocess.Popen.

    What the job does is told by the files ``arguments`` (of training) and ``requeued``, and by
    ``run/job.log``.
    """
    programs = tmp_path / 'programs'
    programs.mkdir()
    for name in ('scontrol', 'python'):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/requeued\n')
        (programs / name).chmod(0o755)
    started = []

    def launch(scheduler, training=TRAINING, more='', **variables):
        (tmp_path / 'training.sh').write_text(training)
        values = {'repository': repository, 'work_directory': tmp_path, 'run_directory': 'run',
                  'scheduler': scheduler, 'n_nodes': 1, 'n_processes': 2, 'processes_per_node': 2,
                  'seconds': 60, 'warning_seconds': 30, **variables}
        script = tmp_path / 'job.sh'
        script.write_text('\n'.join([
            *(f'{name}={value}' for name, value in values.items()),
            'arguments=(experiment.yaml --results results)',
            'submission=(experiment.yaml --site test)',
            'set_up() { :; }',
            'start_processes() { exec bash training.sh "$@"; }',
            more, 'source "$repository/jobs/launch.sh"', '']))
        process = subprocess.Popen(
            ['bash', script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=os.environ | {'PATH': f'{programs}:{os.environ["PATH"]}', 'SLURM_JOB_ID': '5'})
        started.append(process)
        return process

    yield launch
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=20)


def wait_for(path):
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f'{path} was not written'
        time.sleep(0.05)


REQUEUED = {'slurm': (0, 'scontrol requeue 5\n'), 'uge': (99, None),
            'pbs': (0, 'python -m yolo_dist.submit experiment.yaml --site test\n'),
            'local': (75, None)}


@pytest.mark.parametrize('scheduler', REQUEUED)
def test_a_warned_job_is_queued_again(launch, tmp_path, scheduler):
    """SIGUSR1 reaches training; its status 75 is handed on in each scheduler's way."""
    process = launch(scheduler)
    wait_for(tmp_path / 'listening')
    process.send_signal(signal.SIGUSR1)
    status, requeued = REQUEUED[scheduler]
    assert process.wait(20) == status
    wrote = tmp_path / 'requeued'
    assert (wrote.read_text() if wrote.exists() else None) == requeued
    log = (tmp_path / 'run/job.log').read_text()
    assert ('queued again' in log) == (scheduler != 'local')
    assert (tmp_path / 'arguments').read_text() == \
        'python -m yolo_dist.train experiment.yaml --results results --resume\n'


@pytest.mark.parametrize('scheduler', ['pbs', 'uge'])
def test_the_launcher_keeps_the_time_where_the_scheduler_does_not(launch, tmp_path, scheduler):
    """``warning_seconds`` before the end training is told to stop."""
    begin = time.monotonic()
    process = launch(scheduler, seconds=62, warning_seconds=60)
    assert process.wait(20) == REQUEUED[scheduler][0]
    assert time.monotonic() - begin >= 2
    assert 'queued again' in (tmp_path / 'run/job.log').read_text()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR2])
def test_a_cancelled_job_is_not_queued_again(launch, tmp_path, number):
    """It may write a snapshot, and says how to go on."""
    process = launch('slurm')
    wait_for(tmp_path / 'listening')
    process.send_signal(number)
    assert process.wait(20) == 75
    assert not (tmp_path / 'requeued').exists()
    assert (tmp_path / 'run/snapshot_iter_7.npz').exists()
    log = (tmp_path / 'run/job.log').read_text()
    assert 'to go on: jobs/submit.sh experiment.yaml --site test' in log


@pytest.mark.parametrize('status', [0, 1, 2, 3])
def test_any_other_end_is_the_end(launch, tmp_path, status):
    """Done, failed, bad input, diverged: the status is the job's, nothing is queued."""
    process = launch('slurm', f'exit {status}')
    assert process.wait(20) == status
    assert not (tmp_path / 'requeued').exists()


_KEEPALIVE = 'PRTE_MCA_oob_tcp_keepalive_time'

# Trains until mpiexec ends with a status that is not the run's.
ENDED = """\
printf '{{\n "state": "{state}",\n "n_workers": 2\n}}\n' > run/status.json
touch run/snapshot_iter_7.npz
exit {status}
"""


@pytest.mark.parametrize('state, of_mpiexec, status, requeued', [
    ('running', 0, 0, True), ('running', 1, 0, True), ('running', 137, 0, True),
    ('stopped', 1, 0, True), ('stopped', 0, 0, False), ('done', 1, 0, False),
    ('diverged', 0, 3, False), ('failed', 0, 1, False), ('failed', 137, 137, False)])
def test_the_run_is_believed_not_mpiexec(launch, tmp_path, state, of_mpiexec, status, requeued):
    """A run that mpiexec left unfinished is queued again, whatever mpiexec says."""
    process = launch('slurm', ENDED.format(state=state, status=of_mpiexec))
    assert process.wait(20) == status
    assert (tmp_path / 'requeued').exists() == requeued
    assert ('not at its end' in (tmp_path / 'run/job.log').read_text()) == requeued


def test_the_word_of_an_earlier_session_does_not_count(launch, tmp_path):
    """Training that ends before it writes a status ends the job with its own."""
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/status.json').write_text('{\n "state": "running",\n "n_workers": 2\n}\n')
    assert launch('slurm', 'touch run/snapshot_iter_9.npz; exit 2').wait(20) == 2
    assert not (tmp_path / 'requeued').exists()


@pytest.mark.parametrize('env, seconds', [({}, 60), ({_KEEPALIVE: '5'}, 5)])
def test_lost_hosts_are_looked_for(launch, tmp_path, monkeypatch, env, seconds):
    """Open MPI asks its daemons for signs of life, as often as the site says where it does."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert launch('slurm', f'echo ${_KEEPALIVE} > asked').wait(20) == 0
    assert (tmp_path / 'asked').read_text() == f'{seconds}\n'


def test_a_sitting_without_progress_is_not_repeated(launch, tmp_path):
    """Otherwise a time limit that is too short would be hit for ever."""
    process = launch('slurm', 'exit 75')
    assert process.wait(20) == 75
    assert not (tmp_path / 'requeued').exists()
    assert 'without a new snapshot' in (tmp_path / 'run/job.log').read_text()


def test_a_warning_before_training_listens(launch, tmp_path):
    """It ends training; as there was no progress, nothing is queued again."""
    process = launch('slurm', 'touch listening; exec sleep 10')
    wait_for(tmp_path / 'listening')
    process.send_signal(signal.SIGUSR1)
    assert process.wait(20) == 75
    assert not (tmp_path / 'requeued').exists()


def test_a_warning_during_set_up_starts_no_training(launch, tmp_path):
    """There is no time left for it."""
    process = launch('slurm', more='set_up() { touch listening; sleep 2; }')
    wait_for(tmp_path / 'listening')
    process.send_signal(signal.SIGUSR1)
    assert process.wait(20) == 75
    assert not (tmp_path / 'arguments').exists()


def test_each_sitting_adds_to_the_log(launch, tmp_path):
    """The log of a run is that of all its jobs."""
    for _ in range(2):
        assert launch('slurm', 'echo trained').wait(20) == 0
    log = (tmp_path / 'run/job.log').read_text()
    assert log.count('trained\n') == 2 and log.count('job 5 on') == 2


STAGING = """\
start_once_per_node() { "$@" && "$@"; }  # two on one node: the second finds it done
data_root='data set'
staging_directory=scratch
staging_command='echo copy >> copies; cp -r "$data_root/." "$target"'
"""


def test_data_are_copied_once_to_each_node(launch, tmp_path):
    """Training is told of the copy, and a requeued job on the same node finds it."""
    (tmp_path / 'data set').mkdir()
    (tmp_path / 'data set/image').write_text('pixels')
    for _ in range(2):
        assert launch('slurm', 'echo "$@" >> arguments', more=STAGING).wait(20) == 0
    assert (tmp_path / 'copies').read_text() == 'copy\n'
    assert (tmp_path / 'scratch/yolo_dist_data/image').read_text() == 'pixels'
    assert (tmp_path / 'arguments').read_text().splitlines() == 2 * [
        'python -m yolo_dist.train experiment.yaml --results results '
        '--set data.root=scratch/yolo_dist_data --resume']


def test_training_does_not_start_on_half_a_copy(launch, tmp_path):
    """A copy that fails ends the job, and is made anew the next time."""
    process = launch('slurm', more=STAGING)
    assert process.wait(20) == 1
    assert not (tmp_path / 'arguments').exists()
    assert 'copying failed' in (tmp_path / 'run/job.log').read_text()
    (tmp_path / 'data set').mkdir()
    assert launch('slurm', 'exit 0', more=STAGING).wait(20) == 0
