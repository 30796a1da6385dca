"""Annotations in Darknet's text files, one for each image."""
import math
from pathlib import Path

import yaml
from tqdm import tqdm

from yolo_dist.datasets.encoded_image import IMAGE_SUFFIXES
from yolo_dist.datasets.imported_image import (
    ImportedImage,
    ImportedObject,
    find_problems,
    image_size,
)
from yolo_dist.datasets.problems import raise_problems
from yolo_dist.errors import InputError
from yolo_dist.outside_files import read_file

_NO_LABELS = 'classes.txt'  # LabelImg writes the names of the classes beside the labels
_TOLERANCE = 0.02  # as much of a side as a box may stick out


def read_yolo_labels(labels, images, names):
    """Read a set annotated as Darknet and YOLO's later forks do.

    A label file has the relative path of its image with ``.txt`` for its ending, and a line
    ``class x_centre y_centre width height`` for each object: an index into the names, and shares
    of the picture as a viewer shows it. An image with an empty label file, or with none, shows no
    object.

    Args:
        labels (str or ~pathlib.Path): Folder of the label files; may be that of the images.
        images (str or ~pathlib.Path): Folder of the images.
        names (str or ~pathlib.Path): Class names: a text file with one on each line, or a YAML
            file with ``names``.

    Returns:
        tuple: Class names, and a list of
        :class:`~yolo_dist.datasets.imported_image.ImportedImage` in the order of their paths.

    Raises:
        InputError: With up to five problems, as :func:`~yolo_dist.datasets.read_coco`.
    """
    labels, images = Path(labels), Path(images)
    class_names = _read_names(Path(names))
    pictures = sorted(path for path in images.rglob('*')
                      if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.'))
    files = {path.relative_to(labels).with_suffix(''): path for path in sorted(labels.rglob('*'))
             if path.suffix.lower() == '.txt' and path.name != _NO_LABELS and path != Path(names)}
    if not pictures or not files:
        raise InputError(f'{images}: found {len(pictures)} images, and {len(files)} label files '
                         f'in {labels}; expected an image NAME.jpg and a file NAME.txt each')
    problems, found = [], []
    for path in tqdm(pictures, desc='read', unit='image', disable=None):
        name = path.relative_to(images)
        file = files.pop(name.with_suffix(''), None)
        try:
            size_hw = image_size(path, None, str(path))
            objects = [] if file is None else _read_labels(file, size_hw, class_names, problems)
        except InputError as error:
            problems.append(str(error))
        else:
            found.append(ImportedImage(path, name.as_posix(), size_hw, objects))
    problems += [f'{file}: has no image in {images}; expected one of the same name'
                 for file in files.values()]
    raise_problems([*problems, *find_problems(found, class_names)])
    return class_names, found


def _read_names(path):
    text = _read_text(path)
    if path.suffix in ('.yaml', '.yml'):
        try:
            names = (yaml.safe_load(text) or {}).get('names')
        except Exception:  # PyYAML passes on whatever Python says of a value
            names = None
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[i] for i in range(len(names))]
        # Python writes no numbers of thousands of digits.
        if not isinstance(names, list) or not all(
                isinstance(name, str) or isinstance(name, int | float) and abs(name) < 1 << 63
                for name in names):
            raise InputError(f'{path}: has no list of names; expected `names: [cat, dog]`, or a '
                             'mapping from 0, 1, ... to names')
    else:
        names = text.rstrip().splitlines()
    names = [str(name).strip() for name in names]
    if not names or not all(names):
        raise InputError(f'{path}: found {len(names)} class names, {names.count("")} of them '
                         'empty; expected one name on each line')
    return names


def _read_text(path):
    try:
        return read_file(path).decode('utf-8-sig')
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise InputError(f'{path}: is not UTF-8 text ({error})') from error


def _read_labels(path, size_hw, class_names, problems):
    objects = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f'{path}, line {number}'
        try:
            index, *shares = map(float, line.split())
        except ValueError:
            index, shares = -1, []
        if len(shares) != 4 or not all(map(math.isfinite, (index, *shares))):
            problems.append(f'{where}: found {line.strip()[:60]!r}, expected five numbers: class, '
                            'x and y of the centre, width, height')
        elif index not in range(len(class_names)):
            problems.append(f'{where}: found class {index:g}, expected 0 to '
                            f'{len(class_names) - 1}, as there are {len(class_names)} names')
        elif min(shares) < -_TOLERANCE or max(shares) > 1 + _TOLERANCE:
            problems.append(f'{where}: found {line.strip()[:60]!r}, expected centre, width and '
                            'height as shares of the picture, 0 to 1')
        else:
            height, width = size_hw
            x, y, w, h = (share * side for share, side in zip(shares, (width, height) * 2))
            objects.append(ImportedObject(where, class_names[int(index)],
                                          (y - h / 2, x - w / 2, y + h / 2, x + w / 2)))
    return objects
