"""Images with one class label each."""
import copy

import numpy as np

from yolo_dist.datasets.check_images import (
    CheckedDataset,
    Finding,
    look_at_image,
    read_image_file,
    repeated,
)
from yolo_dist.datasets.encoded_image import EncodedImage
from yolo_dist.errors import InputError


class LabelledImageDataset(CheckedDataset):
    """Image files and the class of each.

    An example is ``(img, label)``: ``img`` uint8 ``(3, H, W)`` in [0, 255], RGB, of the file's
    own size; ``label`` int32 scalar. Made by :func:`~yolo_dist.datasets.load_imagenet`.

    Args:
        tree (FolderTree or PackedTree): Where the files are.
        paths (sequence of str): Image files, relative to the root of ``tree``.
        labels (sequence of int): Index into ``class_names`` for each path.
        class_names (sequence of str): Names of the classes, in label order.
        other_files (sequence of str): What else the set was made from, see :meth:`files`.
        notes (sequence of str): What is odd about the set as a whole, a line each.

    Attributes:
        notes (tuple of str): Those given, and one if images are listed twice.
        tree (FolderTree or PackedTree): As given.
        class_names (tuple of str): Names of the classes, in label order.
        labels (ndarray): int32 ``(len(self),)``.
    """

    def __init__(self, tree, paths, labels, class_names, *, other_files=(), notes=()):
        self.tree = tree
        self._paths = list(paths)
        self._other_files = tuple(other_files)
        self.labels = np.array(labels, dtype=np.int32)
        self.class_names = tuple(class_names)
        self.notes = (*notes, *repeated(self.example_names()))

    def __len__(self):
        return len(self._paths)

    def get_example(self, i):
        img, label = self.read_example(i)
        return img.decode(), label

    def read_example(self, i):
        """Read an example without decoding its image.

        Returns:
            tuple: The image as :class:`~yolo_dist.datasets.EncodedImage`; the label.

        Raises:
            InputError: If the file is missing or no image.
        """
        data = read_image_file(self.tree, self._paths[i])
        return EncodedImage(data, self.image_path(i)), self.labels[i]

    def image_path(self, i):
        """File of example ``i``.

        Returns:
            str: Its path.
        """
        return f'{self.tree.root}/{self._paths[i]}'

    def example_names(self):
        """Return what tells examples apart.

        Returns:
            list of str: Paths of the images relative to the root.
        """
        return list(self._paths)

    def files(self):
        """All that the set is read from.

        Returns:
            list of str: Paths relative to the root; those of class folders end with ``/``.
        """
        return [*self._paths, *self._other_files]

    def without(self, indices):
        """Leave examples out.

        Args:
            indices (set of int): Which.

        Returns:
            LabelledImageDataset: The others, in their order.
        """
        kept = copy.copy(self)
        kept._paths = [path for i, path in enumerate(self._paths) if i not in indices]
        kept.labels = np.delete(self.labels, sorted(indices))
        return kept

    def examine(self, i, *, decode=False):
        """See :func:`~yolo_dist.datasets.check_images`, which calls this.

        Yields:
            Finding: What is wrong with example ``i``.
        """
        try:
            if decode:
                self[i]
            else:
                look_at_image(self.tree, self._paths[i])
        except InputError as error:
            yield Finding(i, 'bad example', str(error))
