"""The main job under mpiexec: training, resume, evaluation, and how it fails."""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import signal

import numpy as np
import pytest
import yaml

from yolo_dist.config import load_config
from yolo_dist.datasets import DIGIT_NAMES, make_mini_imagenet
from yolo_dist.errors import InputError
from yolo_dist.planning.plan import plan
from yolo_dist.runs.records import read_record
from yolo_dist.runs.run_directory import snapshot_files
from yolo_dist.tasks import get_task

ROOT = pathlib.Path(__file__).resolve().parents[1]
START = ['-m', 'yolo_dist.train']
TINY = ['model.width=0.03', 'data.batch_size_per_worker=4', 'run.log_every_iterations=2',
        'run.evaluate_every_epochs=2', 'run.snapshot_every_epochs=1', 'schedule.epochs=4',
        'data.evaluation.batch_size=4']
CLASSIFICATION = [*TINY, 'data.input_size_px=32', 'data.evaluation.input_size_px=32']
DETECTION = [*TINY, 'data.input_size_px=64', 'data.evaluation.input_size_px=64',
             'data.evaluation.score_thresh=0.05', 'model.pretrained=null',
             'schedule.decay.at_epochs=[2.0, 3.0]',
             'data.multi_scale={sizes_px: [32, 64], every_iterations: 2, final_iterations: 2}']


def settings(overrides):
    return [argument for override in overrides for argument in ('--set', override)]


@pytest.fixture(scope='session')
def mini_imagenet(tmp_path_factory):
    path = tmp_path_factory.mktemp('data') / 'mini-imagenet'
    make_mini_imagenet(path, n_train=30, n_val=11, size_px=32)
    return path


def command_line(model, *arguments, results='results', root, set=()):
    """Arguments of `train` for a quickstart experiment made tiny."""
    tiny = DETECTION if model.startswith('yolo') else CLASSIFICATION
    return [str(ROOT / f'experiments/quickstart_{model}.yaml'), '--results', str(results),
            *arguments, *settings([*tiny, f'data.root={root}', *set])]


@pytest.fixture(scope='module')
def train_in(mpiexec, mpi_job, mini_imagenet, mini_voc):
    """Trains in a folder: ``train_in(folder, model, *arguments, n=2, set=())``.

    ``script`` stands for ``-m yolo_dist.train``. With it processes are started, without it those
    of the runs before are taken.
    """
    def train_in(folder, model, *arguments, n=2, script=None, **options):
        root = mini_voc if model.startswith('yolo') else mini_imagenet
        arguments = command_line(model, *arguments, root=root, **options)
        if script is None:
            return mpi_job(n, 'yolo_dist.train', *arguments, cwd=folder)
        return mpiexec(n, *script, *arguments, cwd=folder)
    return train_in


@pytest.fixture
def train(train_in, tmp_path):
    """Trains a quickstart experiment made tiny: ``train(model, *arguments, n=2, set=())``."""
    return functools.partial(train_in, tmp_path)


@pytest.fixture(scope='module')
def trained(train_in, tmp_path_factory):
    """A run that several tests look at, trained once: ``trained(model, *overrides)``.

    Returns its directory. A test that writes there takes a copy, by `take`.
    """
    @functools.cache
    def trained(model, *overrides):
        folder = tmp_path_factory.mktemp('trained')
        done = train_in(folder, model, set=overrides)
        assert done.returncode == 0, done.stderr
        return folder / f'results/quickstart_{model}'
    return trained


@pytest.fixture
def take(trained, tmp_path):
    """Copies such a run to where `train` finds it: ``take(model, *overrides)``."""
    def take(model, *overrides):
        return shutil.copytree(trained(model, *overrides),
                               tmp_path / f'results/quickstart_{model}')
    return take


def load(path):
    with np.load(path) as npz:
        return {name: npz[name] for name in npz.files}


def assert_equal(first, second):
    """Two npz files hold the same to the last bit, the clock left out."""
    first, second = load(first), load(second)
    assert first.keys() == second.keys()
    for name, value in first.items():
        if name.endswith('Snapshot/observation'):
            ours, theirs = (json.loads(bytes(text)) for text in (value, second[name]))
            assert {**ours, 'images_per_second': 0} == {**theirs, 'images_per_second': 0}
        # The log's state holds the seconds that have passed.
        elif 'elapsed_time' not in name and 'LogReport' not in name:
            np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_a_frozen_backbone_stays_and_is_frozen_in_a_resumed_run_too(train, tmp_path):
    """Its weights are the same at any rate as long as it is frozen, and are updated after."""
    directories = {}
    for name, *overrides in (
            ('whole', 'schedule.frozen_backbone_epochs=2'),
            ('parts', 'schedule.frozen_backbone_epochs=2', 'run.stop_after_epochs=1'),
            ('always', 'schedule.frozen_backbone_epochs=9'),
            ('always_slower', 'schedule.frozen_backbone_epochs=9', 'optimizer.base_lr=1.0e-7')):
        done = train('yolo_v3', results=name, set=overrides)
        assert done.returncode == 0, done.stderr
        directories[name] = tmp_path / name / 'quickstart_yolo_v3'
        assert 'backbone frozen for' in done.stdout
    resumed = train('yolo_v3', '--resume', results='parts',
                    set=['schedule.frozen_backbone_epochs=2'])
    assert resumed.returncode == 0, resumed.stderr
    whole, parts, always, slower = (directory / 'weights_final.npz'
                                    for directory in directories.values())
    assert_equal(whole, parts)
    whole, always, slower = map(load, (whole, always, slower))
    first, last = 'extractor/0/conv/W', 'extractor/30/conv/W'
    np.testing.assert_array_equal(always[first], slower[first])
    assert (always[first] != whole[first]).any() and (always[last] != slower[last]).any()


@pytest.mark.parametrize('model', ['darknet53', 'yolo_v3', 'darknet19', 'yolo_v2'])
def test_two_and_two_epochs_equal_four_to_the_last_bit(train, trained, tmp_path, model):
    """A run that was stopped and resumed ends where the uninterrupted one does."""
    first = train(model, results='parts', set=['run.stop_after_epochs=2'])
    assert first.returncode == 0, first.stderr
    parts = tmp_path / f'parts/quickstart_{model}'
    assert json.loads((parts / 'status.json').read_text())['state'] == 'stopped'
    second = train(model, '--resume', results='parts')
    assert second.returncode == 0, second.stderr
    assert 'resumed from' in second.stdout

    directory = trained(model)
    n_iterations = json.loads((directory / 'status.json').read_text())['iteration']
    assert_equal(directory / 'weights_final.npz', parts / 'weights_final.npz')
    snapshot = f'snapshot_iter_{n_iterations}.npz'
    assert_equal(directory / snapshot, parts / snapshot)
    logs = [json.loads((path / 'log.json').read_text()) for path in (directory, parts)]
    for log in logs:
        for entry in log:
            del entry['elapsed_time'], entry['images_per_second']
    assert logs[0] == logs[1]


def test_a_run_directory_holds_what_is_needed_to_run_it_again(trained, mpiexec, tmp_path):
    """Its config.yaml is an experiment that leads to the same weights."""
    directory = trained('darknet19')
    names = (directory / 'class_names.txt').read_text().split()
    assert names == sorted(DIGIT_NAMES)
    assert {path.name for path in directory.iterdir()} >= {
        'config.yaml', 'environment.json', 'status.json', 'log.json', 'curves.png',
        'weights_best.npz', 'weights_final.npz', 'evaluation.json'}
    environment = json.loads((directory / 'environment.json').read_text())[0]
    assert environment['packages']['chainer'] == '7.8.1'
    assert environment['git'] is None or environment['git']['commit']
    assert '--set' in environment['command']
    again = mpiexec(2, '-m', 'yolo_dist.train', directory / 'config.yaml', '--results', 'again',
                    cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert_equal(directory / 'weights_final.npz',
                 tmp_path / 'again/quickstart_darknet19/weights_final.npz')


def test_only_the_last_snapshots_are_kept(trained):
    """``run.keep_snapshots`` of them, and nothing unfinished."""
    directory = trained('darknet19')
    run = load_config(directory / 'config.yaml').run
    assert (run.keep_snapshots, run.snapshot_every_epochs) == (2, 1)  # of 4 epochs
    names = {path.name for path in directory.iterdir()}
    assert len([name for name in names if name.startswith('snapshot')]) == 2
    assert not [name for name in names if name.startswith(('.', 'tmp'))]


def test_a_done_run_is_not_run_again(train, take):
    """--resume does nothing then, and without it the directory is protected."""
    weights = take('darknet19') / 'weights_final.npz'
    written = weights.stat().st_mtime_ns
    again = train('darknet19', '--resume')
    assert again.returncode == 0 and 'done already' in again.stdout
    protected = train('darknet19')
    assert protected.returncode == 2
    assert protected.stderr.count('holds a run already (done)') == 1
    assert 'model.pretrained' in protected.stderr and '--resume' not in protected.stderr
    assert weights.stat().st_mtime_ns == written


def test_resume_refuses_another_configuration(train, take):
    """What is computed must not change between sessions; the error names the key."""
    take('darknet19', 'run.stop_after_epochs=1')
    other = train('darknet19', '--resume', set=['optimizer.base_lr=0.5'])
    assert other.returncode == 2
    assert other.stderr.count('another configuration') == 1
    assert 'optimizer.base_lr' in other.stderr and '0.5 now' in other.stderr


def test_a_run_that_is_past_its_stop_does_not_go_on(train, tmp_path):
    """Resumed with an earlier stop, a run makes no further update and stays whole."""
    assert train('darknet19', set=['run.stop_after_epochs=2.2']).returncode == 0
    status = tmp_path / 'results/quickstart_darknet19/status.json'
    before = json.loads(status.read_text())
    done = train('darknet19', '--resume', set=['run.stop_after_epochs=1'])
    assert done.returncode == 0, done.stderr
    after = json.loads(status.read_text())
    assert (after['state'], after['iteration']) == ('stopped', before['iteration'])


@pytest.mark.parametrize('model', ['darknet53', 'yolo_v3'])
def test_evaluation_does_not_depend_on_the_number_of_processes(take, mpi_job, tmp_path, model):
    """1, 2 and 3 processes, weights and snapshot, all say what training said at its end."""
    directory = take(model)
    final = json.loads((directory / 'status.json').read_text())['metrics']
    for n, target in ((1, directory), (2, directory), (3, snapshot_files(directory)[0])):
        done = mpi_job(n, 'yolo_dist.evaluate', target, '--json', 'out.json', cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        metrics = json.loads((tmp_path / 'out.json').read_text())
        for name, value in final.items():
            assert metrics[name.removeprefix('val/')] == pytest.approx(value, abs=1e-4)
        assert metrics['n_images'] == (7 if model == 'yolo_v3' else 11)
    assert (directory / 'evaluation/examples.png').stat().st_size > 10_000
    assert 'mAP' in done.stdout if model == 'yolo_v3' else 'top-1' in done.stdout


def test_a_detector_starts_from_a_classifier(train, take, tmp_path):
    """``{results}`` leads to the classifier's run, and its convolutions are taken over."""
    classifier = load(take('darknet19') / 'weights_final.npz')
    pretrained = ['model.pretrained="{results}/quickstart_darknet19/weights_final.npz"',
                  'optimizer.base_lr=1.0e-12', 'run.stop_after_epochs=0.5',
                  'optimizer.weight_decay=0.0']
    detector = train('yolo_v2', set=pretrained)
    assert detector.returncode == 0, detector.stderr
    snapshot = load(next((tmp_path / 'results/quickstart_yolo_v2').glob('snapshot_iter_*.npz')))
    for name in ('extractor/0/conv/W', 'extractor/17/conv/W', 'extractor/17/bn/gamma'):
        np.testing.assert_allclose(snapshot[f'updater/model:main/model/{name}'],
                                   classifier[name], rtol=1e-5)


def test_two_processes_are_one_with_the_whole_batch(train_in, tmp_path):
    """With fixed batch statistics 2 x 4 images give the update of 1 x 8; live ones do not.

    The averaged gradient differs from the whole batch's by rounding alone, so the
    weights after 4 epochs do too; each worker's own statistics are a real difference.
    """
    weights = {}
    for n in (1, 2):
        folder = tmp_path / str(n)
        folder.mkdir()
        done = train_in(folder, 'darknet19', n=n,
                        script=[ROOT / 'tests/train_with_batch_statistics.py'],
                        set=[f'workers={n}', f'data.batch_size_per_worker={8 // n}',
                             'optimizer.base_lr=0.01', 'optimizer.base_lr_batch_size=8'])
        assert done.returncode == 0, done.stderr
        for bn in ('fixed', 'live'):
            weights[bn, n] = load(folder / bn / 'quickstart_darknet19/weights_final.npz')
    names = [name for name in weights['fixed', 1] if name.endswith('conv/W')]
    assert len(names) == 18

    def distance(bn):
        return max(np.abs(weights[bn, 1][name] - weights[bn, 2][name]).max() for name in names)

    moved = max(np.abs(weights['fixed', 1][name] - weights['live', 1][name]).max()
                for name in names)
    assert distance('fixed') < 1e-5 < 1e-3 < distance('live')
    assert moved > 1e-3


def farthest(first, second, names):
    """Largest difference of two npz files, as a share of each array's largest number."""
    first, second = load(first), load(second)
    assert first.keys() == second.keys()
    return max(np.abs(first[name] - second[name]).max() / np.abs(first[name]).max()
               for name in first if name.endswith(names))


@contextlib.contextmanager
def on_cores(n):
    """Lets what is started inside see at most ``n`` cores: a thread for each of n processes."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:n])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize('model, dtype, numbers', [
    ('darknet19', 'float32', (2, 8)), ('yolo_v3', 'float16', (4,))])
def test_eight_workers_are_the_same_on_any_number_of_processes(train, tmp_path, model, dtype,
                                                               numbers):
    """k = 8 on P = 1, 2, 4, 8: weights, statistics, metrics agree to 1e-4 after a few updates.

    Each process has one thread: products by two threads differ in their last digit from those
    by one, and networks of this depth amplify that (0.006 with OpenBLAS's Haswell kernels). Half
    as many workers with twice the images are the same batch and another run.
    """
    def run(n, n_workers=8):
        with on_cores(n):
            done = train(model, n=n, script=START, results=f'{n}of{n_workers}', set=[
                f'workers={n_workers}', f'data.batch_size_per_worker={16 // n_workers}',
                f'communicator.allreduce_grad_dtype={dtype}', 'schedule.epochs=1.5',
                *(['data.multi_scale=null'] if model == 'yolo_v3' else [])])
        assert done.returncode == 0, done.stderr
        assert f'k = {n_workers} on {n} processes' in done.stdout
        directory = tmp_path / f'{n}of{n_workers}/quickstart_{model}'
        log = json.loads((directory / 'log.json').read_text())
        return directory / 'weights_final.npz', log[-1]

    weights, last = run(1)
    assert last['iteration'] >= 2
    names = ('W', 'gamma', 'avg_mean', 'avg_var')
    for n in numbers:
        others, other_last = run(n)
        assert farthest(weights, others, names) < 1e-4
        for key, value in last.items():
            if key.startswith(('val/', 'train/')) or key.endswith('_elements'):
                assert other_last[key] == pytest.approx(value, rel=1e-4), key
    if model == 'darknet19':
        assert farthest(weights, run(2, n_workers=4)[0], names) > 1e-3


def test_a_snapshot_goes_on_with_another_number_of_processes(train, tmp_path):
    """4 workers: two epochs on 4 processes, the rest on 1, end where 2 processes end."""
    overrides = ['workers=4', 'data.batch_size_per_worker=2', 'schedule.epochs=2']
    assert train('darknet19', n=2, results='whole', set=overrides).returncode == 0
    first = train('darknet19', n=4, results='parts',
                  set=[*overrides, 'run.stop_after_epochs=1'])
    assert first.returncode == 0, first.stderr
    second = train('darknet19', '--resume', n=1, results='parts', set=overrides)
    assert 'resumed from' in second.stdout
    ends = [tmp_path / f'{name}/quickstart_darknet19/weights_final.npz'
            for name in ('whole', 'parts')]
    assert farthest(*ends, ('W', 'gamma', 'avg_mean', 'avg_var')) < 1e-3


def test_128_workers_of_table_2_on_one_process(mpi_job, tmp_path, mini_voc):
    """The log of the paper's largest run says k, P, the global batch and the rates."""
    overrides = [f'data.root={mini_voc}', 'data.train=[VOC2007/trainval]', 'model.n_class=10',
                 'data.class_names=[zero, one, two, three, four, five, six, seven, eight, nine]',
                 'data.batch_size_per_worker=1', 'data.input_size_px=32', 'model.width=0.03',
                 'data.evaluation.input_size_px=32', 'model.pretrained=null',
                 'data.evaluation.batch_size=4', 'run.log_every_iterations=1']
    too_small = mpi_job(1, 'yolo_dist.train', ROOT / 'experiments/table2.yaml',
                        '--run', 'yolo_v3_k128', *settings(overrides), cwd=tmp_path)
    assert too_small.returncode == 2
    assert '128 x 1 = 128 images, but the training set has' in too_small.stderr
    overrides += ['data.n_synthetic_examples=128', 'schedule.epochs=1',
                  'schedule.warmup_epochs=0.8', 'data.root=nowhere']
    done = mpi_job(1, 'yolo_dist.train', ROOT / 'experiments/table2.yaml',
                   '--run', 'yolo_v3_k128', *settings(overrides), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'k = 128 on 1 processes' in done.stdout
    assert 'k n = 128 x 1 = 128 images' in done.stdout
    assert 'scaled 0.' in done.stdout
    status = json.loads(
        (tmp_path / 'results/table2/yolo_v3_k128/seed_0/status.json').read_text())
    assert (status['n_workers'], status['n_processes'], status['state']) == (128, 1, 'done')


@pytest.mark.parametrize('overrides', [
    ['optimizer.weight_decay=0.0',
     'optimizer.lars={trust_coefficient: 0.01, weight_decay: 0.0005}'],
    ['model.dtype=mixed16', 'optimizer.loss_scale=128.0'],
    ['communicator.multi_node_bn=true'],
], ids=['lars', 'mixed16', 'multi_node_bn'])
def test_a_variant_trains_and_differs_from_its_twin(train, trained, tmp_path, overrides):
    """Each switch does something, and what it does stays finite."""
    done = train('darknet19', results='variant', set=['schedule.epochs=1', *overrides])
    assert done.returncode == 0, done.stderr
    twin, variant = (load(directory / 'weights_final.npz') for directory in (
        trained('darknet19', 'schedule.epochs=1'), tmp_path / 'variant/quickstart_darknet19'))
    for name, value in variant.items():
        assert np.isfinite(value).all(), name
        assert value.dtype == twin[name].dtype, name
    assert any((variant[name] != twin[name]).any() for name in twin if name.endswith('conv/W'))


def test_dynamic_loss_scaling_survives_a_resume(train, tmp_path):
    """The scale grows from 1 by doubling; a resumed run goes on with it, to the last bit."""
    overrides = ['model.dtype=mixed16', 'optimizer.loss_scale=dynamic', 'schedule.epochs=2',
                 'communicator.allreduce_grad_dtype=float16']
    assert train('darknet19', results='whole', set=overrides).returncode == 0
    assert train('darknet19', results='parts',
                 set=[*overrides, 'run.stop_after_epochs=1']).returncode == 0
    second = train('darknet19', '--resume', results='parts', set=overrides)
    assert 'resumed from' in second.stdout
    ends = [snapshot_files(tmp_path / f'{name}/quickstart_darknet19')[0]
            for name in ('whole', 'parts')]
    assert_equal(*ends)
    assert load(ends[0])['updater/loss_scale'] > 2


@pytest.mark.parametrize('number', [signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_ends_the_sitting_with_a_snapshot(train, trained, tmp_path, number):
    """One process is asked to stop: all stop after the same iteration, and go on later."""
    script = tmp_path / 'train_until_signalled.py'
    script.write_text(SIGNALLED.replace('NUMBER', str(int(number))))
    first = train('darknet19', results='parts', script=[script])
    assert first.returncode == 75, first.stderr
    directory = tmp_path / 'parts/quickstart_darknet19'
    status = json.loads((directory / 'status.json').read_text())
    assert (status['state'], status['iteration']) == ('stopped', 3)
    assert snapshot_files(directory)[0].name == 'snapshot_iter_3.npz'
    second = train('darknet19', '--resume', results='parts')
    assert second.returncode == 0, second.stderr
    ends = [path / 'weights_final.npz' for path in (trained('darknet19'), directory)]
    assert farthest(*ends, ('W', 'gamma', 'avg_mean', 'avg_var')) < 1e-5


# The second of two processes sends itself a signal during the third iteration.
SIGNALLED = """
import os
import yolo_dist
from yolo_dist import train
from yolo_dist.distributed import launch
from yolo_dist.training import updater

class Signalled(updater.TrainUpdater):
    def update_core(self):
        super().update_core()
        if self.iteration == 2 and launch.process_number() == 1:
            os.kill(os.getpid(), NUMBER)

if __name__ == '__main__':
    train.TrainUpdater = Signalled
    launch.run_job(train.main)
"""


def test_a_loader_process_gives_the_same_run(train, trained, tmp_path):
    """Reading ahead in processes changes no bit."""
    without = trained('yolo_v3')
    assert load_config(without / 'config.yaml').data.n_loader_processes == 0
    done = train('yolo_v3', script=START, set=['data.n_loader_processes=2'])
    assert done.returncode == 0, done.stderr
    assert 'Warning' not in done.stderr
    directories = without, tmp_path / 'results/quickstart_yolo_v3'
    assert_equal(*(snapshot_files(directory)[0] for directory in directories))


# How it fails.

def test_an_error_is_said_once_and_nothing_is_written(train, tmp_path):
    """It ends all processes with one message and status 2."""
    done = train('darknet53', n=3, set=['workers=8'])
    assert done.returncode == 2
    assert done.stderr.count('launched with 3 processes, but 8 workers cannot be divided among 3; '
                             'use a divisor of 8: 1, 2, 4, 8') == 1, done.stderr
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'results').exists()


ERRORS = {
    'needs a process for each worker': ['workers=4', 'communicator.multi_node_bn=true'],
    'multi_node_bn squares': ['communicator.multi_node_bn=true', 'model.dtype=mixed16'],
    'communicator.double_buffering: found true': ['communicator.double_buffering=true'],
    'weight decay is given twice': [
        'optimizer.lars={trust_coefficient: 0.001, weight_decay: 0.0005}'],
    'give it with model.dtype mixed16': ['optimizer.loss_scale=dynamic'],
    'workers x data.batch_size_per_worker = 2 x 16 = 32': ['data.batch_size_per_worker=16'],
    'model.n_class: found 7': ['model.n_class=7'],
    'CuPy finds no GPU': ['communicator.name=pure_nccl'],
    'nowhere': ['data.root=nowhere'],
    'nothing': ['data.train=nothing'],
    'nowhere.npz': ['model.pretrained=nowhere.npz'],
    'did you mean width?': ['model.widht=1'],
}


@pytest.fixture(scope='module')
def ends(mpiexec, tmp_path_factory, mini_imagenet):
    """Makes each of the mistakes in one start of MPI.

    Returns:
        dict: From the message to status and errors of each process, and the results directory.
    """
    folder = tmp_path_factory.mktemp('errors')
    directories = [folder / f'results{i}' for i in range(len(ERRORS))]
    (folder / 'command_lines.json').write_text(json.dumps([
        command_line('darknet53', results=directory, root=mini_imagenet, set=overrides)
        for directory, overrides in zip(directories, ERRORS.values())]))
    done = mpiexec(2, ROOT / 'tests/train_rows.py', 'command_lines.json', 'outcomes', cwd=folder,
                   timeout=300)
    outcomes = (folder / 'outcomes').read_text().splitlines()
    assert len(outcomes) == len(ERRORS), done.stderr
    return {message: (json.loads(outcome), directory)
            for message, outcome, directory in zip(ERRORS, outcomes, directories)}


@pytest.mark.parametrize('message', ERRORS)
def test_a_mistake_is_said_once_and_nothing_is_written(ends, message):
    """Whatever is wrong at the start ends all processes with one message and status 2."""
    outcome, directory = ends[message]
    assert [status for status, _ in outcome] == [2, 2]
    printed = ''.join(errors for _, errors in outcome)
    assert printed.startswith('error: ') and printed.count(message) == 1, printed
    assert 'Traceback' not in printed
    assert not directory.exists()


@pytest.mark.parametrize('n_loaders', [0, 1])
def test_a_broken_image_ends_the_job_and_keeps_the_snapshots(train, take, tmp_path, mini_imagenet,
                                                             n_loaders):
    """A truncated file is found before the run goes on: it stays as it was stopped."""
    root = tmp_path / 'broken'
    shutil.copytree(mini_imagenet, root)
    directory = take('darknet19', 'run.stop_after_epochs=1')
    image = sorted(root.glob('train/*/*.JPEG'))[7]
    image.write_bytes(image.read_bytes()[:400])
    done = train('darknet19', '--resume',
                 set=[f'data.root={root}', f'data.n_loader_processes={n_loaders}'])
    assert done.returncode == 2
    assert image.name in done.stderr and 'Traceback' not in done.stderr
    assert json.loads((directory / 'status.json').read_text())['state'] == 'stopped'
    assert list(directory.glob('snapshot_iter_*.npz'))


def test_a_diverged_run_says_so(train, tmp_path):
    """An infinite loss is a result: status 3, the state is kept, no metrics are claimed."""
    done = train('darknet19', set=['optimizer.base_lr=1.0e+30'])
    assert done.returncode == 3
    status = json.loads((tmp_path / 'results/quickstart_darknet19/status.json').read_text())
    assert status['state'] == 'diverged' and 'iteration' in status['reason']
    assert 'metrics' not in status


def test_a_voc_style_set_of_ones_own_needs_no_code(mpiexec, tmp_path, mini_voc):
    """Other class names, other folder names, one YAML file: it trains."""
    shutil.copytree(mini_voc / 'VOC2007', tmp_path / 'zoo/VOC2031')
    for annotation in (tmp_path / 'zoo/VOC2031/Annotations').glob('*.xml'):
        text = annotation.read_text()
        for name in ('one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'):
            text = text.replace(f'<name>{name}</name>', '<name>zero</name>')
        annotation.write_text(text.replace('<name>zero</name>', '<name>okapi</name>'))
    content = yaml.safe_load((ROOT / 'experiments/quickstart_yolo_v3.yaml').read_text())
    content['name'] = 'okapis'
    content['data'] |= {'root': 'zoo', 'train': ['VOC2031/trainval'], 'val': ['VOC2031/test'],
                        'class_names': ['okapi'], 'input_size_px': 64}
    content['model'] |= {'n_class': 1, 'width': 0.03, 'pretrained': None}
    content['schedule'] |= {'epochs': 1, 'warmup_epochs': 0.5}
    (tmp_path / 'okapis.yaml').write_text(yaml.safe_dump(content))
    done = mpiexec(2, '-m', 'yolo_dist.train', 'okapis.yaml', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'val mAP' in done.stdout


def test_a_run_keeps_the_anchors_that_it_fitted(train, tmp_path):
    """`fit` is resolved once, for all processes; the run's own file, a resume and the report
    take the anchors from then on."""
    fit = ['model.anchors=fit']
    first = train('yolo_v3', set=[*fit, 'schedule.epochs=3', 'run.stop_after_epochs=1'])
    assert first.returncode == 0, first.stderr
    assert first.stdout.count('anchors fitted to ') == 1
    directory = tmp_path / 'results/quickstart_yolo_v3'
    anchors = load_config(directory / 'config.yaml').model.anchors
    assert np.shape(anchors) == (3, 3, 2)
    assert f'{anchors}' in first.stdout

    second = train('yolo_v3', '--resume', n=1, set=[*fit, 'schedule.epochs=3'])
    assert second.returncode == 0, second.stderr
    assert 'resumed from' in second.stdout and 'anchors fitted' not in second.stdout
    assert load_config(directory / 'config.yaml').model.anchors == anchors
    planned = load_config(directory / 'config.yaml', overrides=fit)
    assert read_record(directory, planned).changed == {}
    given = load_config(directory / 'config.yaml', overrides=['model.anchors=null'])
    assert 'model.anchors' in read_record(directory, given).changed


def test_anchors_to_be_fitted_need_a_training_set():
    """The plan counts without them; a network is not built from the word."""
    config = load_config(ROOT / 'experiments/quickstart_yolo_v3.yaml', overrides=[
        'model.anchors=fit', 'model.width=0.05', 'model.pretrained=null',
        'data.n_synthetic_examples=64'])
    assert plan(config).n_parameters > 0
    with pytest.raises(InputError, match='model.anchors: found fit'):
        get_task(config).build_model(config)
    with pytest.raises(InputError, match="model.anchors: found 'fitted'; expected a list"):
        load_config(ROOT / 'experiments/quickstart_yolo_v3.yaml',
                    overrides=['model.anchors=fitted'])
