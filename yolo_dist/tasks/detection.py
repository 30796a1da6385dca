"""Pascal-VOC-style detection with YOLOv2 and YOLOv3 (sec. 4.2, 4.3)."""

import sys
from functools import partial
from os.path import basename as file_name

import numpy as np

from yolo_dist.datasets import (
    VOC_CLASS_NAMES,
    SyntheticDetection,
    VOCDetectionDataset,
    box_sizes,
    fit_anchors,
    mean_iou,
)
from yolo_dist.drawing import (
    Box,
    Picture,
    draw_ap_by_class,
    draw_boxes,
    draw_confusion,
    draw_precision_recall,
    draw_sheet,
    spread_indices,
)
from yolo_dist.errors import InputError, in_short
from yolo_dist.evaluators import (
    FALSE,
    coco_metrics,
    detection_details,
    evaluate_detection,
    find_score_thresh,
    match_detections,
    worst_false_positives,
    worst_misses,
)
from yolo_dist.links import YOLOTrainChain, YOLOv2, YOLOv3
from yolo_dist.transforms import DetectionTrainTransform

METRIC = 'map_percent'

# Of a box, in the order of ChainerCV's arrays.
_CORNERS = ('y_min', 'x_min', 'y_max', 'x_max')
_MAX_NAMED = 8  # objects in a line of text
_N_MISTAKES = 20

_LINKS = {'yolo_v2': YOLOv2, 'yolo_v3': YOLOv3}


def find_classes(config):
    """Find the classes of the training set where no number of classes is given."""
    if config.model.n_class is not None:
        return config, []
    data, lines = config.data, []
    names = data.class_names
    if names is None and data.n_synthetic_examples is not None:
        names = list(VOC_CLASS_NAMES)
    elif names is None:
        counts = VOCDetectionDataset(data.root, data.train).count_classes()
        names = sorted(counts.keys() - {*data.ignore_classes})
        if not names:
            raise InputError(f'{data.root}: no object of a class is in the training set, so there '
                             'is nothing to learn; expected annotations with objects')
        lines = ['classes found in the training set: ' + ', '.join(
            f'{name} ({counts[name]:,})' for name in names)]
    return config.model_copy(update={
        'data': data.model_copy(update={'class_names': names}),
        'model': config.model.model_copy(update={'n_class': len(names)})}), lines


def load_datasets(config):
    """Open both sets, each the union of its splits."""
    config, _ = find_classes(config)
    data = config.data
    if data.n_synthetic_examples is not None:
        train = val = _load(config, None)
    else:
        train, val = _load(config, data.train), _load(config, data.val)
    return train, val


def resolve(config, train):
    """Find the classes, and fit ``model.anchors: fit`` at the network's input size."""
    config, lines = find_classes(config)
    section = config.model
    if section.anchors != 'fit':
        return config, lines
    link, anchors = _LINKS[section.name], None
    if train is not None:
        sizes = box_sizes(map(train.read_boxes, range(len(train))), config.data.input_size_px)
        fitted = fit_anchors(sizes, link.n_anchors)
        anchors = link.arrange_anchors(fitted)
        lines += [f'anchors fitted to {len(sizes):,} boxes, mean IoU '
                  f'{mean_iou(sizes, fitted):.3f}: {anchors}']
    section = section.model_copy(update={'anchors': anchors})
    return config.model_copy(update={'model': section}), lines


def load_held_out(config):
    """Open the held-out set alone."""
    return _load(config, config.data.val)


def _load(config, splits):
    data = config.data
    if data.n_synthetic_examples is not None:
        dataset = SyntheticDetection(data.n_synthetic_examples, data.class_names)
    else:
        dataset = VOCDetectionDataset(
            data.root, splits, data.class_names, invalid_boxes=data.invalid_boxes,
            ignore_classes=data.ignore_classes)
    if config.model.n_class not in (None, len(dataset.class_names)):
        raise InputError(f'model.n_class: found {config.model.n_class}, but there are '
                         f'{len(dataset.class_names)} class names '
                         f'({in_short(dataset.class_names, 5)}); leave n_class out, or list the '
                         'names in data.class_names')
    return dataset


def _without_difficult(transform, img, bbox, label, difficult, *, insize, rng):
    """Training transform without the objects marked difficult, as ``voc_label.py``."""
    return transform(img, bbox[~difficult], label[~difficult], insize=insize, rng=rng)


def create_transform(config):
    """Darknet's augmentation, see :class:`DetectionTrainTransform`."""
    return partial(_without_difficult,
                   DetectionTrainTransform(**config.data.augmentation.model_dump()))


def build_model(config):
    """Return the detector, He-initialised from NumPy's global random state."""
    section = config.model
    if section.anchors == 'fit':
        raise InputError('model.anchors: found fit, but anchors are fitted where training starts; '
                         'give those of the run, which its config.yaml holds')
    model = _LINKS[section.name](section.n_class, width=section.width,
                                 bn_decay=section.bn_decay, anchors=section.anchors)
    model.insize = config.data.evaluation.input_size_px
    model.score_thresh = config.data.evaluation.score_thresh
    model.nms_thresh = config.data.evaluation.nms_thresh
    return model


def build_train_chain(config, model):
    """Darknet's loss, normalised as ``model.loss_norm`` says."""
    return YOLOTrainChain(model, loss_norm=config.model.loss_norm,
                          ignore_thresh=config.model.ignore_thresh,
                          prior_images=config.model.prior_images)


def convert(batch, device):
    """Stack examples and pad their objects to one length.

    Args:
        batch (list): Examples ``(img, bbox, label)``.
        device (chainer.backend.Device): Where the arrays go.

    Returns:
        tuple: ``imgs``, uint8 ``(B, 3, H, W)``; ``bboxes``, float32 ``(B, T, 4)``;
        ``labels``, int32 ``(B, T)`` with -1 where an image has fewer objects.
    """
    n_objects = max(len(label) for _, _, label in batch)
    bboxes = np.zeros((len(batch), n_objects, 4), dtype=np.float32)
    labels = np.full((len(batch), n_objects), -1, dtype=np.int32)
    for i, (_, bbox, label) in enumerate(batch):
        bboxes[i, :len(label)] = bbox
        labels[i, :len(label)] = label
    imgs = np.stack([img for img, _, _ in batch])
    return device.send(imgs), device.send(bboxes), device.send(labels)


def evaluate(config, model, val, comm, device):
    """VOC mAP on the held-out set, letterboxed. Collective."""
    evaluation = config.data.evaluation
    return evaluate_detection(
        model, val, comm, input_size_px=evaluation.input_size_px,
        batch_size=evaluation.batch_size, n_loader_processes=config.data.n_loader_processes,
        use_07_metric=evaluation.use_07_metric, class_names=val.class_names)


def format_metrics(metrics):
    """AP of each class, then their mean."""
    width = max(len(name) for name in [*metrics['ap_percent'], 'mAP'])
    return '\n'.join(f'{name:<{width}}  {_ap(value)}' for name, value in
                     [*metrics['ap_percent'].items(), ('mAP', metrics['map_percent'])])


def _ap(value):
    return 'no object' if value is None else f'{value:6.2f} %'


def create_details(val, results):
    """Numbers behind the mAP."""
    return detection_details(results, val.class_names)


def extra_details(results):
    """COCO's AP where faster-coco-eval is installed: seconds for thousands of images."""
    try:
        return {'coco': coco_metrics(results)}
    except Exception as error:  # an extra: what it cannot do is no loss
        print(f"warning: COCO's AP failed ({type(error).__name__}: {error})", file=sys.stderr)
        return {}


def format_details(details):
    """Return mAP in both metrics, precision and recall at the best F1, COCO's AP."""
    lines = [f'mAP, 11-point {_ap(details["map_11_point_percent"])}, area under the curve '
             f'{_ap(details["map_area_percent"])}']
    if details['precision_percent'] is not None and details['recall_percent'] is not None:
        lines.append(f'best F1 at score {details["score_thresh"]:.3f}: precision '
                     f'{details["precision_percent"]:.1f} %, recall '
                     f'{details["recall_percent"]:.1f} %')
    if details.get('coco'):
        lines.append('COCO ' + ', '.join(
            f'{name.removesuffix("_percent").replace("_", " ").upper()} '
            + ('-' if value is None else f'{value:.1f}')
            for name, value in details['coco'].items()) + ' %')
    return '\n'.join(lines)


def draw_examples(val, results, thresh=None):
    """Draw held-out images with their objects, and beside each what is detected."""
    thresh = find_score_thresh(results) if thresh is None else thresh
    pictures = []
    for i in spread_indices(len(val), 10):
        truth, detected = _views(results[i], thresh, val.class_names)
        n_of = {kind: sum(box.kind == kind for box in detected)
                for kind in ('found', 'missed', 'false')}
        words = ', '.join(f'{n} {kind}' for kind, n in n_of.items() if n) or 'no object'
        pictures.append(Picture(val[i][0], f'{file_name(val.image_path(i))}\n{words}',
                                [truth, detected]))
    return draw_sheet(pictures, f'objects (left) and detections from score {thresh:.2f} (right)')


def _views(result, thresh, class_names):
    """Boxes of the objects, and of the detections with the objects that they miss."""
    bbox, label, score, gt_bbox, gt_label, gt_difficult = result
    found, _ = match_detections(*result)
    kept = np.flatnonzero(score >= thresh)
    truth = [Box(bb, class_names[k], 'ignored' if is_difficult else 'object')
             for bb, k, is_difficult in zip(gt_bbox, gt_label, gt_difficult)]
    missed = set(np.flatnonzero(~gt_difficult)) - set(found[kept])
    detected = [Box(gt_bbox[j], f'missed {class_names[gt_label[j]]}', 'missed') for j in missed]
    detected += [
        Box(bbox[i], f'{class_names[label[i]]} {score[i]:.2f}',
            'found' if found[i] >= 0 else 'false' if found[i] == FALSE else 'ignored')
        for i in kept]
    return truth, detected


def figures(val, results, details):
    """AP by class, precision-recall curves, confusion, examples, the worst mistakes."""
    thresh, names = details['score_thresh'], val.class_names
    drawn = {
        'examples': lambda: draw_examples(val, results, thresh),
        'ap_by_class': lambda: draw_ap_by_class(details),
        'precision_recall': lambda: draw_precision_recall(details),
        'confusion': lambda: draw_confusion(
            details['confusion'], [*names, 'background'],
            note=f'detections from score {thresh:.2f}; last column: objects that none of them '
                 'finds,\nlast row: detections of no object')}
    false = worst_false_positives(results, names, _N_MISTAKES)
    if false:
        drawn['false_positives'] = lambda: draw_sheet(
            [_false_positive(val, results, *one) for one in false],
            'false positives of the highest scores')
    missed = worst_misses(results, thresh, _N_MISTAKES)
    if missed:
        drawn['misses'] = lambda: draw_sheet(
            [_miss(val, results, *one) for one in missed],
            f'largest objects that no detection from score {thresh:.2f} finds')
    return drawn


def _false_positive(val, results, image, i, reason):
    bbox, label, score, gt_bbox, gt_label, gt_difficult = results[image]
    name = val.class_names[label[i]]
    boxes = [Box(bb, val.class_names[k], 'ignored' if is_difficult else 'object')
             for bb, k, is_difficult in zip(gt_bbox, gt_label, gt_difficult)]
    boxes.append(Box(bbox[i], f'{name} {score[i]:.2f}', 'false'))
    return Picture(val[image][0], f'{file_name(val.image_path(image))}\n'
                   f'{name} {score[i]:.2f}: {reason}', [boxes])


def _miss(val, results, image, j, score):
    _, _, _, gt_bbox, gt_label, _ = results[image]
    name = val.class_names[gt_label[j]]
    why = 'nothing there' if score is None else f'score {score:.2f}'
    return Picture(val[image][0], f'{file_name(val.image_path(image))}\n{name}: {why}',
                   [[Box(gt_bbox[j], name, 'missed')]])


def predict(model, imgs, class_names):
    """Find the objects in each image.

    Args:
        model (~chainer.Chain): The detector, with its thresholds set.
        imgs (list of ndarray): See its ``predict``.
        class_names (sequence of str): Classes in label order.

    Returns:
        list of dict: ``{'objects': [{'label', 'class_name', 'score', 'bbox'}, ...]}`` of each
        image, the best score first; ``bbox`` is ``{'y_min', 'x_min', 'y_max', 'x_max'}`` in
        pixels of the image.
    """
    found = []
    for bbox, label, score in zip(*model.predict(imgs)):
        found.append({'objects': [
            {'label': int(label[i]), 'class_name': class_names[label[i]],
             'score': round(float(score[i]), 6),
             'bbox': dict(zip(_CORNERS, (round(float(edge), 2) for edge in bbox[i])))}
            for i in np.argsort(-score, kind='stable')]})
    return found


def format_prediction(found):
    """Classes with their scores."""
    names = [f'{one["class_name"]} {one["score"]:.2f}' for one in found['objects']]
    if len(names) > _MAX_NAMED:
        names[_MAX_NAMED:] = [f'and {len(names) - _MAX_NAMED} more']
    return ', '.join(names) or 'nothing found'


def draw_prediction(img, found, class_names):
    """Draw the objects into their image; see :func:`~yolo_dist.drawing.draw_boxes`."""
    objects = found['objects']
    bbox = np.array([[one['bbox'][corner] for corner in _CORNERS] for one in objects])
    return draw_boxes(img, bbox.reshape(-1, 4), [one['label'] for one in objects],
                      [one['score'] for one in objects], class_names)
