import chainercv
import numpy as np
import pytest

from yolo_dist.links import YOLOv2, YOLOv3


@pytest.mark.parametrize('model,insize,n_box', [
    (YOLOv2, 416, 845), (YOLOv3, 416, 10_647), (YOLOv3, 608, 22_743),
    (YOLOv3, (64, 96), 3 * (2 * 3 + 4 * 6 + 8 * 12))])
def test_number_of_boxes(model, insize, n_box):
    """The number of boxes is the paper's, and follows the input size."""
    assert [len(a) for a in model(2, width=0.02).default_boxes(insize)[:3]] == [n_box] * 3


@pytest.mark.parametrize('name,step_px', [('YOLOv2', 32), ('YOLOv3', 1)])
def test_order_is_chainercvs(name, step_px):
    """At 416 px cells, anchors and steps are ChainerCV's, in its order."""
    ours = {'YOLOv2': YOLOv2, 'YOLOv3': YOLOv3}[name](20, width=0.02).default_boxes(416)
    twin = getattr(chainercv.links, name)(n_fg_class=20)
    np.testing.assert_array_equal(ours.cell, twin._default_bbox[:, :2])
    np.testing.assert_allclose(ours.anchor_px, twin._default_bbox[:, 2:] * step_px, rtol=1e-6)
    np.testing.assert_array_equal(ours.step_px, getattr(twin, '_step', 32 * np.ones(845)))


@pytest.mark.parametrize('model', [YOLOv2, YOLOv3])
def test_anchor_grid_finds_every_box(model):
    """Anchor table and first index lead from an anchor and a cell to the box with both."""
    boxes = model(2, width=0.02).default_boxes((64, 128))
    seen = []
    for anchor, (step, rows, columns, n_anchor, first) in zip(
            boxes.anchor_table_px, boxes.anchor_grid, strict=True):
        for row in range(rows):
            for column in range(columns):
                k = first + (row * columns + column) * n_anchor
                assert boxes.cell[k].tolist() == [row, column]
                assert boxes.anchor_px[k].tolist() == anchor.tolist()
                assert boxes.step_px[k] == step
                seen.append(k)
    assert sorted(seen) == list(range(len(boxes.step_px)))
