"""A trained network, ready to predict, from where it lies."""
import pathlib
from typing import NamedTuple

import chainer

from yolo_dist.config import load_config
from yolo_dist.datasets import VOC_CLASS_NAMES
from yolo_dist.errors import InputError
from yolo_dist.formats import build_link, match_arrays, read_network_file
from yolo_dist.links import load_weights
from yolo_dist.prediction.class_names import (
    check_class_names,
    class_names_of_run,
    read_class_names,
)
from yolo_dist.runs.run_directory import find_weights
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
            the latest snapshot. Or a weights or snapshot file in one. Or weights of Darknet or
            an npz file elsewhere, with a ``.cfg`` and a ``.names`` file of the same stem beside
            it where the numbers alone do not tell the network and its classes.
        class_names (sequence of str, str or ~pathlib.Path): Names of the classes, in label
            order, or the file that lists them. ``None`` takes those that lie with the weights,
            else '0', '1', ...

    Returns:
        OpenedModel: The network and what is known of it.

    Raises:
        InputError: If there is no run, its files do not fit each other, or the names are not as
            many as the classes.
    """
    path = pathlib.Path(path)
    if path.is_file() and not (path.parent / 'config.yaml').exists():
        return _open_file(path, class_names)
    weights, directory = find_weights(path)
    config = load_config(directory / 'config.yaml')
    link = get_task(config).build_model(config)
    load_weights(link, weights)
    if class_names is None:
        class_names = class_names_of_run(directory, config)
    nms_thresh = config.data.evaluation.nms_thresh if config.task == 'detection' else None
    return _opened(link, class_names, config.model.n_class, weights, nms_thresh)


def _open_file(path, class_names):
    cfg, listed = path.with_suffix('.cfg'), path.with_suffix('.names')
    network, arrays = read_network_file(path, cfg if cfg.exists() else None)
    n_found, n_all = len(match_arrays(network, arrays, path)), len(network.convolutions())
    if n_found < n_all:
        raise InputError(f'{path}: holds the first {n_found} of {n_all} convolutions of '
                         f'{network.name}; expected a whole network, to train from this give it '
                         'as model.pretrained')
    link = build_link(network)
    load_weights(link, path, weights=arrays)
    link.insize = network.insize[0] if network.insize[0] == network.insize[1] else network.insize
    if class_names is None and listed.exists():
        class_names = listed
    return _opened(link, class_names, network.n_class, path, None)


def _opened(link, names, n_class, weights, nms_thresh):
    is_detector = hasattr(link, 'use_preset')
    if is_detector:
        link.use_preset('visualize')
        link.nms_thresh = link.nms_thresh if nms_thresh is None else nms_thresh
    if names is None:
        names = VOC_CLASS_NAMES if is_detector and n_class == len(VOC_CLASS_NAMES) else [
            str(i) for i in range(n_class)]
    source = weights
    if isinstance(names, str | pathlib.Path):
        source, names = names, read_class_names(names)
    check_class_names(names, n_class, source)
    return OpenedModel(link, tuple(names), link.insize,
                       'detection' if is_detector else 'classification', weights)
