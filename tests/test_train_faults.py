"""Nothing lost: bad numbers, a failing evaluation, full and read-only disks, two jobs at once."""
import json
import os
import pathlib
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from yolo_dist.datasets import make_mini_imagenet
from yolo_dist.runs.lock import RunLock

EXPERIMENT = pathlib.Path(__file__).resolve().parents[1] / 'experiments/quickstart_darknet19.yaml'
SETTINGS = {'model.width': 0.03, 'data.batch_size_per_worker': 4, 'schedule.epochs': 2.0,
            'data.input_size_px': 32, 'data.evaluation.input_size_px': 32,
            'run.log_every_iterations': 100, 'run.snapshot_every_epochs': 0.25,
            'run.evaluate_every_epochs': 1, 'run.keep_snapshots': 20}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp('data') / 'set'
    make_mini_imagenet(path, n_train=30, n_val=11, size_px=32)
    return path


@pytest.fixture(scope='module')
def train(mpiexec, mpi_job, data):
    """Trains in a folder: ``train(folder, *arguments, n=1, program=None, root=data)``.

    ``program`` stands for ``yolo_dist.train``, and processes are started for it.
    """
    def train(folder, *arguments, n=1, program=None, root=data):
        settings = [text for key, value in {**SETTINGS, 'data.root': root}.items()
                    for text in ('--set', f'{key}={value}')]
        arguments = [EXPERIMENT, '--results', 'results', *arguments, *settings]
        if program is None:
            return mpi_job(n, 'yolo_dist.train', *arguments, cwd=folder)
        return mpiexec(n, *program, *arguments, cwd=folder)
    return train


@pytest.fixture(scope='module')
def undisturbed(train, tmp_path_factory):
    """The run directory of two processes that nothing happened to: 8 iterations."""
    folder = tmp_path_factory.mktemp('undisturbed')
    done = train(folder, n=2)
    assert done.returncode == 0, done.stderr
    return folder / 'results/quickstart_darknet19'


def load(path):
    with np.load(path) as npz:
        return {name: npz[name] for name in npz.files if npz[name].dtype != object}


def log_of(directory):
    return [{key: value for key, value in entry.items()
             if key not in ('elapsed_time', 'images_per_second')}
            for entry in json.loads((directory / 'log.json').read_text())]


# The data were whole when they were checked.
FAILING_EVALUATION = """
import yolo_dist
from yolo_dist import train
from yolo_dist.distributed import launch
from yolo_dist.errors import InputError
from yolo_dist.tasks import classification

def evaluate(*arguments):
    if launch.process_number() == 1:
        raise InputError('the held-out image is damaged')
    from mpi4py import MPI
    MPI.COMM_WORLD.Barrier()  # the others wait for that process

classification.evaluate = evaluate
if __name__ == '__main__':
    launch.run_job(train.main)
"""


def test_a_failing_evaluation_loses_no_epoch(train, undisturbed, tmp_path):
    """The snapshot is there, also after a resume that fails again; mended, nothing differs."""
    (tmp_path / 'failing.py').write_text(FAILING_EVALUATION)
    directory = tmp_path / 'results/quickstart_darknet19'
    for arguments in ((), ('--resume',)):
        done = train(tmp_path, *arguments, n=2, program=('failing.py',))
        assert done.returncode == 2 and 'image is damaged' in done.stderr, done.stderr
        assert (directory / 'snapshot_iter_4.npz').exists()
        assert not (directory / 'snapshot_iter_5.npz').exists()
    done = train(tmp_path, '--resume', n=2)
    assert done.returncode == 0, done.stderr
    assert log_of(directory) == log_of(undisturbed)
    ours, theirs = (load(path / 'snapshot_iter_8.npz') for path in (directory, undisturbed))
    for name, array in ours.items():
        if not any(word in name for word in ('elapsed', 'LogReport', 'observation')):
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_damage_that_only_decoding_shows(train, data, tmp_path):
    """An image without its quantization: `error` ends the job and names it, `skip` lists it."""
    root = shutil.copytree(data, tmp_path / 'set')
    path = next((root / 'train').glob('*/*'))
    picture = cv2.imencode('.jpg', np.zeros((32, 32, 3), np.uint8))[1].tobytes()
    path.write_bytes(picture.replace(b'\xff\xdb', b'\xff\xfe'))
    directory = tmp_path / 'results/quickstart_darknet19'
    loaders = ('--set', 'data.n_loader_processes=1')
    done = train(tmp_path, *loaders, n=2, root=root)
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr
    assert f'{path}: not a complete image file' in done.stderr
    assert json.loads((directory / 'status.json').read_text())['state'] == 'failed'
    done = train(tmp_path, *loaders, '--resume', '--set', 'data.on_bad_example=skip', root=root)
    assert done.returncode == 0, done.stderr
    assert '1 training examples could not be read' in done.stdout
    assert (directory / 'data_check.txt').read_text().count(str(path)) == 1


# The second process meets a number that is not finite in its third iteration.
SPOILT = """
import sys
import numpy as np
import yolo_dist
from chainer import functions as F
from chainer import reporter
from yolo_dist import train
from yolo_dist.distributed import launch
from yolo_dist.links import ClassificationTrainChain
from yolo_dist.training.updater import TrainUpdater

KIND = sys.argv.pop(1)
forward = ClassificationTrainChain.forward
update_core = TrainUpdater.update_core

def spoilt(chain, *batch):
    loss = forward(chain, *batch)
    if launch.process_number() == 1 and chain.n_images_seen == 3 * 8:
        if KIND == 'gradient':
            # A root of 0: its value is 0, its gradient is not a number.
            loss = loss + F.sum(F.sqrt(0 * min(chain.namedparams())[1]))
        elif KIND == 'term':
            # As a sum that overflows: its gradient is finite.
            reporter.report({'term': np.float32('inf')}, chain)
        else:
            loss = loss * np.float32('nan')
            reporter.report({'loss': loss}, chain)
    return loss

def update_then_spoil(updater):
    update_core(updater)
    if updater.iteration == 2:  # counted after it
        for param in updater.get_optimizer('main').target.params():
            param.array[...] = np.inf

if KIND == 'state':
    TrainUpdater.update_core = update_then_spoil
else:
    ClassificationTrainChain.forward = spoilt

if __name__ == '__main__':
    launch.run_job(train.main)
"""


@pytest.mark.parametrize('kind, message', [
    ('loss', 'loss of its worker 0 is nan'),
    ('gradient', 'its own gradient is not'),
    ('term', 'term is inf'),
    ('state', 'loss or state is not finite')])
def test_bad_numbers_end_training_where_they_appear(train, undisturbed, tmp_path, kind, message):
    """In all processes; process, what, and rate are named. No bad gradient moves a weight."""
    (tmp_path / 'spoilt.py').write_text(SPOILT)
    done = train(tmp_path, n=2, program=('spoilt.py', kind))
    assert done.returncode == 3, done.stderr
    directory = tmp_path / 'results/quickstart_darknet19'
    status = json.loads((directory / 'status.json').read_text())
    assert status['state'] == 'diverged'
    for text in (message, 'at iteration 3 ', 'epoch ', 'learning rate 0.00', 'process 1 on '):
        assert text in status['reason'], status
    assert len(status['reason']) < 500, 'a network has hundreds of parameters'
    assert not (directory / 'snapshot_iter_3.npz').exists()
    if kind != 'state':
        assert 'process 0 on ' not in status['reason'], status
    if kind in ('loss', 'gradient'):
        kept = load(directory / 'diverged_after_iter_2.npz')
        before = load(undisturbed / 'snapshot_iter_2.npz')
        names = [name for name in kept if '/W' in name or '/gamma' in name or 'optimizer' in name]
        assert len(names) > 50
        for name in names:
            np.testing.assert_array_equal(kept[name], before[name], err_msg=name)


def test_a_second_job_ends_with_status_2(train, tmp_path):
    """It names who has the directory; nothing of the first job's is touched."""
    directory = tmp_path / 'results/quickstart_darknet19'
    first = RunLock(directory)
    first.acquire()
    done = train(tmp_path, '--resume', n=2)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert done.stderr.count(f'another job writes here: process {os.getpid()} on ') == 1
    assert os.listdir(directory) == ['.lock']
    first.release()


@pytest.fixture
def disk(tmp_path):
    """A disk of 600 kB, mounted where results go; only root may mount it."""
    (tmp_path / 'results').mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', str(tmp_path / 'results')]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('mounting a tmpfs needs root')
    yield tmp_path / 'results'
    subprocess.run(['umount', str(tmp_path / 'results')], check=True)


# A quota does not show in the room that a disk says it has.
NO_ROOM_SEEN = """
import collections, shutil
import yolo_dist
from yolo_dist import train
from yolo_dist.distributed import launch
shutil.disk_usage = lambda path: collections.namedtuple('usage', 'free')(10 ** 12)
if __name__ == '__main__':
    launch.run_job(train.main)
"""


def test_a_full_disk(train, disk):
    """Found before the first iteration; where it shows later: one line, and status `failed`."""
    done = train(disk.parent)
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr
    assert 'MB free' in done.stderr and 'iteration ' not in done.stdout
    shutil.rmtree(disk / 'quickstart_darknet19', ignore_errors=True)
    (disk.parent / 'quota.py').write_text(NO_ROOM_SEEN)
    done = train(disk.parent, program=('quota.py',))
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr
    assert 'No space left on device' in done.stderr and '.npz' in done.stderr
    directory = disk / 'quickstart_darknet19'
    assert json.loads((directory / 'status.json').read_text())['state'] == 'failed'
    assert not list(directory.glob('.*')), os.listdir(directory)


def test_a_read_only_directory(train, disk):
    """Found before data are read."""
    subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)
    done = train(disk.parent, root='nowhere')
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr
    assert 'Read-only file system' in done.stderr and 'nowhere' not in done.stderr


def test_numbers_are_printed_before_a_file_fails(mpi_job, undisturbed, disk):
    """A bad --json is found first; a read-only run directory is said after the numbers."""
    shutil.copytree(undisturbed, disk / 'run', ignore=shutil.ignore_patterns('snap*', '*best*'))
    done = mpi_job(1, 'yolo_dist.evaluate', disk / 'run', '--json', 'nowhere/a.json',
                   cwd=disk.parent)
    assert done.returncode == 2 and 'nowhere/a.json' in done.stderr, done.stderr
    assert 'top-1' not in done.stdout
    subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)
    numbers = disk.parent / 'numbers.json'
    done = mpi_job(1, 'yolo_dist.evaluate', disk / 'run', '--json', numbers, cwd=disk.parent)
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr
    assert 'top-1' in done.stdout and 'Read-only file system' in done.stderr
    assert 'top1_accuracy_percent' in json.loads(numbers.read_text())
