"""A trained network, ready to predict, from where it lies."""
import pathlib
from typing import NamedTuple

import chainer

from yolo_dist.config import RunConfig, load_config
from yolo_dist.datasets import VOC_CLASS_NAMES
from yolo_dist.errors import InputError
from yolo_dist.links import load_weights
from yolo_dist.runs.run_directory import CLASS_NAMES, find_weights
from yolo_dist.tasks import get_task


class OpenedModel(NamedTuple):
    """A network and what is known of it.

    Attributes:
        link (~chainer.Chain): Has ``predict(imgs)``; on the CPU. A detector has ChainerCV's
            preset ``visualize`` and the overlap threshold of its run.
        class_names (tuple of str): Classes in label order.
        input_size_px (int): What ``predict`` resizes to, ``link.insize``.
        task ({'classification', 'detection'}): What the network does.
        weights (pathlib.Path): The file that was read.
    """

    link: chainer.Chain
    class_names: tuple
    input_size_px: int
    task: str
    weights: pathlib.Path


def open_model(path, *, class_names=None):
    """Open a trained network.

    Args:
        path (str or ~pathlib.Path): A run directory, of which the final weights are taken, else
            the latest snapshot; or a weights or snapshot file in one.
        class_names (sequence of str): Names of the classes, in label order. ``None`` takes
            those of ``class_names.txt`` in the run directory. Runs of version 0.1 have no such
            file: a detector then has the names of its ``config.yaml``, a classifier
            '0', '1', ...

    Returns:
        OpenedModel: The network and what is known of it.

    Raises:
        InputError: If there is no run, its files do not fit each other, or the names are not as
            many as the classes.
    """
    # Files of other programs are told apart here, by their ending, and find their shape
    # elsewhere than in a run directory.
    weights, directory = find_weights(path)
    config = load_config(directory / 'config.yaml')
    link = get_task(config).build_model(config)
    load_weights(link, weights)
    if config.task == 'detection':
        link.use_preset('visualize')
        link.nms_thresh = config.data.evaluation.nms_thresh
    names, source = _class_names(directory, config) if class_names is None else (
        class_names, 'class_names')
    check_class_names(names, config.model.n_class, source)
    return OpenedModel(link, tuple(names), link.insize, config.task, weights)


def _class_names(directory, config: RunConfig):
    """Names of the classes of a run, and where they are from."""
    path = directory / CLASS_NAMES
    if path.exists():
        return read_class_names(path), path
    if config.task == 'detection':
        return config.data.class_names or VOC_CLASS_NAMES, directory / 'config.yaml'
    return [str(i) for i in range(config.model.n_class)], ''


def read_class_names(path):
    """Read names of classes, as in Darknet's ``.names`` files.

    Args:
        path (str or ~pathlib.Path): Text in UTF-8, one name a line, in label order.

    Returns:
        list of str: The names.

    Raises:
        InputError: If it is no such file, or a line between others is empty.
    """
    try:
        text = pathlib.Path(path).read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read as names of classes ({error}); expected text '
                         'in UTF-8, one name a line') from None
    names = [line.strip() for line in text.rstrip().split('\n')]
    if '' in names:
        raise InputError(f'{path}, line {names.index("") + 1}: is empty; expected the name of '
                         f'class {names.index("")}')
    return names


def check_class_names(names, n_class, source):
    """Check that there is a name for each class.

    Args:
        names (sequence of str): The names.
        n_class (int): Number of classes.
        source (str or ~pathlib.Path): Where they are from, for the message.

    Raises:
        InputError: If there are fewer or more.
    """
    if len(names) != n_class:
        raise InputError(f'{source}: found {len(names)} names of classes, but the network has '
                         f'{n_class} classes; expected one name a line for each')
