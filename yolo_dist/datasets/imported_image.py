"""Images with boxes of another tool's set, on their way into the layout of VOC."""
import math
import os
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from yolo_dist.datasets.encoded_image import EncodedImage
from yolo_dist.datasets.text import is_writable
from yolo_dist.datasets.voc_annotation import format_voc_annotation
from yolo_dist.datasets.voc_detection_dataset import VOC_IMAGE_SUFFIXES, overhang
from yolo_dist.errors import InputError
from yolo_dist.outside_files import read_file
from yolo_dist.whole_files import write_whole

_N_DECIMALS = 2  # of a pixel, as COCO's own; labels of six digits give whole pixels back


class ImportedObject(NamedTuple):
    """One box.

    Attributes:
        where (str): What an error message calls it.
        class_name (str): Its class.
        box (tuple of float): ``(y_min, x_min, y_max, x_max)`` in pixels, the corner of the image
            at 0.
        is_crowd (bool): Whether it stands for several objects.
    """

    where: str
    class_name: str
    box: tuple
    is_crowd: bool = False


class ImportedImage(NamedTuple):
    """One image file and what it shows.

    Attributes:
        path (~pathlib.Path): The file.
        name (str): Its path within the set, with ``/`` between its parts.
        size_hw (tuple of int): Height and width that its boxes are meant for, pixels.
        objects (list of ImportedObject): Perhaps none.
    """

    path: Path
    name: str
    size_hw: tuple
    objects: list

    @property
    def id(self):
        """Name in a VOC split: without ending, and without blanks, which end a name there."""
        return re.sub(r'\s', '_', str(PurePosixPath(self.name).with_suffix('')))


def image_size(path, stated_hw, where):
    """Read the size of an image that boxes are meant for.

    Args:
        path (~pathlib.Path): The file.
        stated_hw (tuple of int): Height and width that the annotations state; ``None`` if they
            do not.
        where (str): What an error message calls the statement.

    Returns:
        tuple of int: Height and width, of the picture as a viewer shows it; as it is stored where
        that is what ``stated_hw`` states.

    Raises:
        InputError: If the file is missing or damaged, or of another size.
    """
    try:
        data = read_file(path)
    except OSError as error:
        raise InputError(f'{where}: the image {path} cannot be read ({error.strerror}); check the '
                         'folder of the images') from error
    shown = EncodedImage(data, path).shape[1:]
    if stated_hw in (None, shown):
        return shown
    stored = EncodedImage(data, path, apply_orientation=False).shape[1:]
    if stated_hw != stored:
        raise InputError(
            f'{where}: found height {stated_hw[0]} and width {stated_hw[1]}, but {path} is '
            f'{shown[0]} px high and {shown[1]} px wide; the boxes are those of another file')
    return stored


def find_problems(images, class_names):
    """Look for what is wrong with an imported set.

    Args:
        images (list of ImportedImage): Its images.
        class_names (sequence of str): Its classes in label order.

    Yields:
        str: One message for each problem.
    """
    for name in sorted({name for name in class_names if list(class_names).count(name) > 1}):
        yield f'class {name!r}: found twice; give each class another name'
    for name in class_names:
        if not name or not is_writable(name):
            yield f'class {ascii(name)}: cannot stand on a line of text; give it another name'
    names = {}
    for image in images:
        if not is_writable(image.id):
            yield f'{image.path}: the name {ascii(image.name)} cannot stand in a list; rename it'
        if image.id in names:
            yield (f'{image.path}: would have the same name, {image.id}, as {names[image.id]}; '
                   'rename one of them')
        names[image.id] = image.path
        for where, _, box, _ in image.objects:
            y_min, x_min, y_max, x_max = (round(side, _N_DECIMALS) for side in box)
            words = (f'{where}: the box from x {x_min:g}, y {y_min:g} to x {x_max:g}, y {y_max:g} '
                     'px')
            if y_max <= y_min or x_max <= x_min:
                yield f'{words} has no area; mend or remove it'
            elif overhang(np.array([box]), image.size_hw).any():
                yield (f'{words} lies outside {image.path}, which is {image.size_hw[1]} px wide '
                       f'and {image.size_hw[0]} px high; mend it')


def write_voc_set(directory, images, *, progress):
    """Write a set in the layout of VOC, with the one split ``all``.

    Images are hard links, or symbolic ones to another disk. This package subtracts 1 from all four
    numbers of a VOC box, as ChainerCV and Darknet do, so 1 is added: boxes come back as they were.
    A crowd is marked difficult: it is no training object and is not counted by the evaluation.

    Args:
        directory (str or ~pathlib.Path): Absent or empty.
        images (list of ImportedImage): Without problems, see :func:`find_problems`.
        progress (callable): Called after each image.

    Raises:
        InputError: If ``directory`` is not empty or cannot be written.
    """
    with write_whole(os.path.abspath(directory)) as root:
        root.mkdir(parents=True)
        for image in images:
            # The content tells the format, so an ending that VOC does not know does no harm.
            suffix = image.path.suffix if image.path.suffix in VOC_IMAGE_SUFFIXES else '.jpg'
            picture = root / f'JPEGImages/{image.id}{suffix}'
            annotation = root / f'Annotations/{image.id}.xml'
            for path in (picture, annotation):
                path.parent.mkdir(parents=True, exist_ok=True)
            _link(image.path.resolve(), picture)
            annotation.write_bytes(format_voc_annotation(
                picture.name, (*image.size_hw, 3),
                [(one.class_name, _with_exclusive_maxima(one.box), one.is_crowd)
                 for one in image.objects]))
            progress()
        lists = root / 'ImageSets/Main'
        lists.mkdir(parents=True)
        (lists / 'all.txt').write_text(''.join(f'{image.id}\n' for image in images),
                                       encoding='utf-8')


def _link(path, link):
    try:
        os.link(path, link)
    except OSError:
        os.symlink(path, link)


def _with_exclusive_maxima(box):
    """Corners as :func:`format_voc_annotation` takes them, whole numbers without a fraction."""
    sides = [round(side, _N_DECIMALS) for side in box]
    y_min, x_min, y_max, x_max = (
        int(side) if side == math.floor(side) else side for side in sides)
    return y_min, x_min, round(y_max + 1, _N_DECIMALS), round(x_max + 1, _N_DECIMALS)
