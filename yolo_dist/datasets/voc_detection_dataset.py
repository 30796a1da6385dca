"""Pascal VOC, and any set laid out as it."""
import collections
import concurrent.futures
import copy
import unicodedata
from pathlib import PurePosixPath

import numpy as np

from yolo_dist.datasets.check_images import (
    N_THREADS,
    CheckedDataset,
    Finding,
    look_at_image,
    read_image_file,
    repeated,
)
from yolo_dist.datasets.encoded_image import IMAGE_SUFFIXES, EncodedImage
from yolo_dist.datasets.file_tree import open_file_tree
from yolo_dist.datasets.text import is_left_by_system, read_lines, shown
from yolo_dist.datasets.voc_annotation import parse_voc_annotation
from yolo_dist.errors import InputError

VOC_CLASS_NAMES = (
    'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
    'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor')

# As a file system that tells cases apart has them.
VOC_IMAGE_SUFFIXES = (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))

# How far a box may stick out and still be cut off at the edge: rounding, and tools that count
# from another corner. More than that is a box of another image.
_MAX_OVERHANG_PX = 2
_MAX_OVERHANG_SHARE = 0.02


class VOCDetectionDataset(CheckedDataset):
    """Images with boxes, in the layout of Pascal VOC.

    An example is ``(img, bbox, label, difficult)``:

    ============= ============ ========= =====================================================
    name          shape        dtype     meaning
    ============= ============ ========= =====================================================
    ``img``       ``(3, H, W)`` uint8    RGB in [0, 255], of the file's own size
    ``bbox``      ``(R, 4)``    float32  ``(y_min, x_min, y_max, x_max)`` in pixels
    ``label``     ``(R,)``      int32    index into ``class_names``
    ``difficult`` ``(R,)``      bool     whether VOC leaves the object out of the count
    ============= ============ ========= =====================================================

    Annotations are parsed when an example is asked for. A box that sticks out of its image by at
    most 2 px or 2 % of the side is cut off at the edge; one that sticks out more is invalid. An
    annotation that states another size than the image's is an error, unless height and width are
    exchanged.

    Boxes belong to the picture as a viewer shows it, turned as its EXIF data say; unless the
    annotation states the size of the picture as it is stored, with height and width exchanged:
    then it was made without regard to EXIF, and the picture is left as stored.

    Args:
        root (str or ~pathlib.Path): Folder that the splits start from, or the file that it is
            packed in.
        splits (sequence of str): What the set is the union of, such as ``('VOC2007/trainval',
            'VOC2012/trainval')``: folder with ``Annotations``, ``JPEGImages`` and ``ImageSets``,
            then the name of a file in ``ImageSets/Main``.
            A split of one class, whose list has a second column, means the images that hold it.
        class_names (sequence of str): Classes in label order; ``None`` means the 20 of VOC.
        invalid_boxes ({'error', 'drop'}): What becomes of boxes without area, without four
            numbers, or outside the image.
        ignore_classes (sequence of str or 'others'): Classes whose objects are left out;
            ``'others'`` means all that are not in ``class_names``.

    Attributes:
        tree (FolderTree or PackedTree): Where the files are.
        class_names (tuple of str): Classes in label order.
        notes (tuple of str): What is odd about the set as a whole, a line each.

    Raises:
        InputError: If a split is missing, empty or named twice.
    """

    def __init__(self, root, splits, class_names=None, *, invalid_boxes='error',
                 ignore_classes=()):
        self.class_names = tuple(VOC_CLASS_NAMES if class_names is None else class_names)
        self._names_in_files = [unicodedata.normalize('NFC', name) for name in self.class_names]
        self._drops_invalid = invalid_boxes == 'drop'
        self._ignore_classes = ignore_classes
        self.tree = open_file_tree(root)
        self._examples = []
        self._list_files = []
        notes = []
        for split in [splits] if isinstance(splits, str) else splits:
            list_file, ids, n_without = _read_split(self.tree, split)
            if list_file in self._list_files:
                raise InputError(f'{root}: the split {split} is named twice; name it once')
            if n_without:
                notes.append(f'{self.tree.root}/{list_file}: {n_without:,} images whose second '
                             f'column is -1 do not hold the class and are left out')
            self._list_files.append(list_file)
            self._examples += [(str(PurePosixPath(split).parent), id_) for id_ in ids]
        self.notes = (*notes, *repeated(self.example_names()))
        if not self._examples:
            raise InputError(f'{root}: no split was named; expected at least one, such as '
                             'VOC2007/trainval')

    def __len__(self):
        return len(self._examples)

    def get_example(self, i):
        img, *annotation = self.read_example(i)
        return (img.decode(), *annotation)

    def read_example(self, i):
        """Read an example without decoding its image.

        Returns:
            tuple: As an example, but ``img`` is a :class:`~yolo_dist.datasets.EncodedImage`.

        Raises:
            InputError: If a file is missing or damaged, or the annotation is not right.
        """
        path = self.image_path(i)
        annotation = self._read_annotation(i)
        data = read_image_file(self.tree, self._image_file(i))
        img = EncodedImage(data, path)
        if annotation.size_hw not in (None, img.shape[1:]) and (
                annotation.size_hw == img.shape[:0:-1]):
            stored = EncodedImage(data, path, apply_orientation=False)
            if stored.shape[1:] == annotation.size_hw:
                img = stored
        bbox, is_kept, _ = self._fit(annotation, img.shape[1:], i)
        return img, bbox, annotation.label[is_kept], annotation.difficult[is_kept]

    def _fit(self, annotation, size_hw, i):
        """Boxes cut at the edges of the image, which were kept, and messages of the others."""
        path = self.annotation_path(i)
        stated = annotation.size_hw
        if stated not in (None, size_hw, size_hw[::-1]):
            raise InputError(
                f'{path}: states an image {stated[1]} px wide and {stated[0]} px high, but '
                f'{self.image_path(i)} is {size_hw[1]} px wide and {size_hw[0]} px high; scale '
                'the boxes to the image or restore the image; if the boxes fit it, mend <size>')
        bbox, is_kept, messages = _cut_at_edges(annotation, size_hw, path)
        if messages and not self._drops_invalid:
            raise InputError(messages[0])
        return bbox, is_kept, messages

    def read_boxes(self, i):
        """Read an example without its image, where the annotation states the image's size.

        Returns:
            tuple: ``bbox``, ``label`` and ``difficult`` of an example; height and width of the
            image.

        Raises:
            InputError: As :meth:`read_example`.
        """
        annotation = self._read_annotation(i)
        if annotation.size_hw is None:
            img, *annotated = self.read_example(i)
            return (*annotated, img.shape[1:])
        bbox, is_kept, _ = self._fit(annotation, annotation.size_hw, i)
        return (bbox, annotation.label[is_kept], annotation.difficult[is_kept],
                annotation.size_hw)

    def count_classes(self):
        """Count the objects of each class in the annotations, whatever ``class_names`` says.

        Annotations that cannot be read are passed over; the check of the data names them.

        Returns:
            collections.Counter: Name of each class to its number of objects.
        """
        def names_in(i):
            try:
                return parse_voc_annotation(self.tree.read(self._annotation_file(i)), '', (),
                                            ignore_classes='others').ignored
            except (InputError, OSError):
                return ()

        with concurrent.futures.ThreadPoolExecutor(N_THREADS) as pool:
            return collections.Counter(
                name for names in pool.map(names_in, range(len(self))) for name in names)

    def image_path(self, i):
        """Image file of example ``i``: ``JPEGImages/<id>`` with the first ending that exists.

        Returns:
            str: Its path; with ``.jpg`` if there is no such file.
        """
        return f'{self.tree.root}/{self._image_file(i)}'

    def annotation_path(self, i):
        """Annotation file of example ``i``.

        Returns:
            str: Its path.
        """
        return f'{self.tree.root}/{self._annotation_file(i)}'

    def example_names(self):
        """Return what tells examples apart.

        Returns:
            list of str: Folder and name of each image, ``VOC2007/000001``.
        """
        return ['/'.join(example) for example in self._examples]

    def files(self):
        """All that the set is read from.

        Returns:
            list of str: Paths relative to the root.
        """
        return [*self._list_files, *(file(i) for i in range(len(self))
                                     for file in (self._image_file, self._annotation_file))]

    def without(self, indices):
        """Leave examples out.

        Args:
            indices (set of int): Which.

        Returns:
            VOCDetectionDataset: The others, in their order.
        """
        kept = copy.copy(self)
        kept._examples = [example for i, example in enumerate(self._examples)
                          if i not in indices]
        return kept

    def examine(self, i, *, decode=False):
        """See :func:`~yolo_dist.datasets.check_images`, which calls this.

        Yields:
            Finding: What is wrong with example ``i``, or was left out of it.
        """
        try:
            shown_hw, stored_hw = look_at_image(self.tree, self._image_file(i))
            annotation = self._read_annotation(i)
            size_hw = stored_hw if annotation.size_hw == stored_hw else shown_hw
            _, _, outside = self._fit(annotation, size_hw, i)
            if decode:
                self[i]
        except InputError as error:
            yield Finding(i, 'bad example', str(error))
            return
        yield from (Finding(i, 'dropped box', text) for text in (*annotation.invalid, *outside))
        yield from (Finding(i, 'left out', name) for name in annotation.ignored)
        path = self.annotation_path(i)
        if annotation.counts_from_0:
            yield Finding(i, 'from 0', f'{path}: counts pixels from 0, but VOC counts from 1')
        if annotation.filename and (PurePosixPath(annotation.filename).stem
                                    != PurePosixPath(self._examples[i][1]).name):
            yield Finding(i, 'file name', f'{path}: <filename> is {shown(annotation.filename)}')

    def _image_file(self, i):
        folder, id_ = self._examples[i]
        files = [f'{folder}/JPEGImages/{id_}{suffix}' for suffix in VOC_IMAGE_SUFFIXES]
        return next((file for file in files if self.tree.is_file(file)), files[0])

    def _annotation_file(self, i):
        folder, id_ = self._examples[i]
        return f'{folder}/Annotations/{id_}.xml'

    def _read_annotation(self, i):
        path = self.annotation_path(i)
        try:
            data = self.tree.read(self._annotation_file(i))
        except OSError as error:
            raise InputError(f'{path}: the annotation cannot be read ({error.strerror}); every '
                             'image of the split needs one') from error
        return parse_voc_annotation(data, path, self._names_in_files,
                                    ignore_classes=self._ignore_classes,
                                    drops_invalid=self._drops_invalid)


def _read_split(tree, split):
    """Return the file that lists a split, the names of its images, and how many it excludes."""
    folder, name = PurePosixPath(split).parent, PurePosixPath(split).name
    lists = f'{folder}/ImageSets/Main'
    file = f'{lists}/{name.removesuffix(".txt")}.txt'
    path = f'{tree.root}/{file}'
    try:
        lines = [line for _, line in read_lines(tree, file)]
    except OSError as error:
        raise InputError(f'{path}: the split {split} cannot be read ({error.strerror}); splits '
                         f'found there: {_splits_in(tree, lists)}') from error
    n_lines = len(lines)
    # A list of one class: 1 where the image holds it, 0 where only as difficult, -1 where not.
    columns = [line.split() for line in lines]
    if all(len(words) == 2 and words[1] in ('1', '0', '-1') for words in columns):
        lines = [id_ for id_, is_there in columns if is_there != '-1']
    if not lines:
        raise InputError(f'{path}: the split {split} is empty; expected one image name, without '
                         'ending, on each line')
    return file, [_image_id(tree, folder, line) for line in lines], n_lines - len(lines)


def _image_id(tree, folder, text):
    """Return the name of an image without ending and folder, which some lists have."""
    id_ = text.strip('"').replace('\\', '/').rpartition('JPEGImages/')[2].removeprefix('./')
    stem = id_.removesuffix(PurePosixPath(id_).suffix)
    has_ending = PurePosixPath(id_).suffix.lower() in (*IMAGE_SUFFIXES, '.xml')
    if has_ending and not tree.is_file(f'{folder}/Annotations/{id_}.xml'):
        return stem
    return id_


def _splits_in(tree, lists):
    try:
        names = sorted(name for name in tree.list(lists)
                       if name.endswith('.txt') and not is_left_by_system(name))
    except OSError:
        names = []
    return ', '.join(name.removesuffix('.txt') for name in names[:5]) or 'none'


def _cut_at_edges(annotation, size_hw, path):
    """Boxes inside the image; which those are, bool ``(R,)``; messages of the others."""
    bbox, is_kept = annotation.bbox, np.ones(len(annotation.bbox), bool)
    if bbox.min(initial=0) >= 0 and (bbox <= _limit(size_hw)).all():
        return bbox, is_kept, []
    is_kept = ~overhang(bbox, size_hw)
    messages = []
    for number, bb in zip(annotation.number[~is_kept], bbox[~is_kept]):
        y_min, x_min, y_max, x_max = (bb + 1).tolist()
        messages.append(
            f'{path}, object {number}: the box xmin {x_min:g}, ymin {y_min:g}, xmax '
            f'{x_max:g}, ymax {y_max:g} lies outside the image, which is {size_hw[1]} px wide '
            f'and {size_hw[0]} px high; mend the box, or leave such boxes out by '
            'data.invalid_boxes: drop')
    return np.clip(bbox[is_kept], 0, _limit(size_hw)), is_kept, messages


def overhang(bbox, size_hw):
    """Tell which boxes stick out of an image too far to be cut off at its edge.

    Args:
        bbox (ndarray): float ``(R, 4)`` in pixels from 0.
        size_hw (tuple of int): Height and width of the image.

    Returns:
        ndarray: bool ``(R,)``.
    """
    limit = _limit(size_hw)
    cut = np.clip(bbox, 0, limit)
    too_far = np.abs(cut - bbox) > np.maximum(_MAX_OVERHANG_PX, _MAX_OVERHANG_SHARE * limit)
    return too_far.any(axis=1) | (cut[:, 2:] <= cut[:, :2]).any(axis=1)


def _limit(size_hw):
    return np.array([*size_hw, *size_hw], np.float32)
