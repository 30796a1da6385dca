"""Pascal-VOC-style detection with YOLOv2 and YOLOv3 (sec. 4.2, 4.3)."""

import numpy as np

from yolo_dist.datasets import SyntheticDetection, VOCDetectionDataset
from yolo_dist.drawing import draw_detections, spread_indices
from yolo_dist.errors import InputError
from yolo_dist.evaluators import evaluate_detection
from yolo_dist.formats import read_any_weights
from yolo_dist.links import YOLOTrainChain, YOLOv2, YOLOv3, load_backbone
from yolo_dist.transforms import DetectionTrainTransform

METRIC = 'map_percent'

_LINKS = {'yolo_v2': YOLOv2, 'yolo_v3': YOLOv3}


def load_datasets(config):
    """Open both sets, each the union of its splits."""
    data = config.data
    if data.n_synthetic_examples is not None:
        train = val = SyntheticDetection(data.n_synthetic_examples, data.class_names)
    else:
        train = VOCDetectionDataset(data.root, data.train, data.class_names)
        val = VOCDetectionDataset(data.root, data.val, data.class_names)
    if len(train.class_names) != config.model.n_class:
        raise InputError(f'model.n_class: found {config.model.n_class}, but data.class_names has '
                         f'{len(train.class_names)} names')
    return train, val


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
    model = _LINKS[section.name](section.n_class, width=section.width,
                                 bn_decay=section.bn_decay, anchors=section.anchors)
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
    """Stacks examples and pads their objects to one length.

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
    """Draws held-out images with what ``predict`` finds in them."""
    imgs = [val[i][0] for i in spread_indices(len(val))]
    model.use_preset('visualize')
    bboxes, labels, scores = model.predict(imgs, insize=config.data.evaluation.input_size_px)
    draw_detections(imgs, bboxes, labels, scores, val.class_names, path)
