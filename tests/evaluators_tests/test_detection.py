"""Average precision where scores are equal."""
import numpy as np
import pytest

from yolo_dist.evaluators import detection_details, score_detections


def scored(rng, *, n_images, n_scores):
    """Detections of one class with few distinct scores, about half of them true."""
    results, hits = [], []
    for _ in range(n_images):
        n_box = 9
        place = 10 * np.arange(n_box, dtype='f')
        bbox = np.stack((place, 0 * place, place + 5, 0 * place + 5), axis=1)
        score = (rng.integers(1, n_scores + 1, n_box) / n_scores).astype('f')
        is_true = rng.random(n_box) < 0.5
        results.append((bbox, np.zeros(n_box, 'i'), score, bbox[is_true],
                        np.zeros(is_true.sum(), 'i'), np.zeros(is_true.sum(), bool)))
        hits.append(is_true)
    return results, np.concatenate(hits), np.concatenate([result[2] for result in results])


def average_precision(hits, scores):
    """Area under the curve, point by point, equal scores in the given order."""
    in_order = [hits[i] for i in sorted(range(len(hits)), key=lambda i: -scores[i])]
    precisions, n_true = [], 0
    for n, hit in enumerate(in_order, 1):
        n_true += hit
        precisions.append(n_true / n)
    best = np.maximum.accumulate(precisions[::-1])[::-1]
    return 100 * sum(best[hit] for hit in np.flatnonzero(in_order)) / n_true


@pytest.mark.parametrize('n_scores', [1, 3, 50, 10 ** 6])
def test_equal_scores_keep_the_order_of_the_images(n_scores):
    """The same AP as the curve drawn point by point, with many equal scores and with none."""
    results, hits, scores = scored(np.random.default_rng(n_scores), n_images=60,
                                   n_scores=n_scores)
    found = score_detections(results, False, ['digit'])
    assert found['map_percent'] == pytest.approx(average_precision(hits, scores), abs=1e-9)


NOTHING = np.zeros((0, 4), 'f'), np.zeros(0, 'i'), np.zeros(0, 'f')
NO_OBJECT = np.zeros((0, 4), 'f'), np.zeros(0, 'i'), np.zeros(0, bool)
ONE = np.array([[0, 0, 9, 9]], 'f'), np.array([1], 'i')


@pytest.mark.parametrize('results', [
    [(*NOTHING, *NO_OBJECT)], [(*ONE, np.array([0.9], 'f'), *NO_OBJECT)],
    [(*ONE, np.array([0.9], 'f'), *ONE, np.array([True]))]],
    ids=['nothing', 'a detection', 'a difficult object'])
def test_a_set_without_objects_has_no_map(results):
    """Neither 0 % nor a traceback, whatever is detected; the details survive, too."""
    metrics = score_detections(2 * results, True, ['a', 'b'])
    assert metrics == {'map_percent': None, 'ap_percent': {'a': None, 'b': None}, 'n_images': 2}
    details = detection_details(2 * results, ['a', 'b'])
    assert details['map_area_percent'] is None and details['recall_percent'] is None
