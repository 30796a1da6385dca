"""ImageNet-style classification with Darknet19 and Darknet53 (sec. 4.1)."""

from functools import partial
from os.path import basename as file_name

import numpy as np
from chainer.datasets import TransformDataset

from yolo_dist.datasets import SyntheticClassification, load_imagenet, open_file_tree
from yolo_dist.drawing import (
    WRONG,
    Picture,
    draw_confusion,
    draw_lines,
    draw_sheet,
    drawable_name,
    spread_indices,
)
from yolo_dist.errors import InputError, in_short
from yolo_dist.evaluators import (
    classification_details,
    evaluate_classification,
    worst_confusions,
)
from yolo_dist.links import ClassificationTrainChain, Darknet19, Darknet53
from yolo_dist.transforms import ClassificationTrainTransform, centre_crop

METRIC = 'top1_accuracy_percent'

# What a prediction names: as many as in ImageNet's top-5 accuracy.
_N_BEST = 5

_LINKS = {'darknet19': Darknet19, 'darknet53': Darknet53}


def find_classes(config):
    """Count the classes of the training set where ``model.n_class`` is not given."""
    data = config.data
    if config.model.n_class is not None:
        return config, []
    if data.n_synthetic_examples is not None:
        raise InputError('model.n_class: is not given, and synthetic images have no names of '
                         'classes; give it')
    names = load_imagenet(data.root, data.train, ignore_classes=data.ignore_classes).class_names
    section = config.model.model_copy(update={'n_class': len(names)})
    return config.model_copy(update={'model': section}), [
        f'classes found in the training set: {in_short(names, 20)}']


def load_datasets(config):
    """Open both sets; labels of the second follow the class folders of the first."""
    data = config.data
    if data.n_synthetic_examples is not None:
        synthetic = SyntheticClassification(data.n_synthetic_examples, config.model.n_class)
        return synthetic, synthetic
    train = load_imagenet(data.root, data.train, ignore_classes=data.ignore_classes)
    val = load_imagenet(data.root, data.val, class_names=train.class_names,
                        ignore_classes=data.ignore_classes)
    _check_n_class(config, train, data.train)
    return train, val


def resolve(config, train):
    """Count the classes."""
    return find_classes(config)


def load_held_out(config):
    """Open the held-out set; without a training set its own class folders or names count."""
    data = config.data
    if data.n_synthetic_examples is not None:
        return load_datasets(config)[1]
    tree = open_file_tree(data.root)
    if tree.is_folder(data.train) or tree.is_file(data.train):
        return load_datasets(config)[1]
    val = load_imagenet(data.root, data.val, ignore_classes=data.ignore_classes)
    if all(name.isdecimal() for name in val.class_names) and not tree.is_folder(data.val):
        # Numbers from 0: perhaps not of all classes.
        return load_imagenet(data.root, data.val, ignore_classes=data.ignore_classes,
                             class_names=[str(i) for i in range(config.model.n_class)])
    _check_n_class(config, val, data.val, f'; the training set {data.train}, which would tell '
                   'the classes, is not there')
    return val


def _check_n_class(config, dataset, source, more=''):
    if config.model.n_class not in (None, len(dataset.class_names)):
        raise InputError(
            f'model.n_class: found {config.model.n_class}, but {config.data.root}/{source} has '
            f'{len(dataset.class_names)} classes{more}')


def create_transform(config):
    """Darknet's augmentation, see :class:`ClassificationTrainTransform`."""
    return ClassificationTrainTransform(**config.data.augmentation.model_dump())


def build_model(config):
    """Return the classifier, He-initialised from NumPy's global random state."""
    section = config.model
    model = _LINKS[section.name](section.n_class, width=section.width, bn_decay=section.bn_decay)
    model.insize = config.data.evaluation.input_size_px
    return model


def build_train_chain(config, model):
    """Softmax cross entropy, averaged over the worker's minibatch."""
    return ClassificationTrainChain(model)


def convert(batch, device):
    """Stack examples.

    Args:
        batch (list): Examples ``(img, label)``.
        device (chainer.backend.Device): Where the arrays go.

    Returns:
        tuple: ``imgs``, uint8 ``(B, 3, H, W)``; ``labels``, int32 ``(B,)``.
    """
    imgs, labels = zip(*batch)
    return device.send(np.stack(imgs)), device.send(np.array(labels, dtype=np.int32))


def _crop_example(insize, example):
    """Darknet's validation view; at the top of the module, so that loader processes find it."""
    img, label = example
    return centre_crop(img, insize), label


def evaluate(config, model, val, comm, device):
    """Top-1 and top-5 on the held-out set, centre crop. Collective."""
    evaluation = config.data.evaluation
    return evaluate_classification(
        model, TransformDataset(val, partial(_crop_example, evaluation.input_size_px)), comm,
        batch_size=evaluation.batch_size, n_loader_processes=config.data.n_loader_processes,
        converter=convert, device=device)


def format_metrics(metrics):
    """Two lines."""
    return (f'top-1 accuracy {metrics["top1_accuracy_percent"]:6.2f} %\n'
            f'top-5 accuracy {metrics["top5_accuracy_percent"]:6.2f} %')


def create_details(val, results):
    """Which class is taken for which."""
    return classification_details(results, val.class_names)


def extra_details(results):
    """Nothing more."""
    return {}


def format_details(details):
    """Return the most frequent confusions, one a line."""
    return '\n'.join(['most confused:', *(
        f'  {pair["n_images"]:,} of {details["classes"][pair["true"]]["n_images"]:,} '
        f'{pair["true"]} taken for {pair["predicted"]}' for pair in details['confused'][:5])]
        if details['confused'] else ['no image is taken for another class'])


def draw_examples(val, results):
    """Draw held-out images under their predicted class."""
    return draw_sheet([_picture(val, i, results[i]) for i in spread_indices(len(val))],
                      'held-out images')


def _picture(val, i, result):
    true, predicted, probability = result
    guess = f'{val.class_names[predicted]} {probability:.2f}'
    if true == predicted:
        return Picture(val[i][0], f'{file_name(val.image_path(i))}\n{guess}')
    return Picture(val[i][0], f'{file_name(val.image_path(i))}\n{guess}, is '
                   f'{val.class_names[true]}', color=WRONG)


def figures(val, results, details):
    """Examples, the confusion matrix of up to 50 classes, images of the most confused pairs."""
    drawn = {'examples': lambda: draw_examples(val, results)}
    if details['confusion']:
        drawn['confusion'] = lambda: draw_confusion(details['confusion'], val.class_names)
    worst = worst_confusions(results, n_pairs=8, n_of_pair=3)
    if worst:
        drawn['confused'] = lambda: draw_sheet(
            [_picture(val, i, results[i]) for i in worst],
            'the most confused pairs of classes, the surest mistakes of each')
    return drawn


def predict(model, imgs, class_names):
    """Find the five best classes of each image.

    Args:
        model (~chainer.Chain): The classifier.
        imgs (list of ndarray): See its ``predict``.
        class_names (sequence of str): Classes in label order.

    Returns:
        list of dict: ``{'classes': [{'label', 'class_name', 'probability'}, ...]}`` of each image,
        the best class first.
    """
    probabilities = model.predict(imgs)
    best = np.argsort(-probabilities, axis=1, kind='stable')[:, :_N_BEST]
    return [{'classes': [{'label': int(label), 'class_name': class_names[label],
                          'probability': round(float(probability[label]), 6)}
                         for label in labels]}
            for probability, labels in zip(probabilities, best)]


def format_prediction(found):
    """Classes with their probabilities."""
    return ', '.join(f'{one["class_name"]} {100 * one["probability"]:.1f} %'
                     for one in found['classes'])


def draw_prediction(img, found, class_names):
    """Write classes and probabilities over an image; see :func:`~yolo_dist.drawing.draw_lines`."""
    return draw_lines(img, [
        f'{drawable_name(class_names, one["label"])} {100 * one["probability"]:.1f} %'
        for one in found['classes']])
