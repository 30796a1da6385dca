"""Real pixels that come with installed packages: handwritten digits and photographs."""
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo_dist.datasets.read_image import read_image
from yolo_dist.errors import InputError

DIGIT_NAMES = ('zero', 'one', 'two', 'three', 'four',
               'five', 'six', 'seven', 'eight', 'nine')

# Nothing with letters or figures in it: those would be unlabelled objects.
TRAIN_PHOTOGRAPHS = (
    'skimage/data/astronaut.png', 'skimage/data/brick.png', 'skimage/data/camera.png',
    'skimage/data/chelsea.png', 'skimage/data/gravel.png', 'skimage/data/hubble_deep_field.jpg',
    'skimage/data/ihc.png', 'skimage/data/motorcycle_left.png',
    'sklearn/datasets/images/china.jpg')
TEST_PHOTOGRAPHS = (
    'skimage/data/coffee.png', 'skimage/data/coins.png', 'skimage/data/grass.png',
    'skimage/data/rocket.jpg', 'sklearn/datasets/images/flower.jpg')

_TEST_DIGIT_EVERY = 5


class MiniSources(NamedTuple):
    """What the pictures of one part of a mini set are made from.

    Attributes:
        digits (tuple of ndarray): For each of the ten digits, its examples, float32
            ``(n, 8, 8)`` in [0, 1], ink is 1.
        photographs (tuple of ndarray): uint8 ``(3, H, W)``, RGB.
    """

    digits: tuple
    photographs: tuple


def load_mini_sources(part):
    """Read the digits and photographs of one part from the installed packages.

    Every fifth digit and five photographs belong to the test part, whatever the seed: a network
    trained on any mini set has seen neither before it is tested on any other.
    The files are read from the packages' own folders; nothing is downloaded.

    Args:
        part ({'train', 'test'}): Which digits and which photographs.

    Returns:
        MiniSources: Digits by class, and photographs.

    Raises:
        InputError: If scikit-learn or scikit-image is absent, or lacks one of the files.
    """
    paths = {'train': TRAIN_PHOTOGRAPHS, 'test': TEST_PHOTOGRAPHS}[part]
    photographs = tuple(read_image(_packaged_file(path)) for path in paths)

    _packaged_file('sklearn/datasets/data/digits.csv.gz')
    from sklearn.datasets import load_digits
    digits = load_digits()
    in_test = np.arange(len(digits.target)) % _TEST_DIGIT_EVERY == 0
    in_part = in_test if part == 'test' else ~in_test
    images = (digits.images / 16).astype(np.float32)
    return MiniSources(
        tuple(images[in_part & (digits.target == k)] for k in range(10)), photographs)


def _packaged_file(path):
    package = path.split('/')[0]
    distribution = {'skimage': 'scikit-image', 'sklearn': 'scikit-learn'}[package]
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise InputError(
            f'the mini data sets are made from pictures that come with {distribution}, which is '
            "not installed; install the 'quickstart' extra: pip install -e '.[quickstart]'")
    file = Path(spec.submodule_search_locations[0]).parent / path
    if not file.is_file():
        raise InputError(
            f'{file}: this picture of {distribution} is missing from the installed version; '
            f'install the version of {distribution} that requirements.txt names')
    return file
