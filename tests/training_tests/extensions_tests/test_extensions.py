"""What each Trainer extension does beside the updates."""

import io
import types

import chainer
import numpy as np
import pytest

from yolo_dist import links
from yolo_dist.config.sections import Constant
from yolo_dist.errors import TrainingDiverged
from yolo_dist.training.extensions import (
    BestWeights,
    Console,
    Curves,
    Evaluation,
    FrozenBackbone,
    LearningRate,
    ReportMean,
)
from yolo_dist.training.schedules import Schedule
from yolo_dist.training.trainer import any_of, every_epochs, every_iterations


class OtherWorker:
    """A communicator of two workers, of which the other one reports ``values``."""

    size = 2

    def __init__(self, values):
        self._values = np.array(values)

    def allreduce_obj(self, array):
        return array + self._values


def create_trainer(iteration=1, *, images_per_iteration=8, n_examples=20, observation=None):
    """A trainer as far as extensions look at it."""
    optimizer = types.SimpleNamespace(lr=None)
    updater = types.SimpleNamespace(
        iteration=iteration, global_batch_size=images_per_iteration, update_began_at=0.0,
        epoch_detail=iteration * images_per_iteration / n_examples,
        previous_epoch_detail=(iteration - 1) * images_per_iteration / n_examples,
        get_optimizer=lambda name: optimizer)
    return types.SimpleNamespace(updater=updater, observation=observation or {})


def test_loss_is_the_mean_over_workers_and_iterations():
    """(1 + 3) / 2 of this worker and 6 of the other make 4; raw values are taken out."""
    extension = ReportMean(OtherWorker([6.0]), every_iterations(2))
    loss = chainer.Variable(np.array(1, np.float32))
    trainer = create_trainer(1, observation={'main/loss': loss})
    extension(trainer)
    assert trainer.observation == {}
    trainer = create_trainer(2, observation={'main/loss': np.float32(3)})
    extension(trainer)
    assert trainer.observation['train/loss'] == pytest.approx(4)
    assert 'main/loss' not in trainer.observation
    assert trainer.observation['epoch_detail'] == pytest.approx(16 / 20)
    assert trainer.observation['images_per_second'] > 0


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_loss_of_another_worker_that_is_not_finite_ends_training(value):
    """All workers learn of it, since they all see the mean."""
    extension = ReportMean(OtherWorker([value]), every_iterations(1))
    with pytest.raises(TrainingDiverged, match='loss is .* at iteration 1'):
        extension(create_trainer(1, observation={'main/loss': np.float32(1)}))


def test_learning_rate_is_set_before_the_first_update_and_after_each():
    """Update i has the rate of the position where it begins; the log has the rate used."""
    schedule = Schedule(0.1, 1.1, 10, 'gradual', 1, Constant(kind='constant'))
    extension = LearningRate(schedule, every_iterations(1))
    trainer = create_trainer(0)
    extension.initialize(trainer)
    optimizer = trainer.updater.get_optimizer('main')
    assert optimizer.lr == pytest.approx(0.1)
    trainer.updater.iteration, trainer.updater.epoch_detail = 1, 0.4
    extension(trainer)
    assert trainer.observation['lr'] == pytest.approx(0.1)
    assert optimizer.lr == pytest.approx(0.5)


def test_a_frozen_backbone_is_left_out_of_the_updates_that_begin_before_its_end():
    """Only what belongs to the classifier's network, also right after a resume."""
    model = links.YOLOv2(3, width=.03)
    chainer.optimizers.SGD().setup(model)
    n = model.extractor.n_backbone_links
    parts = model.extractor[:n], model.extractor[n:]

    def is_updated():
        inside, outside = ({param.update_rule.enabled for link in part for param in link.params()}
                           for part in parts)
        assert outside == {True}
        is_updated, = inside
        return is_updated
    extension = FrozenBackbone(model, 1.)
    extension.initialize(create_trainer(0))
    assert not is_updated()
    for iteration, epoch in ((1, .4), (2, .8), (3, 1.2)):
        extension(create_trainer(iteration))
        assert is_updated() == (epoch >= 1)
    extension.initialize(create_trainer(2))
    assert not is_updated()


def test_triggers_fire_when_an_epoch_is_passed_and_at_the_end():
    """8 of 20 images an iteration: epoch 1 is passed by update 3, epoch 2 by update 5."""
    trigger = every_epochs(1, 9)
    fired = [i for i in range(1, 10) if trigger(create_trainer(i))]
    assert fired == [3, 5, 8, 9]
    either = any_of(every_iterations(4), trigger)
    assert [i for i in range(1, 10) if either(create_trainer(i))] == [3, 4, 5, 8, 9]


def test_best_weights_are_kept_when_a_later_evaluation_is_worse(tmp_path):
    """The file changes with a better result alone, also after a resume."""
    model = chainer.links.Linear(2, 1)
    path = tmp_path / 'best.npz'

    def evaluate(extension, value, weight):
        model.W.array[:] = weight
        extension(create_trainer(observation={'val/map_percent': value}))
        with np.load(path) as npz:
            return npz['W'][0, 0]

    first = BestWeights(model, 'val/map_percent', path)
    assert [evaluate(first, 50.0, 1), evaluate(first, 40.0, 2)] == [1, 1]
    chainer.serializers.save_npz(tmp_path / 'state.npz', first)
    second = BestWeights(model, 'val/map_percent', path)
    chainer.serializers.load_npz(tmp_path / 'state.npz', second)
    assert [evaluate(second, 45.0, 3), evaluate(second, 55.0, 4)] == [1, 4]


def test_a_batch_log_has_plain_lines():
    """Where the output is no terminal: one line a report and no bar."""
    out = io.StringIO()
    extension = Console(4, every_iterations(2), out=out)
    extension.initialize(create_trainer(0))
    for i in range(1, 5):
        extension(create_trainer(i, observation={'lr': 0.25, 'train/loss': 1.5,
                                                 'val/map_percent': 60.0}))
    extension.finalize()
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert 'iteration 2/4' in lines[0] and 'lr 0.25' in lines[0] and 'loss 1.5' in lines[0]
    assert 'mAP 60.00 %' in lines[1]
    assert '\r' not in out.getvalue() and '\x1b' not in out.getvalue()


def test_an_evaluation_without_objects_is_no_result(tmp_path):
    """Nothing is the best of it, and the log says why there is no number."""
    trainer = create_trainer(1)
    evaluation = Evaluation(lambda: ({'map_percent': None, 'n_images': 3}, ['found']))
    evaluation(trainer)
    assert trainer.observation == {'val/map_percent': None} and evaluation.results == ['found']
    BestWeights(chainer.links.Linear(2, 1), 'val/map_percent', tmp_path / 'best.npz')(trainer)
    assert not list(tmp_path.iterdir())
    out = io.StringIO()
    console = Console(4, every_iterations(1), out=out)
    console.initialize(create_trainer(0))
    console(trainer)
    assert 'held-out set: no object' in out.getvalue()


def test_curves_that_cannot_be_drawn_do_not_end_a_training(tmp_path, capsys):
    """One line says so; no half-written file is left."""
    (tmp_path / 'log.json').write_text('[{"epoch_detail": 1, "train/loss": "no number"}]')
    Curves('run', tmp_path)(create_trainer(1))
    warning, = capsys.readouterr().err.splitlines()
    assert warning.startswith(f'warning: {tmp_path / "curves.png"} was not written (')
    assert [path.name for path in tmp_path.iterdir()] == ['log.json']
