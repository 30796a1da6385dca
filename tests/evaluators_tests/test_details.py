"""The numbers behind a metric."""
import numpy as np
import pytest
from chainercv.evaluations import calc_detection_voc_prec_rec, eval_detection_voc

from yolo_dist.evaluators import (
    classification_details,
    coco_metrics,
    detection_details,
    find_score_thresh,
    worst_confusions,
    worst_false_positives,
    worst_misses,
)

NAMES = ['cat', 'dog', 'bird']


def random_results(seed, *, n_images=30):
    """Objects, and detections near some of them: mislabelled, doubled, of difficult ones."""
    rng = np.random.default_rng(seed)
    for _ in range(n_images):
        n = rng.integers(0, 5)
        corner = rng.uniform(0, 60, (n, 2))
        bbox = np.hstack([corner, corner + rng.uniform(20, 60, (n, 2))]).astype('f')
        label = rng.integers(3, size=n).astype('i')
        which = rng.integers(n, size=2 * n) if n else np.zeros(0, int)
        moved = bbox[which] + rng.normal(0, 6, (len(which), 4)).astype('f')
        guess = np.where(rng.random(len(which)) < 0.7, label[which], rng.integers(3))
        yield (moved, guess.astype('i'), rng.random(len(which)).astype('f'), bbox, label,
               rng.random(n) < 0.2)


@pytest.mark.filterwarnings('ignore:invalid value')  # of ChainerCV, 0 / 0
@pytest.mark.parametrize('seed', range(3))
def test_details_agree_with_chainercv(seed):
    """AP in both metrics, and what is found and false at the threshold of the best F1."""
    results = list(random_results(seed))
    details = detection_details(results, NAMES)
    for metric, use_07_metric in (('11_point', True), ('area', False)):
        expected = eval_detection_voc(*zip(*results), use_07_metric=use_07_metric)
        assert details[f'map_{metric}_percent'] == pytest.approx(100 * expected['map'])
        for name, ap in zip(NAMES, expected['ap']):
            assert details['classes'][name][f'ap_{metric}_percent'] == pytest.approx(100 * ap)
    kept = [(*(part[result[2] >= details['score_thresh']] for part in result[:3]), *result[3:])
            for result in results]
    for counts, precision, recall in zip(details['classes'].values(),
                                         *calc_detection_voc_prec_rec(*zip(*kept))):
        assert counts['n_found'] == pytest.approx(recall[-1] * counts['n_objects'])
        n_kept = counts['n_found'] + counts['n_false']
        assert counts['n_found'] == pytest.approx(precision[-1] * n_kept)
        assert counts['n_missed'] == counts['n_objects'] - counts['n_found']


@pytest.mark.filterwarnings('ignore:invalid value')  # of ChainerCV, 0 / 0
@pytest.mark.parametrize('seed', range(3))
def test_the_threshold_has_the_best_f1(seed):
    """No other score does better."""
    results = list(random_results(seed))

    def f1(thresh):
        kept = [(*(part[result[2] >= thresh] for part in result[:3]), *result[3:])
                for result in results]
        n_found = n_kept = n_objects = 0
        curves = zip(*calc_detection_voc_prec_rec(*zip(*kept)))
        for label, (precision, recall) in enumerate(curves):
            of_class = sum(((result[4] == label) & ~result[5]).sum() for result in results)
            n_objects += of_class
            if recall is not None and len(recall) and recall[-1] > 0:
                n_found += recall[-1] * of_class
                n_kept += recall[-1] * of_class / precision[-1]
            else:
                n_kept += sum((result[1] == label).sum() for result in kept)
        return 2 * n_found / (n_kept + n_objects)

    best = f1(find_score_thresh(results))
    for score in np.concatenate([result[2] for result in results])[::5]:
        assert f1(score) <= best + 1e-9


def one_image():
    """A cat found twice, a dog taken for a bird, a bird missed, a cat on the background."""
    objects = [[0, 0, 20, 20], [0, 40, 20, 60], [50, 0, 90, 40]]
    detections = [[0, 0, 20, 20], [1, 0, 21, 20], [0, 41, 20, 61], [0, 90, 20, 99],
                  [50, 20, 90, 60]]
    return (np.array(detections, 'f'), np.array([0, 0, 2, 0, 2]),
            np.array([0.9, 0.8, 0.7, 0.95, 0.6], 'f'), np.array(objects, 'f'),
            np.array([0, 1, 2]), np.zeros(3, bool))


def test_confusion_by_hand():
    """Each object in its row, each detection in its column, the rest at the background."""
    confusion = detection_details([one_image()], NAMES)['confusion']
    # The best F1 is reached from the score 0.9 on: one found, one false.
    assert confusion == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]]
    result = list(one_image())
    result[2] = np.where(result[2] == 0.95, 0.1, result[2]).astype('f')
    result[2][2:3] = 0.99
    assert detection_details([tuple(result)], NAMES)['confusion'] == [
        [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_the_worst_mistakes_come_first_and_say_why():
    """False positives by score, misses by size, two of an image at most."""
    found = worst_false_positives([one_image()], NAMES, 9, n_of_image=9)
    assert found == [(0, 3, 'background'), (0, 1, 'duplicate'), (0, 2, 'is dog'),
                     (0, 4, 'poor box, IoU 0.34')]
    assert len(worst_false_positives(3 * [one_image()], NAMES, 5)) == 5
    assert [one[:2] for one in worst_false_positives(2 * [one_image()], NAMES, 9)] == [
        (0, 3), (1, 3), (0, 1), (1, 1)]
    assert worst_misses([one_image()], 0.5, 9) == [(0, 2, None), (0, 1, None)]
    assert worst_misses([one_image()], 0.92, 9, n_of_image=9)[1:] == [
        (0, 0, pytest.approx(0.9)), (0, 1, None)]


def test_confusions_of_a_classifier_by_hand():
    """Pairs by number, images by probability; a matrix of few classes alone."""
    results = [(0, 0, 0.9), (0, 1, 0.5), (1, 0, 0.6), (0, 1, 0.8), (2, 2, 0.7)]
    details = classification_details(results, NAMES)
    assert details['confusion'] == [[1, 2, 0], [1, 0, 0], [0, 0, 1]]
    assert details['confused'][0] == {'true': 'cat', 'predicted': 'dog', 'n_images': 2}
    assert details['classes']['cat'] == {'n_images': 3, 'n_found': 1, 'n_false': 1}
    assert worst_confusions(results, 2, 1) == [3, 2]
    assert classification_details(results, list(map(str, range(51))))['confusion'] is None


def test_coco_metrics():
    """Perfect boxes have 100 %, and a difficult object that is missed costs nothing."""
    pytest.importorskip('faster_coco_eval')
    bbox, label = np.array([[0, 0, 50, 50], [60, 0, 90, 40]], 'f'), np.array([0, 1])
    found = coco_metrics([(bbox[:1], label[:1], np.array([0.9], 'f'), bbox, label,
                           np.array([False, True]))])
    assert found['ap_percent'] == pytest.approx(100)
    assert found['ap50_percent'] == pytest.approx(100) and found['ap_large_percent'] is None
    missed = coco_metrics([(bbox[:1], label[:1], np.array([0.9], 'f'), bbox, label,
                            np.zeros(2, bool))])
    assert missed['ap_percent'] == pytest.approx(50)
    nothing = coco_metrics([(bbox[:0], label[:0], np.zeros(0, 'f'), bbox, label,
                             np.zeros(2, bool))])
    assert nothing['ap_percent'] == nothing['ar_percent'] == 0
