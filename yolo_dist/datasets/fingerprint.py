"""What a data set is, in a line, so that processes can tell whether they see the same one."""

import hashlib

# Files to look at: those of a class each in ImageNet's training set, which is sorted by class.
_N_FILES = 1024


def fingerprint(dataset):
    """Summarize a data set without reading its images.

    Args:
        dataset: A set of this package.

    Returns:
        str: Number of images; digests of the classes, of the list with its labels, and of 1,024
        examples spread over it: the sizes of the images, and the annotations themselves.
    """
    if not hasattr(dataset, 'tree'):
        return f'{len(dataset):,} synthetic images'
    return (f'{len(dataset):,} images, classes {_digest(dataset.class_names)}, '
            f'list {_digest(_entries(dataset))}, files {_digest(_files(dataset))}')


def _digest(texts):
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f'{text}\0'.encode())
    return digest.hexdigest()[:12]


def _entries(dataset):
    if hasattr(dataset, 'labels'):
        return (f'{_inside(dataset, dataset.image_path(i))} {dataset.labels[i]}'
                for i in range(len(dataset)))
    return (_inside(dataset, dataset.annotation_path(i)) for i in range(len(dataset)))


def _files(dataset):
    n = len(dataset)
    for i in sorted({j * n // _N_FILES for j in range(_N_FILES)}):
        try:
            yield dataset.tree.size(_inside(dataset, dataset.image_path(i)))
            if not hasattr(dataset, 'labels'):
                yield dataset.tree.read(_inside(dataset, dataset.annotation_path(i)))
        except OSError as error:  # whoever trains on it says more
            yield error.strerror


def _inside(dataset, path):
    return path.removeprefix(f'{dataset.tree.root}/')
