"""What can be told of a data set before training: the one place where examples are checked."""
import collections
import concurrent.futures
from typing import NamedTuple

import chainer

from yolo_dist.datasets.encoded_image import MAX_PIXELS, EncodedImage
from yolo_dist.datasets.image_headers import (
    JPEG_START,
    PNG_END,
    PNG_START,
    parse_jpeg_header,
    png_size,
)
from yolo_dist.datasets.problems import raise_problems
from yolo_dist.errors import InputError

# Headers are in the first kilobytes, but for long comments and thumbnails.
_END_BYTES = 1 << 14
# More than cores: on a network file system they wait most of the time.
N_THREADS = 8
_EXAMPLES_PER_TASK = 64


class Finding(NamedTuple):
    """Something about one example of a data set.

    Attributes:
        index (int): The example.
        kind ({'bad example', 'dropped box', 'left out', 'from 0', 'file name'}): It cannot be
            used; a box of it was left out as ``data.invalid_boxes`` says, or an object as
            ``data.ignore_classes`` says; it counts pixels from 0; its annotation names another
            file.
        message (str): One line that names the file; of an object left out the class alone.
    """

    index: int
    kind: str
    message: str


class CheckedDataset(chainer.dataset.DatasetMixin):
    """A data set whose examples can be looked at before training.

    A subclass defines ``examine(i, decode=False)``, which yields the findings of an example.
    """

    def check(self):
        """Look at every example as :func:`check_images` does.

        Raises:
            InputError: If an example cannot be used; lists up to five problems.
        """
        raise_problems(finding.message for finding in check_images(self)
                       if finding.kind == 'bad example')


def check_images(dataset, *, decode=False, indices=None, progress=None):
    """Look at examples of a data set without training on them.

    The start and the end of each image file are read: what is missing, empty, no image or cut
    off is found, and a picture of another size than its annotation states. Every annotation is
    parsed. Damage in the middle of an image shows only where it is decoded.

    Measured on one core with files in memory: 0.1 ms an example, 2 to 5 ms with ``decode``.

    Args:
        dataset: A data set of this package.
        decode (bool): Whether the images are also decoded.
        indices (sequence of int): Which examples; ``None`` means all.
        progress (callable): Called with the number of examples that were looked at since the
            last call.

    Returns:
        list of Finding: In the order of ``indices``.
    """
    indices = range(len(dataset)) if indices is None else indices
    tasks = [indices[at:at + _EXAMPLES_PER_TASK]
             for at in range(0, len(indices), _EXAMPLES_PER_TASK)]

    def look(task):
        return [finding for i in task for finding in dataset.examine(i, decode=decode)]

    findings = []
    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as pool:
        for task, found in zip(tasks, pool.map(look, tasks)):
            findings += found
            if progress is not None:
                progress(len(task))
    return findings


def read_image_file(tree, path):
    """Read an image file of a data set.

    Args:
        tree (FolderTree or PackedTree): Where the file is.
        path (str): Relative to the root of ``tree``.

    Returns:
        bytes: All of it.

    Raises:
        InputError: If it is missing or cannot be read.
    """
    try:
        return tree.read(path)
    except OSError as error:
        raise InputError(f'{tree.root}/{path}: the image cannot be read ({error.strerror}); check '
                         'the path and the list it comes from') from error


def look_at_image(tree, path):
    """Find out the size of an image file, and whether it is whole, from its start and its end.

    Where those do not tell, the file is read and decoded.

    Args:
        tree (FolderTree or PackedTree): Where the file is.
        path (str): Relative to the root of ``tree``.

    Returns:
        tuple: Height and width as shown, and as stored: those differ where EXIF turns it.

    Raises:
        InputError: If it is missing, empty, no image, cut off, or too large.
    """
    name = f'{tree.root}/{path}'
    try:
        start, end = tree.read_ends(path, _END_BYTES)
        size_hw, is_turned = _read_header(start, end)
        if size_hw is None:
            data = tree.read(path)
            size_hw = EncodedImage(data, name, apply_orientation=False).shape[1:]
            is_turned = EncodedImage(data, name).shape[1:] != size_hw
    except FileNotFoundError as error:
        raise InputError(f'{name}: no such image file; check data.root and the list it comes '
                         'from' + ('' if name.isascii() else f' (found {ascii(path)})')) from error
    except OSError as error:
        raise InputError(f'{name}: the image cannot be read ({error.strerror})') from error
    return (size_hw[::-1] if is_turned else size_hw), size_hw


def _read_header(start, end):
    """Size as stored and whether EXIF exchanges its sides; ``None`` if the ends do not tell."""
    size_hw, is_turned = None, False
    if start.startswith(JPEG_START):
        # With an end mark added, the start of a long file tells whether the pixels begin in it.
        header = parse_jpeg_header(start + b'\xff\xd9' if end else start)
        if header.is_whole and (not end or b'\xff\xd9' in end):
            size_hw, is_turned = header.size_hw, header.orientation >= 5
    elif start.startswith(PNG_START) and PNG_END in (end or start) and b'eXIf' not in start:
        size_hw = png_size(start)
    if size_hw is None or not 0 < size_hw[0] * size_hw[1] <= MAX_PIXELS:
        return None, False
    return size_hw, is_turned


def repeated(names):
    """Say how many examples stand in the lists more than once.

    Args:
        names (sequence of str): One for each example.

    Returns:
        list of str: One line, or none.
    """
    often = [(name, n) for name, n in collections.Counter(names).items() if n > 1]
    if not often:
        return []
    return [f'{len(often)} images are listed more than once, such as {often[0][0]} '
            f'({often[0][1]} times)']
