"""Files to measure the input pipeline with, in the layout of Pascal VOC."""
import os
from pathlib import Path

import cv2
import numpy as np

from yolo_dist.datasets import format_voc_annotation, load_mini_sources, read_image
from yolo_dist.errors import InputError

# About those of COCO: 640 x 480, 4:2:0, 166 KB in the mean.
_SIZE_HW = (480, 640)
_QUALITY = 97
_N_IMAGES = 48
_MAX_IMAGES = 256
_N_OBJECTS = 3
_CLASS_NAME = 'person'


def make_photographs():
    """Make JPEGs of 640 x 480 px from the photographs of scikit-image and scikit-learn.

    A photograph is continued by its mirror image, as enlarging it would make it smooth and easy
    to compress; every fourth piece is upright.

    Returns:
        list of bytes: Files.

    Raises:
        InputError: If one of the packages is absent.
    """
    photographs = load_mini_sources('train').photographs + load_mini_sources('test').photographs
    rng = np.random.default_rng(0)
    files = []
    for i in range(_N_IMAGES):
        height, width = _SIZE_HW if i % 4 else _SIZE_HW[::-1]
        pixels = photographs[i % len(photographs)].transpose(1, 2, 0)
        pixels = cv2.copyMakeBorder(pixels, height // 2, height // 2, width // 2, width // 2,
                                    cv2.BORDER_REFLECT_101)
        top = rng.integers(pixels.shape[0] - height + 1)
        left = rng.integers(pixels.shape[1] - width + 1)
        piece = pixels[top:top + height, left:left + width, ::-1]
        files.append(cv2.imencode('.jpg', piece, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1]
                     .tobytes())
    return files


def read_photographs(directory):
    """Read the JPEGs of a folder and its sub-folders, at most 256 evenly spread ones.

    Args:
        directory (str): The folder, for example ``data.root`` of an experiment.

    Returns:
        list of bytes: Files.

    Raises:
        InputError: If there is none.
    """
    paths = sorted(path for path in Path(directory).rglob('*')
                   if path.suffix.lower() in ('.jpg', '.jpeg'))
    if not paths:
        raise InputError(f'--data {directory}: no JPEG in it; name a folder of .jpg or .jpeg '
                         'files, or leave it out for synthetic ones')
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), _MAX_IMAGES)).round().astype(int)
    return [paths[i].read_bytes() for i in chosen]


def write_tree(root, files):
    """Write ``VOC2007/{Annotations,JPEGImages,ImageSets/Main/trainval.txt}``.

    Each image has three objects at fixed places.

    Args:
        root (~pathlib.Path): An empty folder.
        files (list of bytes): JPEGs.
    """
    voc = root / 'VOC2007'
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        os.makedirs(voc / folder)
    ids = [f'{i:06d}' for i in range(len(files))]
    for id_, data in zip(ids, files, strict=True):
        (voc / 'JPEGImages' / f'{id_}.jpg').write_bytes(data)
        _, height, width = read_image(voc / 'JPEGImages' / f'{id_}.jpg').shape
        (voc / 'Annotations' / f'{id_}.xml').write_bytes(format_voc_annotation(
            f'{id_}.jpg', (height, width, 3), _objects(height, width)))
    (voc / 'ImageSets' / 'Main' / 'trainval.txt').write_text(
        '\n'.join(ids) + '\n', encoding='utf-8')


def _objects(height, width):
    return [(_CLASS_NAME, (round(0.1 * height), round(0.2 * i * width),
                           round(0.9 * height), round((0.2 * i + 0.4) * width)), False)
            for i in range(_N_OBJECTS)]
