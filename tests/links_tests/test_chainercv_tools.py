"""ChainerCV's evaluator and its drawing work on links and data sets of this package."""
import chainer
import numpy as np
import pytest
from chainer.iterators import SerialIterator
from chainercv.evaluations import eval_detection_voc
from chainercv.extensions import DetectionVOCEvaluator
from chainercv.utils import apply_to_iterator
from chainercv.visualizations import vis_bbox

from yolo_dist.datasets import VOCDetectionDataset
from yolo_dist.links import YOLOv2, YOLOv3

NAMES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')


@pytest.fixture
def dataset(mini_voc):
    return VOCDetectionDataset(mini_voc, 'VOC2007/test', NAMES)


@pytest.mark.parametrize('link', (YOLOv2, YOLOv3))
def test_detection_voc_evaluator(link, dataset, monkeypatch):
    """It reports the AP of what `predict` finds; here, of the truth, 100 %, and of no box, 0."""
    model = link(10, width=0.05)
    model.insize = 64
    evaluator = DetectionVOCEvaluator(
        SerialIterator(dataset, 4, repeat=False, shuffle=False), model, use_07_metric=True,
        label_names=NAMES)
    model.score_thresh = 1.1
    assert evaluator()['main/map'] == 0
    truth = dataset[:]
    found = iter(truth)

    def select(bbox, score):
        _, bbox, label, _ = next(found)
        return bbox, label, np.ones(len(label), 'f')
    monkeypatch.setattr(model, '_select', select)
    monkeypatch.setattr('yolo_dist.links.yolo_base.unletterbox_bbox', lambda bbox, _: bbox)
    report = evaluator()
    assert report['main/map'] == pytest.approx(1)
    found = [label for _, _, labels, _ in truth for label in labels]
    for label in set(found):
        assert report[f'main/ap/{NAMES[label]}'] == pytest.approx(1)


def test_apply_to_iterator_and_vis_bbox(dataset):
    """The chain of ChainerCV's examples: iterate, predict, score, draw."""
    model = YOLOv3(10, width=0.05)
    model.insize, model.score_thresh = 64, 0.3
    (imgs,), predicted, truth = apply_to_iterator(
        model.predict, SerialIterator(dataset, 4, repeat=False, shuffle=False))
    bboxes, labels, scores = map(list, predicted)
    assert np.isfinite(eval_detection_voc(bboxes, labels, scores, *truth)['map'])
    best = scores[0].argsort()[-5:]
    axes = vis_bbox(next(imgs), bboxes[0][best], labels[0][best], scores[0][best],
                    label_names=NAMES)
    assert len(axes.patches) == len(axes.texts) == 5
    assert isinstance(model, chainer.Chain)
