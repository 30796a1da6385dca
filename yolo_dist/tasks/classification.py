"""ImageNet-style classification with Darknet19 and Darknet53 (sec. 4.1)."""

import chainer
import numpy as np
from chainer.datasets import TransformDataset

from yolo_dist.datasets import SyntheticClassification, load_imagenet
from yolo_dist.drawing import draw_classifications, spread_indices
from yolo_dist.errors import InputError
from yolo_dist.evaluators import evaluate_classification
from yolo_dist.formats import read_any_weights
from yolo_dist.links import ClassificationTrainChain, Darknet19, Darknet53, load_weights
from yolo_dist.transforms import ClassificationTrainTransform, centre_crop

METRIC = 'top1_accuracy_percent'

_LINKS = {'darknet19': Darknet19, 'darknet53': Darknet53}


def load_datasets(config):
    """Open both sets; labels of the second follow the class folders of the first."""
    data = config.data
    if data.n_synthetic_examples is not None:
        made_up = SyntheticClassification(data.n_synthetic_examples, config.model.n_class)
        return made_up, made_up
    train = load_imagenet(data.root, data.train)
    val = load_imagenet(data.root, data.val, class_names=train.class_names)
    if len(train.class_names) != config.model.n_class:
        raise InputError(
            f'model.n_class: found {config.model.n_class}, but {data.root}/{data.train} has '
            f'{len(train.class_names)} classes')
    return train, val


def create_transform(config):
    """Darknet's augmentation, see :class:`ClassificationTrainTransform`."""
    return ClassificationTrainTransform(**config.data.augmentation.model_dump())


def build_model(config):
    """Return the classifier, He-initialised from NumPy's global random state."""
    model = config.model
    return _LINKS[model.name](model.n_class, width=model.width, bn_decay=model.bn_decay)


def load_pretrained(config, model):
    """Load weights of the same link, as the 448 px stage needs them (sec. 2.3)."""
    path = config.model.pretrained
    load_weights(model, path, weights=read_any_weights(path, width=config.model.width))


def build_train_chain(config, model):
    """Softmax cross entropy, averaged over the worker's minibatch."""
    return ClassificationTrainChain(model)


def convert(batch, device):
    """Stacks examples.

    Args:
        batch (list): Examples ``(img, label)``.
        device (chainer.backend.Device): Where the arrays go.

    Returns:
        tuple: ``imgs``, uint8 ``(B, 3, H, W)``; ``labels``, int32 ``(B,)``.
    """
    imgs, labels = zip(*batch)
    return device.send(np.stack(imgs)), device.send(np.array(labels, dtype=np.int32))


class _CentreCrop:
    """Darknet's validation view; a class, so that loader processes can have it."""

    def __init__(self, insize):
        self._insize = insize

    def __call__(self, example):
        img, label = example
        return centre_crop(img, self._insize), label


def evaluate(config, model, val, comm, device):
    """Top-1 and top-5 on the held-out set, centre crop. Collective."""
    evaluation = config.data.evaluation
    return evaluate_classification(
        model, TransformDataset(val, _CentreCrop(evaluation.input_size_px)), comm,
        batch_size=evaluation.batch_size, n_loader_processes=config.data.n_loader_processes,
        converter=convert, device=device)


def format_metrics(metrics):
    """Two lines."""
    return (f'top-1 accuracy {metrics["top1_accuracy_percent"]:6.2f} %\n'
            f'top-5 accuracy {metrics["top5_accuracy_percent"]:6.2f} %')


def draw_examples(config, model, val, path):
    """Draws held-out images under their predicted class."""
    crop = _CentreCrop(config.data.evaluation.input_size_px)
    indices = spread_indices(len(val))
    examples = [crop(val[i]) for i in indices]
    imgs, _ = convert(examples, model.device)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        predicted = chainer.backends.cuda.to_cpu(model(imgs).array).argmax(axis=1)
    draw_classifications(examples, predicted, val.class_names, path)
