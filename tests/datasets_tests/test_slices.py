"""Data sets are indexed as ChainerCV's."""
import numpy as np
import pytest

from yolo_dist.datasets import (
    SyntheticClassification,
    SyntheticDetection,
    VOCDetectionDataset,
    load_imagenet,
    make_mini_imagenet,
)

DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')


@pytest.fixture(scope='module', params=['imagenet', 'voc', 'classification', 'detection'])
def dataset(request, tmp_path_factory, mini_voc):
    if request.param == 'imagenet':
        root = tmp_path_factory.mktemp('slices') / 'data'
        make_mini_imagenet(root, n_train=10, n_val=7, size_px=32)
        return load_imagenet(root, 'val')
    return {'voc': lambda: VOCDetectionDataset(mini_voc, 'VOC2007/test', DIGITS),
            'classification': lambda: SyntheticClassification(7, 3),
            'detection': lambda: SyntheticDetection(7)}[request.param]()


@pytest.mark.parametrize('index, expected', [
    (slice(4), [0, 1, 2, 3]), (slice(-2, None), [5, 6]), (slice(None, None, 3), [0, 3, 6]),
    ([5, 1], [5, 1]), (np.array([2, 2, 0]), [2, 2, 0])])
def test_slices_and_arrays_give_lists_of_examples(dataset, index, expected):
    """``dataset[:4]`` is a list of four examples, each as an index gives it."""
    examples = dataset[index]
    assert isinstance(examples, list) and len(examples) == len(expected)
    for example, i in zip(examples, expected):
        for part, same in zip(example, dataset[i], strict=True):
            np.testing.assert_array_equal(part, same)


def test_iteration_ends(dataset):
    """A data set is iterated once, and has no example behind its last."""
    assert len(list(dataset)) == 7
    with pytest.raises(IndexError):
        dataset[7]
