import numpy as np
import pytest
from chainercv.utils import bbox_iou

from yolo_dist.functions import overlaps_any, paired_iou


def random_bboxes(rng, shape):
    corners = rng.uniform(0, 50, (*shape, 2, 2)).astype('f')
    return np.concatenate((corners.min(axis=-2), corners.max(axis=-2)), axis=-1)


@pytest.mark.parametrize('thresh', [0.2, 0.5, 0.6])
def test_overlaps_any_agrees_with_chainercv(thresh):
    """The test without division gives what ChainerCV's IoU gives, for each image."""
    rng = np.random.default_rng(0)
    bboxes, truths = random_bboxes(rng, (3, 500)), random_bboxes(rng, (3, 4))
    expected = [bbox_iou(b, t).max(axis=1) > thresh for b, t in zip(bboxes, truths, strict=True)]
    assert 0 < np.sum(expected) < 1500
    np.testing.assert_array_equal(overlaps_any(bboxes, truths, thresh), expected)


def test_overlap_of_exactly_the_threshold_is_not_enough():
    """The threshold must be exceeded, as in Darknet's ``best_iou > thresh``."""
    bboxes = np.array([[[0, 0, 2, 1], [0, 0, 1, 1]]], 'f')
    assert overlaps_any(bboxes, bboxes[:, 1:], 0.5).tolist() == [[False, True]]


def test_missing_truth_overlaps_nothing():
    """A truth of zeros marks no box, not even an empty one at the origin."""
    bboxes = np.array([[[0, 0, 2, 1], [0, 0, 0, 0]]], 'f')
    assert not overlaps_any(bboxes, np.zeros((1, 1, 4), 'f'), 0).any()


def test_paired_iou_agrees_with_chainercv():
    """Pair by pair the diagonal of ChainerCV's table; 0, not NaN, for two empty boxes."""
    rng = np.random.default_rng(1)
    a, b = random_bboxes(rng, (40,)), random_bboxes(rng, (40,))
    np.testing.assert_allclose(paired_iou(a, b), bbox_iou(a, b).diagonal(), rtol=1e-5)
    assert paired_iou(np.zeros((1, 4), 'f'), np.zeros((1, 4), 'f')) == 0
