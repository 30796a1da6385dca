"""Jobs whose processes are killed, stopped or told to end: each ends soon, and says how."""
import json
import os
import pathlib
import re
import shutil
import signal
import time

import pytest

from yolo_dist.config import load_config
from yolo_dist.links import read_npz
from yolo_dist.runs.heartbeat import is_dead, read_beats
from yolo_dist.runs.snapshots import find_whole_snapshot

ROOT = pathlib.Path(__file__).resolve().parents[1]
TINY = ['model.width=0.03', 'data.batch_size_per_worker=4', 'data.input_size_px=32',
        'data.evaluation.input_size_px=32', 'data.evaluation.batch_size=4',
        'run.log_every_iterations=1']
ENDLESS = ['data.n_synthetic_examples=64', 'schedule.epochs=1000',
           'run.evaluate_every_epochs=1000', 'run.snapshot_every_epochs=1000']
RUN = pathlib.Path('results/quickstart_darknet19')


def arguments(*overrides):
    """Arguments of `train` for a tiny run in the working directory."""
    return [str(ROOT / 'experiments/quickstart_darknet19.yaml'),
            *(word for text in [*TINY, *overrides] for word in ('--set', text))]


def wait_for(what, process, seconds=90):
    """Wait until ``what()`` is true, and return that; a job that ends before is shown."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def status(folder):
    return json.loads((folder / RUN / 'status.json').read_text())


def wait_for_loaders(folder, process):
    """Of a job of two processes: its beats, and fork server and loader of each."""
    wait_for((folder / RUN / 'log.json').exists, process)
    beats = wait_for(lambda: len(found := read_beats(folder / RUN)) == 2 and found, process)
    families = []
    for beat in beats:
        fork_server = next(pid for pid in children(beat.pid) if 'forkserver' in command(pid))
        families.append([fork_server, *children(fork_server)])
    assert all(len(family) == 2 for family in families)
    return beats, families


def children(pid):
    return [int(child) for task in pathlib.Path(f'/proc/{pid}/task').iterdir()
            for child in (task / 'children').read_text().split()]


def command(pid):
    return pathlib.Path(f'/proc/{pid}/cmdline').read_text()


def send(number, pids):
    for pid in pids:
        os.kill(pid, number)


def test_a_killed_loader_ends_the_job(start, tmp_path):
    """Within 30 s, with one line that names process, host, loader and cause."""
    process = start('-m', 'yolo_dist.train', *arguments(*ENDLESS, 'data.n_loader_processes=1'),
                    n=2, cwd=tmp_path)
    beats, families = wait_for_loaders(tmp_path, process)
    loader = families[1][1]
    os.kill(loader, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.search(rf'error \(process 1 of 2 on {beats[1].host}\): loader 0 of 1 \(process '
                     rf'{loader}\) was killed by signal 9 \(SIGKILL\)', errors)
    assert 'Traceback' not in errors
    assert status(tmp_path)['state'] == 'failed'


def test_sigterm_to_all_processes_ends_the_session_with_a_snapshot(start, tmp_path):
    """Sent to loaders and fork servers too, as a scheduler does: status 75, a whole snapshot."""
    process = start('-m', 'yolo_dist.train', *arguments(*ENDLESS, 'data.n_loader_processes=1'),
                    n=2, cwd=tmp_path)
    beats, families = wait_for_loaders(tmp_path, process)
    send(signal.SIGTERM, [*sum(families, []), *(beat.pid for beat in beats)])
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert 'stopped: ' in output
    found = status(tmp_path)
    assert found['state'] == 'stopped'
    snapshot, _ = find_whole_snapshot(tmp_path / RUN, load_config(tmp_path / RUN / 'config.yaml'))
    assert snapshot.name == f'snapshot_iter_{found["iteration"]}.npz' and read_npz(snapshot)
    assert not read_beats(tmp_path / RUN)


# A run that does something to itself. What is patched is what a reader of Python can see.
PATCHED = """
import os, signal, time
import yolo_dist
from yolo_dist import train
from yolo_dist.distributed import launch, stop_request

def send(name):
    os.kill(os.getpid(), getattr(signal, name))

PATCH

if __name__ == '__main__':
    launch.run_job(train.main)
"""


@pytest.fixture
def run_patched(python, tmp_path):
    """Runs one process of training with something patched."""
    def run_patched(patch, *overrides, n_workers=1):
        script = tmp_path / 'patched.py'
        script.write_text(PATCHED.replace('PATCH', patch))
        return python(script, *arguments(f'workers={n_workers}', *overrides), cwd=tmp_path)
    return run_patched


def test_a_signal_during_start_up_ends_it_at_once(run_patched, tmp_path):
    """There is nothing to keep: status 75, and no run in the directory."""
    done = run_patched("""
def get_task(config):
    send('SIGTERM')
    time.sleep(100)
train.get_task = get_task
""", *ENDLESS)
    assert done.returncode == 75, done.stderr
    assert 'ended at once by SIGTERM' in done.stderr
    assert not (tmp_path / RUN / 'config.yaml').exists()


def test_a_long_evaluation_is_not_waited_for(run_patched, tmp_path):
    """SIGINT during it: status 75 and `stopped`, with the snapshot that the run goes on from."""
    done = run_patched("""
stop_request._EVALUATION_SECONDS = 1
snapshots = []
from yolo_dist.evaluators import classification
def iterate_batches(dataset, *arguments, **options):
    snapshots.append(None)
    if len(snapshots) == 2:
        send('SIGINT')
        time.sleep(100)
    return iterate(dataset, *arguments, **options)
iterate, classification.iterate_batches = classification.iterate_batches, iterate_batches
""", 'data.n_synthetic_examples=16', 'run.evaluate_every_epochs=1',
                       'run.snapshot_every_epochs=1')
    assert done.returncode == 75, done.stderr
    assert 'the evaluation takes too long' in done.stderr
    found = status(tmp_path)
    assert (found['state'], found['snapshot']) == ('stopped', 'snapshot_iter_8.npz')
    assert 'SIGINT' in found['reason']


def test_a_second_signal_ends_the_session_at_once(run_patched, tmp_path):
    """The process does not come to the end of its iteration; the status says `stopped`."""
    done = run_patched("""
class Waits(train.TrainUpdater):
    def update_core(self):
        super().update_core()
        if self.iteration == 2:
            send('SIGUSR1')
            time.sleep(1.5)
            send('SIGUSR1')
            time.sleep(100)
train.TrainUpdater = Waits
""", *ENDLESS)
    assert done.returncode == 75, done.stderr
    assert 'ended at once by SIGUSR1' in done.stderr
    assert (status(tmp_path)['state'], status(tmp_path)['snapshot']) == ('stopped', None)


def test_a_signal_during_a_snapshot_leaves_it_whole(run_patched, tmp_path):
    """The snapshot is written to its end, and the session stops one iteration later."""
    done = run_patched("""
from chainer.training import extensions
from chainer.serializers import npz
save = npz.save_npz
def save_and_tell(*arguments, **options):
    send('SIGTERM')
    save(*arguments, **options)
npz.save_npz = save_and_tell
import chainer.training.extensions._snapshot as snapshot
snapshot.npz.save_npz = save_and_tell
""", 'data.n_synthetic_examples=16', 'schedule.epochs=9', 'run.evaluate_every_epochs=9',
                       'run.snapshot_every_epochs=1')
    assert done.returncode == 75, done.stderr
    assert (status(tmp_path)['state'], status(tmp_path)['iteration']) == ('stopped', 5)
    for iteration in (4, 5):
        assert read_npz(tmp_path / RUN / f'snapshot_iter_{iteration}.npz')
    assert not list((tmp_path / RUN).glob('tmp*'))


def test_a_run_whose_mpiexec_is_lost_has_not_failed(run_patched, tmp_path):
    """What it prints goes nowhere, which ends the session; the launcher may go on with the run."""
    done = run_patched("""
class Loses(train.TrainUpdater):
    def update_core(self):
        super().update_core()
        if self.iteration == 2:
            output, end = os.pipe()
            os.close(output)
            os.dup2(end, 1)
train.TrainUpdater = Loses
""", *ENDLESS)
    assert done.returncode == 1 and 'BrokenPipeError' in done.stderr
    assert status(tmp_path)['state'] == 'running'


# Two processes: the second is stopped, the first waits for it inside MPI.
STOPPED = """
import os, pathlib, signal, sys, time
import numpy as np
import yolo_dist
from yolo_dist.distributed import launch
from yolo_dist.runs import heartbeat
from yolo_dist.training.watchdog import Watchdog, progress

def main():
    from mpi4py import MPI
    number, run = launch.process_number(), pathlib.Path('run')
    if number == 0:
        run.mkdir()
        heartbeat.begin_heartbeat(run)
    MPI.COMM_WORLD.barrier()
    watchdog = Watchdog(3, number, 2)
    progress(f'iteration {number + 7}')
    watchdog.record_in(run)
    if number == 1:
        while len(heartbeat.read_beats(run)) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGSTOP)
    MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, np.zeros(4))

if __name__ == '__main__':
    launch.run_job(main)
"""


def test_the_watchdog_ends_a_job_with_a_stopped_process(mpiexec, tmp_path):
    """It works while its process waits inside MPI, and tells where each of them was last."""
    (tmp_path / 'stopped.py').write_text(STOPPED)
    done = mpiexec(2, 'stopped.py', cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert re.search('watchdog: process 0 of 2 ends the job: .* for 3 s .* it is at: iteration 7, '
                     'for [3-9]', done.stderr), done.stderr
    assert re.search('watchdog: process 1 on .* was last at .*: iteration 8', done.stderr)
    beats = read_beats(tmp_path / 'run')
    assert [beat.process for beat in beats] == [0, 1]
    end = time.monotonic() + 30  # the stopped one may outlive mpiexec by a moment
    while not is_dead(tmp_path / 'run'):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_file_that_never_ends_is_seen_by_the_watchdog(run_patched, tmp_path):
    """An image that became a pipe: after the YAML's ``watchdog_seconds`` the job says where."""
    done = run_patched("""
class Waits(train.TrainingStream):
    def get_example(self, i):
        os.mkfifo('pipe')
        return open('pipe').read()
train.TrainingStream = Waits
""", *ENDLESS, 'run.watchdog_seconds=12.0')
    assert done.returncode == 1, done.stderr
    assert re.search(r'ends the job: .* for 12 s \(run.watchdog_seconds\); it is at: iteration 1, '
                     r'waits for images, for 1[2-9] s \(in training/iterators.py:', done.stderr)
    assert status(tmp_path)['state'] == 'running' and is_dead(tmp_path / RUN)


MAPS = """
import yolo_dist
from yolo_dist.distributed import launch
def main():
    from mpi4py import MPI
    MPI.COMM_WORLD.allgather(0)
    print([line for line in open('/proc/self/maps') if 'sm_segment' in line])
if __name__ == '__main__':
    launch.run_job(main)
"""


@pytest.mark.skipif(not shutil.which('ompi_info', path=f'{os.path.dirname(os.sys.executable)}:'
                                     f'{os.environ["PATH"]}'), reason='is about Open MPI')
def test_a_process_without_mpiexec_leaves_no_shared_memory(python, tmp_path):
    """Open MPI would make 16 MB in /dev/shm, and remove them only under mpiexec."""
    (tmp_path / 'maps.py').write_text(MAPS)
    assert python('maps.py', cwd=tmp_path).stdout == '[]\n'
    with_it = python('maps.py', cwd=tmp_path, env={'OMPI_MCA_btl': 'self,sm'})
    for path in re.findall(r'/dev/shm/sm_segment[\w.-]+', with_it.stdout):
        pathlib.Path(path).unlink()
    assert 'sm_segment' in with_it.stdout


BAR = """
import sys
import yolo_dist
from multiprocessing import resource_tracker
from tqdm import tqdm
from yolo_dist.distributed import launch

def main():
    if sys.argv[1:]:
        del tqdm._lock  # the default again
    resource_tracker.register = lambda name, kind: print('made a', kind)
    with tqdm(total=3, file=sys.stderr) as bar:
        bar.update()

launch.run_job(main)
"""


@pytest.mark.parametrize('arguments, makes', [([], ''), (['default lock'], 'made a semaphore\n')])
def test_a_progress_bar_makes_no_semaphore(python, tmp_path, arguments, makes):
    """A semaphore has a file in /dev/shm, which stays when the whole job is killed."""
    (tmp_path / 'bar.py').write_text(BAR)
    done = python('bar.py', *arguments, cwd=tmp_path)
    assert '1/3' in done.stderr and done.stdout == makes
