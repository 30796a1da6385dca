"""Processes that differ in anything that computes are refused before the first iteration."""
import json
import pathlib
import platform
import shutil

import numpy as np
import pytest

from yolo_dist.datasets import make_mini_imagenet

EXPERIMENT = pathlib.Path(__file__).resolve().parents[2] / 'experiments/quickstart_darknet19.yaml'

# The second process is given another command line, or another world to look at.
PROGRAM = """
import contextlib, functools, io, json, sys
import yolo_dist
from yolo_dist import train
from yolo_dist.distributed import communicator, launch
from yolo_dist.runs import snapshots

ANOTHER = {
    'code': (train, 'software', lambda: {'code of yolo_dist': 'another'}),
    'gpu': (communicator, 'n_gpus', lambda: 1),
    'older': (train, 'describe_npz', lambda path: snapshots.describe_npz(sys.argv[2])),
    'none': (train, 'describe_npz', lambda path: snapshots.describe_npz('nowhere.npz')),
}

if __name__ == '__main__':
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    for kind, command_lines in cases:
        rank = launch.process_number()
        saved = None
        if rank == 1 and kind in ANOTHER:
            place, name, function = ANOTHER[kind]
            saved = getattr(place, name)
            setattr(place, name, function)
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            try:
                launch.run_job(functools.partial(train.main, command_lines[rank]))
            except SystemExit as end:
                status = end.code
        if saved:
            setattr(place, name, saved)
        launch.tell_all(None)
        print('outcome', json.dumps([kind, rank, status, errors.getvalue()]), flush=True)
"""

# What differs -> the settings of the second process; the message names the key.
KEYS = {'optimizer.base_lr': 0.5, 'run.seed': 7, 'workers': 4, 'model.width': 0.06,
        'data.batch_size_per_worker': 2, 'model.dtype': 'tf32', 'run.log_every_iterations': 1,
        'schedule.epochs': 3.0}
MESSAGES = {'code': 'code of yolo_dist: ', 'gpu': 'communicator of this host: naive on ',
            'fewer': 'training set: 30 images', 'swapped': 'training set: 30 images',
            'held-out': 'held-out set: 11 images', 'older': 'snapshot: snapshot_iter_4.npz ',
            'none': 'snapshot: snapshot_iter_4.npz ',
            **{key: f'{key}: ' for key in KEYS}}


@pytest.fixture(scope='module')
def outcomes(mpiexec, tmp_path_factory):
    """All cases in one start of MPI: ``{kind: [(status, errors) of each process]}``."""
    folder = tmp_path_factory.mktemp('agreement')
    make_mini_imagenet(folder / 'set', n_train=30, n_val=11, size_px=32)
    for kind in ('fewer', 'swapped', 'held-out'):
        shutil.copytree(folder / 'set', folder / kind)
    one, two = sorted((folder / 'swapped/train').iterdir())[:2]
    one.rename(folder / 'aside')
    two.rename(one)
    (folder / 'aside').rename(two)
    for kind, split in (('fewer', 'train'), ('held-out', 'val')):
        for path in sorted((folder / kind / split).glob('*/*'))[::4]:
            path.unlink()

    def command_line(*arguments, root='set', **changes):
        settings = {'model.width': 0.03, 'data.batch_size_per_worker': 4, 'schedule.epochs': 2.0,
                    'data.input_size_px': 32, 'data.evaluation.input_size_px': 32,
                    'run.stop_after_epochs': 1, 'run.keep_snapshots': 2,
                    'data.root': folder / root, **changes}
        return [str(EXPERIMENT), '--results', str(folder / 'results'), *arguments, *(
            text for key, value in settings.items() for text in ('--set', f'{key}={value}'))]
    alike = command_line()
    again = command_line('--resume', **{'run.stop_after_epochs': 2})
    cases = [(key, (alike, command_line(**{key: value}))) for key, value in KEYS.items()]
    cases += [(kind, (alike, alike)) for kind in ('code', 'gpu')]
    cases += [(kind, (alike, command_line(root=kind)))
              for kind in ('fewer', 'swapped', 'held-out')]
    cases += [('alike', (alike, alike)), ('none', (again, again)), ('older', (again, again)),
              ('other folder', (again, command_line('--resume', root='copy',
                                                    **{'run.stop_after_epochs': 2})))]
    shutil.copytree(folder / 'set', folder / 'copy')
    (folder / 'cases.json').write_text(json.dumps(cases))
    (folder / 'disagree.py').write_text(PROGRAM)
    np.savez(folder / 'older.npz', a=0)
    done = mpiexec(2, 'disagree.py', 'cases.json', 'older.npz', cwd=folder, timeout=300)
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith('outcome '):
            kind, rank, status, errors = json.loads(line.removeprefix('outcome '))
            found.setdefault(kind, {})[rank] = status, errors
    assert len(found) == len(cases), done.stderr + done.stdout
    return found


@pytest.mark.parametrize('kind', MESSAGES)
def test_a_difference_is_refused_and_named(outcomes, kind):
    """Both processes end with status 2; key, values, hosts and processes are in the message."""
    assert [outcomes[kind][rank][0] for rank in (0, 1)] == [2, 2], outcomes[kind]
    errors = outcomes[kind][0][1] + outcomes[kind][1][1]
    assert errors.count('do not agree') == 1 and MESSAGES[kind] in errors, errors
    host = platform.node()
    assert f'on {host} (process 0); ' in errors and f'on {host} (process 1)' in errors, errors


@pytest.mark.parametrize('kind', ['alike', 'other folder'])
def test_what_agrees_trains(outcomes, kind):
    """The negative control: the same, and the same data at another place of a host."""
    assert [outcomes[kind][rank][0] for rank in (0, 1)] == [0, 0], outcomes[kind]
