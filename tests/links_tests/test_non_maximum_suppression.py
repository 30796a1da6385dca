import numpy as np
import pytest
from chainercv.utils import non_maximum_suppression as reference

from yolo_dist.links import non_maximum_suppression


@pytest.mark.parametrize('n_box,n_class', [(1, 1), (3000, 20), (2000, 1)])
def test_agrees_with_chainercv_class_by_class(n_box, n_class):
    """The same boxes stay, in the same order, as with ChainerCV's loop over classes."""
    rng = np.random.default_rng(0)
    centre, size = rng.uniform(0, 416, (n_box, 2)), np.exp(rng.normal(4, 0.7, (n_box, 2)))
    bbox = np.concatenate((centre - size / 2, centre + size / 2), axis=1).astype('f')
    label = rng.integers(0, n_class, n_box).astype('i')
    score = rng.permutation(n_box).astype('f') + 1
    expected = []
    for lb in range(n_class):
        index = np.flatnonzero(label == lb)
        expected.extend(index[reference(bbox[index], 0.45, score[index])])
    actual = non_maximum_suppression(bbox, label, score, thresh=0.45)
    assert actual.tolist() == expected
    assert n_box == 1 or len(actual) < n_box


def test_no_boxes():
    """Nothing in, nothing out."""
    assert non_maximum_suppression(
        np.zeros((0, 4), 'f'), np.zeros(0, 'i'), np.zeros(0, 'f'), thresh=0.45).shape == (0,)


@pytest.mark.parametrize('n_box', [17, 700, 5000])
def test_equal_scores_keep_their_order(n_box):
    """Of overlapping boxes with equal scores the first stays, and the order is the given one."""
    rng = np.random.default_rng(n_box)
    place = 10 * rng.permutation(np.repeat(np.arange(n_box), 2)).astype('f')
    bbox = np.stack((place, 0 * place, place + 5, 0 * place + 5), axis=1)
    score = (rng.integers(1, 4, n_box)[(place // 10).astype(int)] / 4).astype('f')
    actual = non_maximum_suppression(bbox, np.zeros(2 * n_box, 'i'), score, thresh=0.45)
    first = np.sort(np.unique(place, return_index=True)[1])
    assert actual.tolist() == sorted(first.tolist(), key=lambda i: -score[i])
