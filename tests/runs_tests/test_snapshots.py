"""Snapshots: nothing in them is executed, damage is passed over, another run's is refused."""
import contextlib
import io
import pathlib
import pickle
import zipfile

import chainer
import numpy as np
import pytest
from chainer import training

from yolo_dist.config import load_config
from yolo_dist.errors import InputError
from yolo_dist.links import read_npz
from yolo_dist.links.weights_file import _nones
from yolo_dist.runs.snapshots import find_whole_snapshot, identity, load_snapshot
from yolo_dist.training.extensions import RunIdentity

RUN = pathlib.Path(__file__).resolve().parents[2] / 'experiments/quickstart_darknet19.yaml'


class Trap:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


class Model(chainer.Chain):
    def __init__(self, n=5):
        super().__init__()
        with self.init_scope():
            self.w = chainer.Parameter(np.arange(n, dtype=np.float32))
        self.add_persistent('nothing', None)


def create_trainer(config, n=5):
    model = Model(n)
    optimizer = chainer.optimizers.MomentumSGD(lr=0.).setup(model)
    iterator = chainer.iterators.SerialIterator([np.float32(0)], 1)
    updater = training.updaters.StandardUpdater(
        iterator, optimizer, loss_func=lambda x: chainer.functions.sum(model.w ** 2))
    trainer = training.Trainer(updater)
    trainer.extend(RunIdentity(identity(config)))
    trainer.extend(training.extensions.LogReport())
    return trainer


@pytest.fixture
def config():
    return load_config(RUN)


@pytest.fixture
def directory(tmp_path, config):
    """A run directory with snapshots of iterations 3, 20 and 100."""
    for iteration in (3, 20, 100):
        trainer = create_trainer(config)
        trainer.updater.update()
        trainer.updater.iteration, trainer._start_at = iteration, 0.  # as in a run
        chainer.serializers.save_npz(tmp_path / f'snapshot_iter_{iteration}.npz', trainer)
    return tmp_path


def test_a_snapshot_is_read_back(directory, config):
    """Whole snapshots, with the None values that Chainer pickles, load as with Chainer."""
    path, passed_over = find_whole_snapshot(directory, config)
    assert (path.name, passed_over) == ('snapshot_iter_100.npz', [])
    trainer = create_trainer(config)
    trainer.updater.get_optimizer('main').target.w.array[...] = 0
    load_snapshot(path, trainer)
    assert trainer.updater.iteration == 100
    np.testing.assert_array_equal(
        trainer.updater.get_optimizer('main').target.w.array, np.arange(5))
    with np.load(path, allow_pickle=True) as npz:
        assert any(npz[name].dtype == object for name in npz.files)  # the case does occur


@pytest.mark.parametrize('is_scalar', [True, False])
def test_nothing_is_unpickled(directory, config, is_scalar):
    """A pickled object in a snapshot does not run; with Chainer's own reader it does."""
    mark = directory / 'executed'
    poison = np.empty((), object) if is_scalar else np.empty(2, object)
    poison[...] = Trap(mark)
    arrays = read_npz(directory / 'snapshot_iter_100.npz')
    np.savez(directory / 'snapshot_iter_100.npz', **arrays | {'updater/iteration': poison})
    with pytest.raises(InputError, match='snapshot_iter_100.npz.*updater/iteration'):
        load_snapshot(directory / 'snapshot_iter_100.npz', create_trainer(config))
    path, passed_over = find_whole_snapshot(directory, config)
    assert path.name == 'snapshot_iter_20.npz' and len(passed_over) == 1
    assert not mark.exists()
    with contextlib.suppress(TypeError):  # after it ran, it is no number
        chainer.serializers.load_npz(directory / 'snapshot_iter_100.npz', create_trainer(config))
    assert mark.exists()  # negative control: the trap works


def test_none_as_either_numpy_writes_it():
    """Snapshots written under NumPy 1 hold None under another module name."""
    payloads = [data[data.index(b'\x80\x04'):] for data in _nones()]
    assert len(payloads) == 2
    for payload in payloads:
        array = pickle.loads(payload)
        assert array.shape == () and array[()] is None


def cut(data):
    return data[:len(data) // 2]


def flip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = archive.getinfo('updater/model:main/w.npy')
    at = member.header_offset + 30 + len(member.filename) + member.compress_size // 2 + 20
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


@pytest.mark.parametrize('damage', [cut, flip, lambda data: b'', lambda data: b'<html>'])
def test_the_latest_whole_one_is_used(directory, config, damage):
    """What is passed over is said, by file; where nothing is whole, that is an error."""
    def spoil(iteration):
        path = directory / f'snapshot_iter_{iteration}.npz'
        path.write_bytes(damage(path.read_bytes()))
    spoil(100)
    path, passed_over = find_whole_snapshot(directory, config)
    assert path.name == 'snapshot_iter_20.npz'
    assert len(passed_over) == 1 and 'snapshot_iter_100.npz' in passed_over[0]
    spoil(20)
    spoil(3)
    with pytest.raises(InputError, match='no snapshot is whole') as caught:
        find_whole_snapshot(directory, config)
    assert str(caught.value).count('snapshot_iter_') >= 3


def test_a_run_without_snapshots_starts_from_nothing(tmp_path, config):
    """There is nothing to go on from, and nothing was lost."""
    assert find_whole_snapshot(tmp_path, config) == (None, [])


@pytest.mark.parametrize('key, value', [('run.seed', 7), ('model.width', 0.5),
                                        ('optimizer.momentum', 0.8)])
def test_a_snapshot_of_another_run_is_refused(directory, key, value):
    """The same shapes do not make the same run; the difference is named."""
    other = load_config(RUN, overrides=[f'{key}={value}'])
    with pytest.raises(InputError, match=f'another run(.|\n)*{key}: .* {value}'):
        find_whole_snapshot(directory, other)


def test_what_does_not_compute_may_change(directory):
    """A run goes on with other places and other ways to look at it."""
    other = load_config(RUN, overrides=['data.root=elsewhere', 'run.keep_snapshots=7'])
    assert find_whole_snapshot(directory, other)[0].name == 'snapshot_iter_100.npz'


def test_a_snapshot_of_before_there_were_identities_resumes(directory, config):
    """Runs of version 0.1 go on."""
    path = directory / 'snapshot_iter_100.npz'
    arrays = {name: array for name, array in read_npz(path).items() if 'Identity' not in name}
    np.savez(path, **arrays)
    assert find_whole_snapshot(directory, config)[0] == path
    load_snapshot(path, create_trainer(config))


def test_arrays_that_do_not_fit_are_named(directory, config):
    """Another width or a missing array is no traceback."""
    path = directory / 'snapshot_iter_100.npz'
    with pytest.raises(InputError, match='not have the shape'):
        load_snapshot(path, create_trainer(config, n=6))
    arrays = {name: array for name, array in read_npz(path).items()
              if not name.endswith('model:main/w')}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match='has no array .*model:main/w'):
        load_snapshot(path, create_trainer(config))


def test_a_header_that_claims_more_than_there_is_memory(tmp_path):
    """10^13 numbers are an error, not a crash."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': '<f8', 'fortran_order': False, 'shape': (10 ** 13,)})
    with zipfile.ZipFile(tmp_path / 'huge.npz', 'w') as archive:
        archive.writestr('w.npy', header.getvalue() + b'\0' * 64)
    with pytest.raises(InputError, match='huge.npz: cannot be read as npz'):
        read_npz(tmp_path / 'huge.npz')
