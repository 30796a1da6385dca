"""Anchors fitted to the boxes of a set."""
import numpy as np
import pytest

from yolo_dist.datasets import (
    SyntheticDetection,
    VOCDetectionDataset,
    box_sizes,
    fit_anchors,
    mean_iou,
)
from yolo_dist.errors import InputError
from yolo_dist.links import YOLOv2, YOLOv3


def iou(size, other):
    """Of two boxes around one centre, in words of its own."""
    intersection = min(size[0], other[0]) * min(size[1], other[1])
    return intersection / (size[0] * size[1] + other[0] * other[1] - intersection)


@pytest.fixture(scope='module')
def sizes():
    """400 boxes around four sizes, in a mixed order."""
    rng = np.random.default_rng(3)
    centres = np.array([[10, 20], [40, 15], [60, 70], [150, 90]])
    return np.repeat(centres, 100, axis=0)[rng.permutation(400)] * rng.uniform(0.9, 1.1, (400, 2))


def test_groups_of_boxes_are_found(sizes):
    """Each anchor is the mean of one group; they come by rising area."""
    anchors = fit_anchors(sizes, 4)
    np.testing.assert_allclose(anchors, [[10, 20], [40, 15], [60, 70], [150, 90]], rtol=0.03)


def test_the_same_boxes_give_the_same_anchors():
    """Even where many fits are as good: nothing is drawn from NumPy's global state."""
    sizes = np.random.default_rng(4).uniform(5, 200, (300, 2))
    first = fit_anchors(sizes, 7)
    np.random.seed(99)
    np.testing.assert_array_equal(fit_anchors(sizes, 7), first)


def test_mean_iou_is_that_of_the_best_anchor(sizes):
    """Against a loop over boxes and anchors."""
    anchors = [(12, 18), (100, 80)]
    expected = np.mean([max(iou(size, anchor) for anchor in anchors) for size in sizes])
    assert mean_iou(sizes, anchors) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(mean_iou(np.zeros((0, 2)), anchors))


def test_every_size_once_fits_exactly():
    """As many anchors as different sizes overlap with all boxes; one more is an error."""
    sizes = np.array([[10., 10.], [10., 12.], [30., 5.], [10., 10.]])
    assert mean_iou(sizes, fit_anchors(sizes, 3)) == 1
    with pytest.raises(InputError, match='model.anchors: 4 anchors .* 3 different sizes'):
        fit_anchors(sizes, 4)


@pytest.mark.parametrize('build, n', [(YOLOv2, 5), (YOLOv3, 9)])
def test_a_network_takes_them(build, n):
    """Laid out for the network they are its anchors in pixels, the largest at the coarse scale."""
    sizes = [(10. + i, 20. + 2 * i) for i in range(n)]
    model = build(2, width=0.02, anchors=build.arrange_anchors(sizes))
    assert build.n_anchors == n == len(model.anchors_px)
    np.testing.assert_allclose(sorted(model.anchors_px), sizes, atol=0.005)
    if build is YOLOv3:
        assert model.anchors_px == sizes[6:] + sizes[3:6] + sizes[:3]


def test_sizes_are_those_of_the_letterboxed_boxes(tmp_path):
    """The longer side of the image is the input's; difficult objects do not count."""
    voc = tmp_path / 'VOC'
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (voc / folder).mkdir(parents=True)
    (voc / 'ImageSets/Main/all.txt').write_text('a\n')
    (voc / 'JPEGImages/a.jpg').write_bytes(b'')  # the stated size spares reading it
    (voc / 'Annotations/a.xml').write_text(
        '<annotation><size><width>200</width><height>100</height></size>'
        + ''.join(f'<object><name>x</name><difficult>{difficult}</difficult><bndbox><xmin>1</xmin>'
                  '<ymin>11</ymin><xmax>51</xmax><ymax>31</ymax></bndbox></object>'
                  for difficult in (0, 1)) + '</annotation>')
    dataset = VOCDetectionDataset(tmp_path, ['VOC/all'], ['x'])
    np.testing.assert_allclose(box_sizes([dataset.read_boxes(0)], 64), [[20 * 0.32, 50 * 0.32]])


def test_synthetic_sets_have_sizes():
    """So that a throughput run can leave its anchors to the set."""
    boxes = map(SyntheticDetection(20).read_boxes, range(20))
    assert len(fit_anchors(box_sizes(boxes, 416), 9)) == 9
