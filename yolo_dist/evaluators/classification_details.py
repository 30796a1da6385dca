"""What lies behind the accuracy of a classifier: which class is taken for which."""

import numpy as np

_MAX_MATRIX_CLASSES = 50
_N_PAIRS = 20


def classification_details(results, class_names):
    """Numbers behind the accuracy.

    Args:
        results (list of tuple): ``(true label, predicted label, probability)`` of each image.
        class_names (sequence of str): Names of the classes.

    Returns:
        dict: For JSON. ``classes``: for each class ``n_images``, ``n_found`` and ``n_false``
        (images of other classes taken for it). ``confused``: the 20 most frequent confusions,
        each with ``true``, ``predicted``, ``n_images``. ``confusion``: counts, rows true and
        columns predicted classes; ``None`` for more than 50 classes.
    """
    n_class = len(class_names)
    true, predicted = np.array([result[:2] for result in results], int).T
    n_images, n_found, n_predicted = (
        np.bincount(labels, minlength=n_class)
        for labels in (true, true[true == predicted], predicted))
    pairs, counts = np.unique(np.stack([true, predicted], axis=1)[true != predicted], axis=0,
                              return_counts=True)
    order = np.argsort(-counts, kind='stable')[:_N_PAIRS]
    confusion = None
    if n_class <= _MAX_MATRIX_CLASSES:
        confusion = np.zeros((n_class, n_class), int)
        np.add.at(confusion, (true, predicted), 1)
        confusion = confusion.tolist()
    return {
        'n_images': len(results),
        'classes': {name: {'n_images': int(n_images[i]), 'n_found': int(n_found[i]),
                           'n_false': int(n_predicted[i] - n_found[i])}
                    for i, name in enumerate(class_names)},
        'confused': [{'true': class_names[pairs[i][0]], 'predicted': class_names[pairs[i][1]],
                      'n_images': int(counts[i])} for i in order],
        'confusion': confusion}


def worst_confusions(results, n_pairs, n_of_pair):
    """Choose images of the most frequent confusions.

    Args:
        results (list of tuple): See :func:`classification_details`.
        n_pairs (int): How many pairs of classes at most.
        n_of_pair (int): How many images of each at most, the surest ones.

    Returns:
        list of int: Indices, pair by pair.
    """
    by_pair = {}
    for i, (true, predicted, probability) in enumerate(results):
        if true != predicted:
            by_pair.setdefault((true, predicted), []).append((-probability, i))
    most = sorted(by_pair.values(), key=len, reverse=True)[:n_pairs]
    return [i for images in most for _, i in sorted(images)[:n_of_pair]]
