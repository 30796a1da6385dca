"""Names and number of the classes where the experiment leaves them to the training set."""
import pathlib

import pytest

from yolo_dist.config import load_config
from yolo_dist.datasets import make_mini_imagenet, make_mini_voc
from yolo_dist.errors import InputError
from yolo_dist.inspection import describe_model
from yolo_dist.runs.run_directory import RunDirectory
from yolo_dist.runs.snapshots import identity
from yolo_dist.tasks import get_task

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'
SMALL = ['model.width=0.03', 'data.input_size_px=32', 'data.evaluation.input_size_px=32']


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp('data')
    make_mini_voc(path / 'voc', n_trainval=30, n_test=4)
    make_mini_imagenet(path / 'imagenet', n_train=20, n_val=10, size_px=32)
    return path


def detection(root, *more):
    return load_config(EXPERIMENTS / 'own_detection.yaml',
                       overrides=[*SMALL, f'data.root={root / "voc"}',
                                  'data.train=[VOC2007/trainval]', 'data.val=[VOC2007/test]',
                                  'data.class_names=null', *more])


def test_classes_of_a_detector_are_those_of_its_training_set(root):
    """Sorted, but those left out; the line at the start counts their objects."""
    config, (line,) = get_task(detection(root)).find_classes(
        detection(root, 'data.ignore_classes=[two, three]'))
    assert config.data.class_names == ['eight', 'five', 'four', 'nine', 'one', 'seven', 'six',
                                       'zero']
    assert config.model.n_class == 8
    train, val = get_task(config).load_datasets(config)
    n_eights = sum((train.read_boxes(i)[1] == 0).sum() for i in range(len(train)))
    assert line.startswith(f'classes found in the training set: eight ({n_eights}), five (')
    assert train.class_names == val.class_names == tuple(config.data.class_names)


def test_an_annotation_that_cannot_be_read_hides_no_other(root, tmp_path):
    """The check of the data names it; what the others show counts."""
    make_mini_voc(tmp_path / 'voc', n_trainval=30, n_test=4)
    (tmp_path / 'voc/VOC2007/Annotations/000003.xml').write_bytes(b'<html>')
    (tmp_path / 'voc/VOC2007/Annotations/000004.xml').unlink()
    config, _ = get_task(detection(root)).find_classes(detection(tmp_path))
    assert len(config.data.class_names) == 10


def test_classes_of_a_classifier_are_its_folders(root):
    """Their number becomes that of the network."""
    config = load_config(EXPERIMENTS / 'own_classification.yaml',
                         overrides=[*SMALL, f'data.root={root / "imagenet"}'])
    found, (line,) = get_task(config).find_classes(config)
    train, _ = get_task(config).load_datasets(config)
    assert found.model.n_class == 10
    assert line == f'classes found in the training set: {", ".join(train.class_names)}'
    assert get_task(config).find_classes(found) == (found, [])
    assert '10 classes' in describe_model(config)


@pytest.mark.parametrize('settings, expected', [
    (['model.n_class=7'],
     'model.n_class: found 7, but there are 20 class names .aeroplane, bicycle'),
    (['data.ignore_classes=others'], 'data.class_names, which is null; list the names'),
    (['data.ignore_classes=[zero, one, two, three, four, five, six, seven, eight, nine]'],
     'no object of a class is in the training set')])
def test_classes_that_contradict_each_other(root, settings, expected):
    """One line that names the key."""
    with pytest.raises(InputError, match=expected):
        config = detection(root, *settings)
        get_task(config).load_datasets(config)


def test_names_that_are_listed_are_counted(root):
    """Without n_class and without reading any annotation."""
    config = detection(root, 'data.class_names=[a, b]', 'data.root=/nonexistent')
    found, lines = get_task(config).find_classes(config)
    assert (found.model.n_class, lines) == (2, [])
    assert '2 classes' in describe_model(config)


def test_a_run_keeps_the_classes_that_its_first_session_found(root, tmp_path):
    """Resume and evaluation take them from the run, also where the training set has changed."""
    config = detection(root)
    task = get_task(config)
    train, _ = task.load_datasets(config)
    first, _ = task.find_classes(config)
    first, _ = task.resolve(first, train)
    RunDirectory(tmp_path, first, n_processes=1).open(train.class_names, n_weight_bytes=0)
    again = RunDirectory(tmp_path, detection(root))
    again.check(resume=True)
    resumed = again.resolved()
    assert resumed == first and resumed.model.anchors != 'fit'
    assert (identity(resumed) == identity(first)).all()
    assert task.find_classes(resumed) == (resumed, [])
    stored = load_config(tmp_path / 'config.yaml', overrides=[f'data.root={root / "voc"}'])
    assert task.load_held_out(stored).class_names == train.class_names


def test_a_resume_with_another_length_names_the_way_on(root, tmp_path):
    """Epochs decide every rate, so a longer run is another one, which starts from the weights."""
    config = detection(root, 'data.class_names=[a]', 'model.anchors=null')
    RunDirectory(tmp_path, config, n_processes=1).open(['a'], n_weight_bytes=0)
    (tmp_path / 'weights_final.npz').touch()
    longer = detection(root, 'data.class_names=[a]', 'model.anchors=null', 'schedule.epochs=999')
    with pytest.raises(InputError, match='(?s)schedule.epochs.*model.pretrained: .*_final.npz'):
        RunDirectory(tmp_path, longer).check(resume=True)
