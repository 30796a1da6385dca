"""Made-up sets take the place of files: same interface, nothing to read."""

import pathlib
import pickle

import numpy as np
import pytest

from yolo_dist.config import load_config
from yolo_dist.datasets import VOC_CLASS_NAMES, SyntheticClassification, SyntheticDetection
from yolo_dist.errors import InputError
from yolo_dist.tasks import get_task

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'

SETS = {'classification': SyntheticClassification(30, 7), 'detection': SyntheticDetection(30)}


@pytest.mark.parametrize('dataset', SETS.values(), ids=SETS)
def test_an_example_depends_on_its_index_alone(dataset):
    """The same in a loader process, another set object and the second time; not all are equal."""
    dataset.check()
    other = pickle.loads(pickle.dumps(dataset))
    assert len(dataset) == len(list(dataset)) == len(other) == 30
    for i in (0, 7, 29, 0):
        for value, same in zip(dataset[i], other[i], strict=True):
            np.testing.assert_array_equal(value, same)
    assert not np.array_equal(dataset[0][0], dataset[1][0])
    assert len(pickle.dumps(dataset)) < 2000
    with pytest.raises(IndexError):
        dataset[30]


def test_classification_examples_are_as_read_from_files():
    """An RGB image in planes, and every class as often as any other."""
    img, label = SETS['classification'][8]
    assert (img.shape, img.dtype, label, label.dtype) == ((3, 375, 500), np.uint8, 1, np.int32)
    labels = [label for _, label in SyntheticClassification(21, 7)]
    assert np.bincount(labels).tolist() == [3] * 7
    assert SETS['classification'].class_names == ('0', '1', '2', '3', '4', '5', '6')


def test_detection_examples_are_as_read_from_files():
    """Boxes with area inside the image, labels of known classes, none difficult."""
    dataset = SETS['detection']
    assert dataset.class_names == VOC_CLASS_NAMES
    assert SyntheticDetection(1, ['okapi']).class_names == ('okapi',)
    for img, bbox, label, difficult in dataset:
        assert (img.dtype, bbox.dtype, label.dtype, difficult.dtype) == (
            np.uint8, np.float32, np.int32, bool)
        assert len(bbox) == len(label) == len(difficult) >= 1
        assert (bbox[:, 2:] - bbox[:, :2] > 10).all()
        assert (bbox >= 0).all() and (bbox <= (375, 500, 375, 500)).all()
        assert label.min() >= 0 and label.max() < 20 and not difficult.any()


@pytest.mark.parametrize('name', ['imagenet_darknet53', 'voc_yolo_v3'])
def test_an_experiment_runs_without_its_files(name):
    """``data.n_synthetic_examples`` images go through the experiment's own augmentation."""
    config = load_config(EXPERIMENTS / f'{name}.yaml', overrides=['data.n_synthetic_examples=9'])
    task = get_task(config)
    train, val = task.load_datasets(config)
    assert len(train) == len(val) == 9
    img, *_ = task.create_transform(config)(*train[3], insize=96, rng=np.random.default_rng(0))
    assert img.shape == (3, 96, 96) and img.std() > 10


def test_class_names_must_be_as_many_as_classes():
    """The network's outputs and the labels belong together, made up or not."""
    config = load_config(EXPERIMENTS / 'voc_yolo_v3.yaml', overrides=[
        'data.n_synthetic_examples=9', 'data.class_names=[okapi]'])
    with pytest.raises(InputError, match='found 20, but there are 1 class names'):
        get_task(config).load_datasets(config)
