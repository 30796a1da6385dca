"""ImageNet as class folders, or as a list file."""
import unicodedata

from yolo_dist.datasets.encoded_image import IMAGE_SUFFIXES
from yolo_dist.datasets.file_tree import open_file_tree
from yolo_dist.datasets.labelled_image_dataset import LabelledImageDataset
from yolo_dist.datasets.text import is_left_by_system, read_lines, shown
from yolo_dist.errors import InputError, in_short

_MAX_DIGITS = 6


def load_imagenet(root, source, *, class_names=None, ignore_classes=()):
    """Open one split of ImageNet, or of any set laid out as it.

    ``source`` is either a folder that holds one folder of images for each class, or a text file
    with a line ``relative/path label`` for each image. A label is the name of a class, or a
    number from 0; where class names are numbers, see :func:`_label_indices`. Paths in the file
    start from ``root``.

    Args:
        root (str or ~pathlib.Path): Folder of the whole set, or the file that it is packed in.
        source (str): Folder or list file, relative to ``root``.
        class_names (sequence of str): Classes in label order; those of the training set when
            the held-out set is opened, so that both agree. ``None``: the sorted names of the
            folders, or of the labels in the file; for numbers '0', '1', ... up to the largest.
        ignore_classes (sequence of str): Classes whose images are left out.

    Returns:
        LabelledImageDataset: In the order of the sorted paths, or of the file.

    Raises:
        InputError: If ``source`` is missing or empty, a label is unknown or has two meanings,
            or the class folders are not those of ``class_names``.
    """
    tree = open_file_tree(root)
    path = f'{tree.root}/{source}'
    notes = []
    if tree.is_folder(source):
        paths, names, found_names, notes = _list_class_folders(tree, source, ignore_classes)
        other_files = [f'{source}/{name}/' for name in found_names]
        if class_names is not None:
            _check_same_classes(path, found_names, class_names)
    elif tree.is_file(source):
        paths, names = _parse_list_file(tree, source)
        _check_lengths(path, paths, names)
        kept = [i for i, name in enumerate(names) if name not in ignore_classes]
        paths, names = [paths[i] for i in kept], [names[i] for i in kept]
        found_names = _class_names_of(names)
        other_files = [source]
    else:
        raise InputError(f'{path}: found neither a folder of class folders nor a list file; '
                         'check data.root and the name of the split')
    if not paths:
        raise InputError(f'{path}: holds no image; expected <class>/<image> with one of the '
                         f'endings {", ".join(IMAGE_SUFFIXES)}, or lines "path label"')

    class_names = tuple(found_names if class_names is None else class_names)
    labels = _label_indices(path, paths, names, class_names)
    return LabelledImageDataset(tree, paths, labels, class_names, other_files=other_files,
                                notes=notes)


def _list_class_folders(tree, source, ignore_classes):
    paths, names, notes = [], [], []
    class_names = sorted(name[:-1] for name in tree.list(source)
                         if name.endswith('/') and not is_left_by_system(name)
                         and name[:-1] not in ignore_classes)
    for class_name in class_names:
        files = sorted(file for file in tree.list(f'{source}/{class_name}')
                       if not is_left_by_system(file))
        images = [file for file in files if file.lower().endswith(IMAGE_SUFFIXES)]
        where = f'{tree.root}/{source}/{class_name}'
        if not images:
            notes.append(f'{where}: the class folder holds no image')
        elif len(images) < len(files):
            other = next(file for file in files if file not in set(images))
            notes.append(f'{where}: {len(files) - len(images)} files are not read, as their names '
                         f'do not end as those of images do, such as {shown(other)}')
        paths += [f'{source}/{class_name}/{file}' for file in images]
        names += [class_name] * len(images)
    return paths, names, class_names, notes


def _parse_list_file(tree, source):
    path = f'{tree.root}/{source}'
    try:
        lines = read_lines(tree, source)
    except OSError as error:
        raise InputError(f'{path}: cannot be read as a list of images ({error.strerror}); '
                         'expected text with lines "path label"') from error
    paths, names = [], []
    for number, line in lines:
        words = _split_line(line)
        if words is None:
            raise InputError(f'{path}, line {number}: found {shown(line)}, expected '
                             '"path label"')
        image, name = words
        if '\\' in image and not tree.is_file(image):
            image = image.replace('\\', '/')
        paths.append(image)
        names.append(unicodedata.normalize('NFC', name))
    return paths, names


def _split_line(line):
    """Path and label of a line; paths may hold blanks, and labels after a tab or comma."""
    for separator in ('\t', None, ',', ';'):
        words = [word.strip().strip('"') for word in line.rsplit(separator, maxsplit=1)]
        if len(words) == 2 and all(words):
            return words
    return None


def _check_lengths(path, paths, names):
    """Numbers count classes, so one of many digits would be a list as long as it says."""
    for line, name in enumerate(names):
        if name.isdecimal() and len(name) > _MAX_DIGITS:
            raise InputError(
                f'{path}, image {line + 1} ({paths[line]}): found a label of {len(name)} digits, '
                f'expected at most {_MAX_DIGITS}; number the classes from 0')


def _class_names_of(names):
    if names and all(name.isdecimal() for name in names):
        return [str(i) for i in range(max(map(int, names)) + 1)]
    return sorted(set(names))


def _label_indices(path, paths, names, class_names):
    """Return the index of the class that each label means.

    Labels mean classes by name if all of them are names; else, if all are numbers, by their
    value ('1' for a class '01') or their place from 0, whichever all of them fit. A label that
    would be two classes so is an error.
    """
    by_name = {unicodedata.normalize('NFC', name): i for i, name in enumerate(class_names)}
    unknown = next((i for i, name in enumerate(names) if name not in by_name), None)
    if unknown is None:
        return [by_name[name] for name in names]
    if all(name.isdecimal() for name in names):
        numbers = [int(name) for name in names]
        by_value = {int(name): i for i, name in enumerate(class_names) if name.isdecimal()}
        has_place = all(number < len(class_names) for number in numbers)
        for number, name in zip(numbers, names):
            if has_place and by_value.get(number, number) != number:
                raise InputError(
                    f'{path}: label {name!r} has two meanings: the class named '
                    f'{class_names[by_value[number]]!r}, or number {number} from 0, which is the '
                    f'class {class_names[number]!r}; write the names of the class folders, all '
                    'of them as they are')
        if has_place:
            return numbers
        if all(number in by_value for number in numbers):
            return [by_value[number] for number in numbers]
        unknown = next(i for i, number in enumerate(numbers)
                       if number not in by_value and number >= len(class_names))
    raise InputError(
        f'{path}, image {unknown + 1} ({paths[unknown]}): found label {shown(names[unknown])}, '
        f'expected one of {len(class_names)} classes ({_quoted(class_names)})')


def _check_same_classes(path, found, expected):
    missing = [name for name in expected if name not in set(found)]
    unknown = [name for name in found if name not in set(expected)]
    if missing or unknown:
        parts = [f'lacks {_quoted(missing)}'] * bool(missing)
        parts += [f'has {_quoted(unknown)} too many'] * bool(unknown)
        raise InputError(f'{path}: its class folders are not those of the training set: it '
                         f'{" and ".join(parts)}; both must hold the same classes')


def _quoted(names):
    return in_short(list(map(repr, names)), 5)
