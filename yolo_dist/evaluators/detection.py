import numpy as np
from chainercv.evaluations import eval_detection_voc

from yolo_dist.training.iterators import iterate_batches


def evaluate_detection(model, dataset, comm, *, input_size_px, batch_size, n_loader_processes,
                       use_07_metric, class_names):
    """Mean average precision over a whole set, as Pascal VOC defines it.

    Every process reads and detects each P-th image; the detections are gathered
    and the curves computed once over all of them. Objects marked difficult count
    neither for nor against. Collective.

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
        dict: In all processes: ``map_percent``, ``ap_percent``
        (``{class name: AP or None if the set has no such object}``), ``n_images``.
    """
    results = []
    for batch in iterate_batches(dataset, batch_size, n_loader_processes,
                                 shard=comm.rank, n_shards=comm.size):
        imgs, gt_bboxes, gt_labels, gt_difficults = zip(*batch)
        predicted = model.predict(imgs, insize=input_size_px)
        results.extend(zip(*predicted, gt_bboxes, gt_labels, gt_difficults))
    gathered = comm.gather_obj(results)
    metrics = None
    if comm.rank == 0:
        # Equal scores keep their order in the curve, so the order of images must be the
        # data set's for any number of processes.
        n_images = sum(len(part) for part in gathered)
        in_order = [gathered[i % comm.size][i // comm.size] for i in range(n_images)]
        metrics = score_detections(in_order, use_07_metric, class_names)
    return comm.bcast_obj(metrics)


def score_detections(results, use_07_metric, class_names):
    """Average precision of each class over all images.

    Args:
        results (list of tuple): For each image the detected ``bbox``, ``label``, ``score`` and
            the true ``bbox``, ``label``, ``difficult``.
        use_07_metric (bool): See :func:`evaluate_detection`.
        class_names (sequence of str): Names for the classes.

    Returns:
        dict: See :func:`evaluate_detection`.
    """
    bboxes, labels, scores, *truth = zip(*results)
    scored = eval_detection_voc(bboxes, labels, _ranks(scores), *truth,
                                use_07_metric=use_07_metric)
    ap = np.full(len(class_names), np.nan)
    ap[:len(scored['ap'])] = scored['ap']
    return {'map_percent': 100 * float(np.nanmean(ap)) if not np.isnan(ap).all() else 0.0,
            'ap_percent': {name: None if np.isnan(value) else 100 * float(value)
                           for name, value in zip(class_names, ap)},
            'n_images': len(results)}


def _ranks(scores):
    """Distinct scores in the order of the given ones; of equal ones the first is the best.

    ChainerCV sorts by the score alone and not stably: the curve of equal scores would depend on
    the sort of this CPU.
    """
    flat = np.concatenate(scores)
    ranks = np.empty(len(flat))
    ranks[np.argsort(-flat, kind='stable')] = np.arange(len(flat), 0, -1)
    return np.split(ranks, np.cumsum([len(score) for score in scores])[:-1])
