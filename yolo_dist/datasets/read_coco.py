"""Annotations in COCO's JSON."""
import json
import math
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from yolo_dist.datasets.imported_image import (
    ImportedImage,
    ImportedObject,
    find_problems,
    image_size,
)
from yolo_dist.datasets.problems import raise_problems
from yolo_dist.errors import InputError
from yolo_dist.outside_files import read_file

_MAX_SIDE = 1e9  # pixels; whole numbers of JSON have any number of digits


def read_coco(annotations, images):
    """Read a set annotated in COCO's JSON.

    Args:
        annotations (str or ~pathlib.Path): File with ``images``, ``annotations`` and
            ``categories``.
        images (str or ~pathlib.Path): Folder that ``file_name`` starts from.

    Returns:
        tuple: Class names in the order of the ids of their categories, and a list of
        :class:`~yolo_dist.datasets.imported_image.ImportedImage` in the order of the file.

    Raises:
        InputError: With up to five problems: keys that are missing, ids that are repeated or lead
            nowhere, images that are missing, damaged or of another size, boxes without area or
            outside of their image.
    """
    content, problems = _read_json(annotations), []

    def records(key, *needed):
        return _by_id(content, annotations, key, needed, problems)
    categories, pictures = records('categories', 'name'), records('images', 'file_name')
    objects = {id_: [] for id_ in pictures}
    for id_, record in records('annotations', 'image_id', 'category_id', 'bbox').items():
        where = f'{annotations}: annotation {id_}'
        image_id, category_id, bbox = (
            record[key] for key in ('image_id', 'category_id', 'bbox'))
        if not _is_id(image_id) or image_id not in objects:
            problems.append(f'{where}: found image_id {image_id!r}, expected the id of one of its '
                            f'{len(objects):,} images')
        elif not _is_id(category_id) or category_id not in categories:
            problems.append(f'{where}: found category_id {category_id!r}, expected the id of one '
                            f'of its {len(categories):,} categories')
        elif not _are_numbers(bbox):
            problems.append(f'{where}: found bbox {bbox!r}, expected [x, y, width, height]')
        else:
            x, y, width, height = bbox
            objects[image_id].append(ImportedObject(
                where, str(categories[category_id]['name']).strip(),
                (y, x, y + height, x + width), bool(record.get('iscrowd'))))

    found = []
    for id_, record in tqdm(pictures.items(), desc='read', unit='image', disable=None):
        where, name = f'{annotations}: image {id_}', str(record['file_name'])
        if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts:
            problems.append(f'{where}: found file_name {name!r}, which leads out of {images}')
            continue
        stated = record.get('height'), record.get('width')
        is_stated = all(isinstance(side, int | float) and side for side in stated)
        try:
            size_hw = image_size(Path(images) / name, stated if is_stated else None, where)
        except InputError as error:
            problems.append(str(error))
        else:
            found.append(ImportedImage(Path(images) / name, name, size_hw, objects[id_]))
    class_names = [str(categories[id_]['name']).strip() for id_ in sorted(categories, key=_order)]
    raise_problems([*problems, *find_problems(found, class_names)])
    return class_names, found


def _read_json(path):
    try:
        content = json.loads(read_file(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected COCO's JSON"
                         ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error}); expected COCO's JSON") from error
    keys = ('images', 'annotations', 'categories')
    for key in keys:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{path}: has no list {key!r}; expected COCO's JSON with the keys "
                             f'{", ".join(keys)}')
    for key in ('images', 'categories'):
        if not content[key]:
            raise InputError(f'{path}: the list {key!r} is empty; expected at least one')
    return content


def _by_id(content, path, key, needed, problems):
    """Return records by their ids; what lacks a key or repeats an id is a problem."""
    found = {}
    for number, record in enumerate(content[key], start=1):
        where = f'{path}: {key}, record {number}'
        missing = [one for one in ('id', *needed)
                   if not isinstance(record, dict) or record.get(one) is None]
        if missing:
            problems.append(f'{where}: has no {" and no ".join(missing)}')
        elif not _is_id(record['id']):
            problems.append(f'{where}: found id {record["id"]!r}, expected a number')
        elif record['id'] in found:
            problems.append(f'{where}: the id {record["id"]!r} stands twice')
        else:
            found[record['id']] = record
    return found


def _is_id(value):
    return isinstance(value, int | str)


def _order(id_):
    return isinstance(id_, str), id_


def _are_numbers(bbox):
    return (isinstance(bbox, list) and len(bbox) == 4
            and all(isinstance(side, int | float) and abs(side) < math.inf for side in bbox)
            and max(map(abs, bbox)) < _MAX_SIDE)
