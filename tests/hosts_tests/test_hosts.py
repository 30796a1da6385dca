"""Training on several hosts: one host's result, also after links, hosts and processes are lost."""

import json
import pathlib
import re
import sys
import time

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = 'quickstart_darknet19'
# An iteration and a snapshot an epoch.
SETTINGS = ['model.width=0.125', 'data.batch_size_per_worker=4', 'data.input_size_px=32',
            'data.evaluation.input_size_px=32', 'data.evaluation.batch_size=4',
            'data.n_synthetic_examples=16', 'run.log_every_iterations=1',
            'run.evaluate_every_epochs=1000', 'run.snapshot_every_epochs=1']
# One that lasts longer than it takes to lose something. What it is compared with ends earlier.
LONG = ['workers=4', 'schedule.epochs=1000', 'run.keep_snapshots=1000']
N_COMPARED = 16
SUMS = [(4, 'float32'), (4, 'float16'), (8, 'float32'), (8, 'float16')]


def arguments(results, *overrides):
    """Arguments of `train`."""
    return [str(ROOT / f'experiments/{RUN}.yaml'), '--results', results,
            *(word for text in [*SETTINGS, *overrides] for word in ('--set', text))]


def short(n_workers, dtype):
    """Arguments for three iterations."""
    return arguments(f'{dtype}_{n_workers}', f'workers={n_workers}', 'schedule.epochs=3',
                     f'data.n_synthetic_examples={4 * n_workers}',
                     'run.snapshot_every_epochs=1000',
                     f'communicator.allreduce_grad_dtype={dtype}')


def write_rows(folder, rows):
    """Return what follows ``python`` to train them in one start of MPI."""
    (folder / 'rows.json').write_text(json.dumps(rows))
    return [str(ROOT / 'tests/train_rows.py'), 'rows.json', 'outcomes']


def assert_trained(done, output, folder):
    """Look at the status of each row in each process."""
    assert done.returncode == 0, output
    outcomes = [json.loads(line) for line in (folder / 'outcomes').read_text().splitlines()]
    assert not any(status for row in outcomes for status, _ in row), output


@pytest.fixture(scope='module')
def undisturbed(python, tmp_path_factory):
    """Folder of the same runs, each trained by one process."""
    folder = tmp_path_factory.mktemp('undisturbed')
    done = python(*write_rows(folder, [
        *(short(*row) for row in SUMS),
        arguments('long', *LONG, f'run.stop_after_epochs={N_COMPARED}')]), cwd=folder)
    assert_trained(done, done.stdout + done.stderr, folder)
    return folder


def assert_same(first, second):
    """Two npz files hold the same to the last bit, but for the clock and the speed."""
    with np.load(first) as first, np.load(second) as second:
        assert set(first.files) == set(second.files)
        for name in first.files:
            if not re.search('elapsed_time|LogReport|observation', name):
                np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def wait_for(what, process=None, seconds=90):
    """Wait until ``what()`` is true, and return that; a job that ends before is shown."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@pytest.mark.parametrize('n, rate, sums', [(2, '1gbit', SUMS[:3]), (4, '10gbit', SUMS[3:])])
def test_hosts_give_one_hosts_result(make_hosts, start, undisturbed, tmp_path, n, rate, sums):
    """To the last bit, with k = 4 and 8, and gradients summed in float32 and in float16."""
    hosts = make_hosts(n, rate)
    process = start(*write_rows(tmp_path, [short(*row) for row in sums]), env=hosts.env,
                    by=hosts.on_first(*hosts.mpiexec(), sys.executable), cwd=tmp_path)
    output, errors = process.communicate(timeout=120)
    assert_trained(process, output + errors, tmp_path)
    n_bytes = 0
    for n_workers, dtype in sums:
        directory = f'{dtype}_{n_workers}/{RUN}'
        assert_same(undisturbed / directory / 'weights_final.npz',
                    tmp_path / directory / 'weights_final.npz')
        n_iterations = len(json.loads((tmp_path / directory / 'log.json').read_text()))
        assert n_iterations == 3 and f'k = {n_workers} on {n} processes' in output
        n_bytes += n_iterations * (tmp_path / directory / 'weights_final.npz').stat().st_size
    # A file of float32. At least a quarter of it, half of the halves, crosses each link.
    assert min(hosts.sent_bytes()) > n_bytes / 4


class LongRun:
    """The long run, with a process on each of two hosts, or as a job of a scheduler."""

    def __init__(self, hosts, start, folder):
        self._hosts, self._start, self._folder = hosts, start, folder
        self.directory = folder / 'long' / RUN

    def train(self, *overrides):
        """Start training by mpiexec."""
        return self._start(
            '-m', 'yolo_dist.train', *arguments('long', *LONG, *overrides),
            by=self._hosts.on_first(*self._hosts.mpiexec(), sys.executable),
            env=self._hosts.env, cwd=self._folder)

    def submit(self, *overrides):
        """Start the launcher, as a job that Slurm would queue again."""
        programs = self._folder / 'programs'
        programs.mkdir(exist_ok=True)
        (programs / 'scontrol').write_text('#!/bin/sh\necho "$@" >> requeued\n')
        (programs / 'scontrol').chmod(0o755)
        variables = {
            'work_directory': self._folder, 'run_directory': self.directory, 'n_nodes': 2,
            'scheduler': 'slurm', 'n_processes': 2, 'seconds': 600, 'warning_seconds': 60}
        (self._folder / 'job.sh').write_text('\n'.join([
            *(f'{name}={value}' for name, value in variables.items()),
            f'arguments=({" ".join(arguments("long", *LONG, *overrides))})',
            'submission=(experiment.yaml)', 'set_up() { :; }',
            f'start_processes() {{ shift; exec {" ".join(self._hosts.mpiexec())} '
            f'{sys.executable} "$@"; }}',
            f'source {ROOT}/jobs/launch.sh', '']))
        return self._start(by=self._hosts.on_first('bash', 'job.sh'), cwd=self._folder, env={
            **self._hosts.env, 'PATH': f'{programs}:/usr/sbin:/usr/bin:/sbin:/bin',
            'SLURM_JOB_ID': '5', 'PRTE_MCA_oob_tcp_keepalive_time': '1',
            'PRTE_MCA_oob_tcp_keepalive_intvl': '1', 'PRTE_MCA_oob_tcp_keepalive_probes': '2'})

    def n_snapshots(self):
        return len(list(self.directory.glob('snapshot_iter_*.npz')))

    def wait_for_snapshot(self, process):
        """Wait until the session has got further."""
        before = self.n_snapshots()
        wait_for(lambda: self.n_snapshots() > before, process)

    def processes(self, i):
        """Processes of the training on a host, without their children."""
        return self._hosts.pids(self._hosts.names[i], pathlib.Path(sys.executable).name, '-m',
                                'yolo_dist.train')


@pytest.fixture
def long_run(make_hosts, start, tmp_path):
    """Two hosts, and the long run on them."""
    hosts = make_hosts(2, '1gbit')
    return hosts, LongRun(hosts, start, tmp_path)


def test_the_watchdog_ends_a_job_whose_link_was_cut(long_run):
    """On both sides, though none can tell the other; mpiexec ends once the link is mended."""
    hosts, run = long_run
    # Of these batches an iteration takes a second. What follows a snapshot is computing, and then
    # the mean of the gradients is the first to wait.
    process = run.train('run.watchdog_seconds=8.0', 'data.batch_size_per_worker=64',
                        'data.n_synthetic_examples=256')
    run.wait_for_snapshot(process)
    assert len(run.processes(0)) == len(run.processes(1)) == 1
    hosts.switch_link(1, 'down')
    wait_for(lambda: not run.processes(0) + run.processes(1), process)
    hosts.switch_link(1, 'up')
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert re.search('watchdog: process 0 of 2 ends the job: .* for 8 s .* it is at: iteration '
                     '.*distributed/naive.py', errors), errors
    assert json.loads((run.directory / 'status.json').read_text())['state'] == 'running'


def test_losses_are_made_up_for(long_run, undisturbed, tmp_path):
    """After a link, a daemon of Open MPI and a process were lost, one after the other.

    The launcher says so and queues the run again, whatever the status of mpiexec. The last
    session ends as if nothing had been.
    """
    hosts, run = long_run
    losses = {
        'link': lambda: hosts.switch_link(1, 'down'),
        'daemon': lambda: hosts.kill(hosts.pids(hosts.names[1], 'prted')),
        'process': lambda: hosts.kill(run.processes(1))}
    for n, (name, lose) in enumerate(losses.items(), start=1):
        session = run.submit()
        run.wait_for_snapshot(session)
        lose()
        assert session.wait(60) == 0, name
        log = (run.directory / 'job.log').read_text()
        assert log.count(': not at its end') == log.count('; queued again') == n, log
        assert len((tmp_path / 'requeued').read_text().splitlines()) == n
        wait_for(lambda: not any(map(hosts.pids, hosts.names)))
        hosts.switch_link(1, 'up')
    assert run.n_snapshots() < N_COMPARED, 'lost too late to compare'
    session = run.submit(f'run.stop_after_epochs={N_COMPARED}')
    assert session.wait(60) == 0
    assert (run.directory / 'job.log').read_text().count('resumed from') == len(losses)
    assert json.loads((run.directory / 'status.json').read_text())['state'] == 'stopped'
    snapshot = f'long/{RUN}/snapshot_iter_{N_COMPARED}.npz'
    assert_same(undisturbed / snapshot, tmp_path / snapshot)
