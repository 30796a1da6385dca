"""Pascal VOC, and any set laid out as it."""
from pathlib import PurePosixPath

import chainer
import numpy as np

from yolo_dist.datasets.encoded_image import EncodedImage
from yolo_dist.datasets.file_tree import open_file_tree
from yolo_dist.datasets.problems import raise_problems
from yolo_dist.datasets.voc_annotation import parse_voc_annotation
from yolo_dist.errors import InputError

VOC_CLASS_NAMES = (
    'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
    'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor')

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.JPG', '.JPEG', '.PNG', '.bmp')

# How far a box may stick out and still be cut off at the edge: rounding, and tools that count
# from another corner. More than that is a box of another image.
_MAX_OVERHANG_PX = 2
_MAX_OVERHANG_SHARE = 0.02


class VOCDetectionDataset(chainer.dataset.DatasetMixin):
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
    most 2 px or 2 % of the side is cut off at the edge; one that sticks out more is an error.

    Boxes belong to the picture as a viewer shows it, turned as its EXIF data say; unless the
    annotation states the size of the picture as it is stored, with height and width exchanged:
    then it was made without regard to EXIF, and the picture is left as stored.

    Args:
        root (str or ~pathlib.Path): Folder that the splits start from, or the file that it is
            packed in.
        splits (sequence of str): What the set is the union of, such as ``('VOC2007/trainval',
            'VOC2012/trainval')``: folder with ``Annotations``, ``JPEGImages`` and ``ImageSets``,
            then the name of a file in ``ImageSets/Main``.
        class_names (sequence of str): Classes in label order; ``None`` means the 20 of VOC.

    Attributes:
        tree (FolderTree or PackedTree): Where the files are.
        class_names (tuple of str): Classes in label order.

    Raises:
        InputError: If a split is missing or empty.
    """

    def __init__(self, root, splits, class_names=None):
        self.class_names = tuple(VOC_CLASS_NAMES if class_names is None else class_names)
        self.tree = open_file_tree(root)
        self._examples = []
        self._list_files = []
        for split in [splits] if isinstance(splits, str) else splits:
            list_file, ids = _read_split(self.tree, split)
            self._list_files.append(list_file)
            self._examples += [(str(PurePosixPath(split).parent), id_) for id_ in ids]
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
        try:
            data = self.tree.read(self._image_file(i))
        except OSError as error:
            raise InputError(f'{path}: the image cannot be read ({error.strerror}); check the '
                             'path and the list it comes from') from error
        img = EncodedImage(data, path)
        if annotation.size_hw not in (None, img.shape[1:]) and (
                annotation.size_hw == img.shape[:0:-1]):
            stored = EncodedImage(data, path, apply_orientation=False)
            if stored.shape[1:] == annotation.size_hw:
                img = stored
        bbox = _cut_at_edges(annotation, img.shape[1:], self.annotation_path(i))
        return img, bbox, annotation.label, annotation.difficult

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
        bbox = _cut_at_edges(annotation, annotation.size_hw, self.annotation_path(i))
        return bbox, annotation.label, annotation.difficult, annotation.size_hw

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

    def files(self):
        """All that the set is read from.

        Returns:
            list of str: Paths relative to the root.
        """
        return [*self._list_files, *(file(i) for i in range(len(self))
                                     for file in (self._image_file, self._annotation_file))]

    def check(self):
        """Parse every annotation and looks for every image file, without reading it.

        A box is compared with the size that its annotation states. The image is decoded only if
        no size is stated, or the box does not fit into it.

        Raises:
            InputError: If anything is wrong; lists up to five problems.
        """
        raise_problems(message for i in range(len(self)) for message in self._problems(i))

    def _problems(self, i):
        if not self.tree.is_file(self._image_file(i)):
            yield f'{self.image_path(i)}: no such image file'
            return
        try:
            annotation = self._read_annotation(i)
            if annotation.size_hw is None or overhang(annotation.bbox, annotation.size_hw).any():
                self[i]
        except InputError as error:
            yield str(error)

    def _image_file(self, i):
        folder, id_ = self._examples[i]
        files = [f'{folder}/JPEGImages/{id_}{suffix}' for suffix in IMAGE_SUFFIXES]
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
        return parse_voc_annotation(data, path, self.class_names)


def _read_split(tree, split):
    """Return the file that lists a split, and the names of its images."""
    folder, name = PurePosixPath(split).parent, PurePosixPath(split).name
    lists = f'{folder}/ImageSets/Main'
    file = f'{lists}/{name}.txt'
    path = f'{tree.root}/{file}'
    try:
        lines = tree.read(file).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: the split {split} cannot be read ({error}); splits found '
                         f'there: {_splits_in(tree, lists)}') from error
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise InputError(f'{path}: the split {split} is empty; expected one image name, without '
                         'ending, on each line')
    return file, ids


def _splits_in(tree, lists):
    try:
        names = sorted(name for name in tree.list(lists) if name.endswith('.txt'))
    except OSError:
        names = []
    return ', '.join(name.removesuffix('.txt') for name in names[:5]) or 'none'


def _cut_at_edges(annotation, size_hw, path):
    if annotation.bbox.min(initial=0) >= 0 and (annotation.bbox <= _limit(size_hw)).all():
        return annotation.bbox
    outside = overhang(annotation.bbox, size_hw)
    if outside.any():
        number = int(outside.argmax())
        y_min, x_min, y_max, x_max = (annotation.bbox[number] + 1).tolist()
        raise InputError(
            f'{path}, object {number + 1}: the box xmin {x_min:g}, ymin {y_min:g}, xmax '
            f'{x_max:g}, ymax {y_max:g} lies outside the image, which is {size_hw[1]} px wide '
            f'and {size_hw[0]} px high; mend the box, or the size if the image was resized')
    return np.clip(annotation.bbox, 0, _limit(size_hw))


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
