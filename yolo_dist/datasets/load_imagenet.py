"""ImageNet as class folders, or as a list file."""
from yolo_dist.datasets.file_tree import open_file_tree
from yolo_dist.datasets.labelled_image_dataset import LabelledImageDataset
from yolo_dist.errors import InputError

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def load_imagenet(root, source, *, class_names=None):
    """Open one split of ImageNet, or of any set laid out as it.

    ``source`` is either a folder that holds one folder of images for each class, or a text file
    with a line ``relative/path label`` for each image. A label is a number from 0, or the name
    of a class. Paths in the file start from ``root``.

    Args:
        root (str or ~pathlib.Path): Folder of the whole set, or the file that it is packed in.
        source (str): Folder or list file, relative to ``root``.
        class_names (sequence of str): Classes in label order; those of the training set when
            the held-out set is opened, so that both agree. ``None``: the sorted names of the
            folders, or of the labels in the file; for numbers '0', '1', ... up to the largest.

    Returns:
        LabelledImageDataset: In the order of the sorted paths, or of the file.

    Raises:
        InputError: If ``source`` is missing or empty, a label is unknown, or the class folders
            are not those of ``class_names``.
    """
    tree = open_file_tree(root)
    path = f'{tree.root}/{source}'
    if tree.is_folder(source):
        paths, names, found_names = _list_class_folders(tree, source)
        other_files = [f'{source}/{name}/' for name in found_names]
        if class_names is not None:
            _check_same_classes(path, found_names, class_names)
    elif tree.is_file(source):
        paths, names = _parse_list_file(tree, source)
        found_names = _class_names_of(names)
        other_files = [source]
    else:
        raise InputError(f'{path}: found neither a folder of class folders nor a list file; '
                         'check data.root and the name of the split')
    if not paths:
        raise InputError(f'{path}: holds no image; expected <class>/<image> with one of the '
                         f'endings {", ".join(IMAGE_SUFFIXES)}, or lines "path label"')

    class_names = tuple(found_names if class_names is None else class_names)
    index = {name: i for i, name in enumerate(class_names)}
    if tree.is_file(source) and all(name.isdecimal() for name in names):
        index |= {str(i): i for i in range(len(class_names))}
    for line, name in enumerate(names):
        if name not in index:
            raise InputError(
                f'{path}, image {line + 1} ({paths[line]}): found label {name!r}, expected one '
                f'of {len(class_names)} classes ({_in_short(class_names)})')
    return LabelledImageDataset(tree, paths, [index[name] for name in names], class_names,
                                other_files=other_files)


def _list_class_folders(tree, source):
    paths, names = [], []
    class_names = sorted(name[:-1] for name in tree.list(source)
                         if name.endswith('/') and not name.startswith('.'))
    for class_name in class_names:
        for file in sorted(tree.list(f'{source}/{class_name}')):
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith('.'):
                paths.append(f'{source}/{class_name}/{file}')
                names.append(class_name)
    return paths, names, class_names


def _parse_list_file(tree, source):
    path = f'{tree.root}/{source}'
    try:
        lines = tree.read(source).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read as a list of images ({error}); expected text '
                         'with lines "path label"') from error
    paths, names = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # Paths may hold blanks, labels do not.
        words = line.rsplit(maxsplit=1)
        if len(words) != 2:
            raise InputError(f'{path}, line {number}: found {line.strip()!r}, expected '
                             '"path label"')
        paths.append(words[0].strip())
        names.append(words[1])
    if names and all(name.isdecimal() for name in names):
        names = [str(int(name)) for name in names]
    return paths, names


def _class_names_of(names):
    if names and all(name.isdecimal() for name in names):
        return [str(i) for i in range(max(map(int, names)) + 1)]
    return sorted(set(names))


def _check_same_classes(path, found, expected):
    missing = [name for name in expected if name not in set(found)]
    unknown = [name for name in found if name not in set(expected)]
    if missing or unknown:
        parts = [f'lacks {_in_short(missing)}'] * bool(missing)
        parts += [f'has {_in_short(unknown)} too many'] * bool(unknown)
        raise InputError(f'{path}: its class folders are not those of the training set: it '
                         f'{" and ".join(parts)}; both must hold the same classes')


def _in_short(names, n_shown=5):
    shown = ', '.join(repr(name) for name in names[:n_shown])
    return shown if len(names) <= n_shown else f'{shown} and {len(names) - n_shown} more'
