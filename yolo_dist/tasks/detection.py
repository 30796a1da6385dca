"""Pascal-VOC-style detection with YOLOv2 and YOLOv3 (sec. 4.2, 4.3)."""

import numpy as np

from yolo_dist.datasets import (
    SyntheticDetection,
    VOCDetectionDataset,
    box_sizes,
    fit_anchors,
    mean_iou,
)
from yolo_dist.drawing import draw_boxes, draw_detections, spread_indices
from yolo_dist.errors import InputError
from yolo_dist.evaluators import evaluate_detection
from yolo_dist.formats import read_any_weights
from yolo_dist.links import YOLOTrainChain, YOLOv2, YOLOv3, load_backbone
from yolo_dist.transforms import DetectionTrainTransform

METRIC = 'map_percent'

# Of a box, in the order of ChainerCV's arrays.
_CORNERS = ('y_min', 'x_min', 'y_max', 'x_max')
_MAX_NAMED = 8  # objects in a line of text

_LINKS = {'yolo_v2': YOLOv2, 'yolo_v3': YOLOv3}


def load_datasets(config):
    """Open both sets, each the union of its splits."""
    data = config.data
    if data.n_synthetic_examples is not None:
        train = val = _load(config, None)
    else:
        train, val = _load(config, data.train), _load(config, data.val)
    return train, val


def resolve(config, train):
    """Fit ``model.anchors: fit`` to the training set at the network's input size."""
    section = config.model
    if section.anchors != 'fit':
        return config, []
    link, anchors, lines = _LINKS[section.name], None, []
    if train is not None:
        sizes = box_sizes(map(train.read_boxes, range(len(train))), config.data.input_size_px)
        fitted = fit_anchors(sizes, link.n_anchors)
        anchors = link.arrange_anchors(fitted)
        lines = [f'anchors fitted to {len(sizes):,} boxes, mean IoU '
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
    if len(dataset.class_names) != config.model.n_class:
        raise InputError(f'model.n_class: found {config.model.n_class}, but data.class_names has '
                         f'{len(dataset.class_names)} names')
    return dataset


class _DropDifficult:
    """Training transform without the objects marked difficult, as ``voc_label.py``."""

    def __init__(self, transform):
        self._transform = transform

    def __call__(self, img, bbox, label, difficult, *, insize, rng):
        return self._transform(img, bbox[~difficult], label[~difficult], insize=insize, rng=rng)


def create_transform(config):
    """Darknet's augmentation, see :class:`DetectionTrainTransform`."""
    return _DropDifficult(DetectionTrainTransform(**config.data.augmentation.model_dump()))


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


def load_pretrained(config, model):
    """Load a classifier's convolutions into the feature extractor (sec. 2.3)."""
    path = config.model.pretrained
    load_backbone(model, path, weights=read_any_weights(path, width=config.model.width))


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
    lines = [f'{name:<{width}}  ' + ('no object' if ap is None else f'{ap:6.2f} %')
             for name, ap in metrics['ap_percent'].items()]
    return '\n'.join([*lines, f'{"mAP":<{width}}  {metrics["map_percent"]:6.2f} %'])


def draw_examples(config, model, val, path):
    """Draw held-out images with what ``predict`` finds in them."""
    imgs = [val[i][0] for i in spread_indices(len(val))]
    model.use_preset('visualize')
    bboxes, labels, scores = model.predict(imgs, insize=config.data.evaluation.input_size_px)
    draw_detections(imgs, bboxes, labels, scores, val.class_names, path)


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
