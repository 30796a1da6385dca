"""What the reference loops of both losses share: a random case, and plain arithmetic.

The references follow the description of Darknet's C source in float64, image
by image, cell by cell, anchor by anchor and truth by truth. Boxes are
``(x, y, w, h)`` there, centre and size as shares of the network's input.
"""
import math
from types import SimpleNamespace

import chainer
import numpy as np
import pytest

from yolo_dist.functions import create_default_boxes


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def box_iou(a, b):
    w = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    h = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)


def best_anchor(truth, anchors, insize):
    """Index of the anchor (w, h in pixels) of the best shape; the first of equals."""
    best, best_iou = 0, 0
    for n, (anchor_w, anchor_h) in enumerate(anchors):
        iou = box_iou((0, 0, anchor_w / insize[1], anchor_h / insize[0]),
                      (0, 0, truth[2], truth[3]))
        if iou > best_iou:
            best, best_iou = n, iou
    return best


def darknet_truths(bbox, label, insize):
    """Real truths of one image as (x, y, w, h, class), shares of the input."""
    height, width = insize
    for (y_min, x_min, y_max, x_max), lb in zip(bbox.astype(float), label, strict=True):
        if lb >= 0 and y_max > y_min and x_max > x_min:
            yield ((x_min + x_max) / 2 / width, (y_min + y_max) / 2 / height,
                   (x_max - x_min) / width, (y_max - y_min) / height, int(lb))


@pytest.fixture
def oracle():
    """Plain functions for the reference loops."""
    return SimpleNamespace(sigmoid=sigmoid, box_iou=box_iou, best_anchor=best_anchor,
                           darknet_truths=darknet_truths)


@pytest.fixture
def make_case():
    """Make logits, truths and default boxes of a small batch at random.

    Image 0 has truths and padding, image 1 none, image 2 only truths. Two
    pairs of truths share a default box: the same class twice in image 0,
    different classes in image 2.
    """
    def make(steps_px, anchors_px, *, dtype, n_class=4, insize=(96, 64), n_truth=6, seed=0):
        rng = np.random.default_rng(seed)
        boxes = create_default_boxes(insize, steps_px, anchors_px)
        n_box = len(boxes.step_px)
        centre = rng.uniform(8, np.array(insize) - 8, (3, n_truth, 2))
        size = np.exp(rng.uniform(np.log(8), np.log(60), (3, n_truth, 2)))
        bboxes = np.concatenate((centre - size / 2, centre + size / 2), axis=2)
        bboxes = np.clip(bboxes, 0, np.tile(insize, 2)).astype('f')
        bboxes[:, 1] = bboxes[:, 0] + np.array((0.25, 0.25, 0.125, 0.125), 'f')
        labels = rng.integers(0, n_class, (3, n_truth)).astype('i')
        labels[0, :2] = 1, 1
        labels[2, :2] = 2, 0
        labels[0, 4:] = -1
        labels[1] = -1
        bboxes[labels < 0] = 0
        outputs = (rng.normal(0, 0.6, (3, n_box, 4)), rng.normal(0, 2, (3, n_box)),
                   rng.normal(0, 2, (3, n_box, n_class)))
        return SimpleNamespace(
            outputs=tuple(chainer.Variable(x.astype(dtype)) for x in outputs),
            bboxes=bboxes, labels=labels, boxes=boxes, insize=insize,
            anchors=[np.float32(a).astype(float).tolist() for a in anchors_px],
            steps=steps_px, n_class=n_class)
    return make
