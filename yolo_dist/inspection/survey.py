"""One look at every example of a set."""
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from yolo_dist.errors import InputError


class Survey(NamedTuple):
    """What a set holds.

    Attributes:
        class_names (tuple of str): Classes in label order.
        n_examples (int): Its length.
        sizes_hw (ndarray): int ``(N, 2)``, height and width of the images that can be read.
        annotations (list of tuple): What follows the image in each of these examples.
        faults (list of str): One message for each of the others.
    """

    class_names: tuple
    n_examples: int
    sizes_hw: np.ndarray
    annotations: list
    faults: list


def survey(dataset, name):
    """Read the header, the end and the annotation of every image of a set.

    Args:
        dataset: A training or held-out set of :mod:`yolo_dist.datasets`.
        name (str): What the progress bar calls it.

    Returns:
        Survey: All that was found, faults too.
    """
    sizes_hw, annotations, faults = [], [], []
    for i in tqdm(range(len(dataset)), desc=name, unit='image', disable=None):
        try:
            img, *annotation = dataset.read_example(i)
        except InputError as error:
            faults.append(str(error))
        else:
            sizes_hw.append(img.shape[1:])
            annotations.append(tuple(annotation))
    return Survey(dataset.class_names, len(dataset), np.array(sizes_hw, int).reshape(-1, 2),
                  annotations, faults)
