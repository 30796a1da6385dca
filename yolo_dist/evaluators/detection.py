import numpy as np

from yolo_dist.evaluators.shards import gather_in_order
from yolo_dist.kernels.cpu import fixed_weights
from yolo_dist.training.iterators import iterate_batches


def evaluate_detection(model, dataset, comm, *, input_size_px, batch_size, n_loader_processes,
                       use_07_metric, class_names):
    """Mean average precision over a whole set, as Pascal VOC defines it.

    Every process reads and detects each P-th image; the detections are gathered
    and the curves computed once over all of them. Objects marked difficult count
    neither for nor against. Images are not kept. Collective.

    Args:
        model (chainer.Link): Has ``predict``, with its thresholds set.
        dataset: Examples ``(img, bbox, label, difficult)``, whole images.
        comm (chainermn.CommunicatorBase): The communicator.
        input_size_px (int): Size of the network input.
        batch_size (int): Images a forward pass.
        n_loader_processes (int): Processes that read ahead; 0 reads in this one.
        use_07_metric (bool): 11-point interpolation of VOC2007, else the area
            under the precision-recall curve.
        class_names (sequence of str): Names for the classes.

    Returns:
        tuple: The metrics in all processes, see :func:`score_detections`; the results of all
        images at the root, as its argument, ``None`` in other processes.
    """
    results = []
    with fixed_weights():
        for batch in iterate_batches(dataset, batch_size, n_loader_processes,
                                     shard=comm.rank, n_shards=comm.size):
            imgs, gt_bboxes, gt_labels, gt_difficults = zip(*batch)
            predicted = model.predict(imgs, insize=input_size_px)
            results.extend(zip(*predicted, gt_bboxes, gt_labels, gt_difficults))
    # Equal scores keep their order in the curve, so the order of images must be the
    # data set's for any number of processes.
    results = gather_in_order(comm, results)
    metrics = None
    if results is not None:
        metrics = score_detections(results, use_07_metric, class_names)
    return comm.bcast_obj(metrics), results


def score_detections(results, use_07_metric, class_names):
    """Average precision of each class over all images.

    Args:
        results (list of tuple): For each image the detected ``bbox``, ``label``, ``score`` and
            the true ``bbox``, ``label``, ``difficult``.
        use_07_metric (bool): See :func:`evaluate_detection`.
        class_names (sequence of str): Names for the classes.

    Returns:
        dict: ``map_percent``, ``None`` if the set has no object;
        ``ap_percent`` (``{class name: AP or None if the set has no such object}``), ``n_images``.
    """
    ap = average_precisions(*precision_recall(results, len(class_names)), use_07_metric)
    known = [value for value in ap if value is not None]
    return {'map_percent': float(np.mean(known)) if known else None,
            'ap_percent': dict(zip(class_names, ap)), 'n_images': len(results)}


def precision_recall(results, n_class):
    """Precision and recall of each class, a point for each detection by falling score.

    Args:
        results (list of tuple): See :func:`score_detections`.
        n_class (int): Number of classes.

    Returns:
        tuple of lists: For each class precision and recall, float ``(R,)``, 0 to 1; ``None``
        where the set has no such object.
    """
    from chainercv.evaluations import calc_detection_voc_prec_rec

    bboxes, labels, scores, gt_bboxes, gt_labels, gt_difficults = zip(*results)
    precisions, recalls = [None] * n_class, [None] * n_class
    if any(map(len, labels)) or any(map(len, gt_labels)):  # ChainerCV needs one box at least
        # Precision is no number before the first detection that counts.
        with np.errstate(invalid='ignore'):
            found = calc_detection_voc_prec_rec(
                bboxes, labels, _ranks(scores), gt_bboxes, gt_labels, gt_difficults)
        for i, (precision, recall) in enumerate(zip(*found)):
            if recall is not None:
                precisions[i], recalls[i] = precision, recall
    return precisions, recalls


def average_precisions(precisions, recalls, use_07_metric):
    """AP of each class.

    Args:
        precisions (list): See :func:`precision_recall`.
        recalls (list): See :func:`precision_recall`.
        use_07_metric (bool): See :func:`evaluate_detection`.

    Returns:
        list of float: AP in percent, ``None`` where the set has no such object.
    """
    from chainercv.evaluations import calc_detection_voc_ap

    ap = calc_detection_voc_ap(precisions, recalls, use_07_metric=use_07_metric)
    return [None if np.isnan(value) else 100 * float(value) for value in ap]


def _ranks(scores):
    """Distinct scores in the order of the given ones; of equal ones the first is the best.

    ChainerCV sorts by the score alone and not stably: the curve of equal scores would depend on
    the sort of this CPU.
    """
    flat = np.concatenate(scores)
    ranks = np.empty(len(flat))
    ranks[np.argsort(-flat, kind='stable')] = np.arange(len(flat), 0, -1)
    return np.split(ranks, np.cumsum([len(score) for score in scores])[:-1])
