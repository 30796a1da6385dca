"""Images with one class label each."""
import chainer
import numpy as np

from yolo_dist.datasets.encoded_image import EncodedImage
from yolo_dist.datasets.problems import raise_problems
from yolo_dist.errors import InputError


class LabelledImageDataset(chainer.dataset.DatasetMixin):
    """Image files and the class of each.

    An example is ``(img, label)``: ``img`` uint8 ``(3, H, W)`` in [0, 255], RGB, of the file's
    own size; ``label`` int32 scalar. Made by :func:`~yolo_dist.datasets.load_imagenet`.

    Args:
        tree (FolderTree or PackedTree): Where the files are.
        paths (sequence of str): Image files, relative to the root of ``tree``.
        labels (sequence of int): Index into ``class_names`` for each path.
        class_names (sequence of str): Names of the classes, in label order.
        other_files (sequence of str): What else the set was made from, see :meth:`files`.

    Attributes:
        tree (FolderTree or PackedTree): As given.
        class_names (tuple of str): Names of the classes, in label order.
        labels (ndarray): int32 ``(len(self),)``.
    """

    def __init__(self, tree, paths, labels, class_names, *, other_files=()):
        self.tree = tree
        self._paths = list(paths)
        self._other_files = tuple(other_files)
        self.labels = np.array(labels, dtype=np.int32)
        self.class_names = tuple(class_names)

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
        try:
            data = self.tree.read(self._paths[i])
        except OSError as error:
            raise InputError(f'{self.image_path(i)}: the image cannot be read '
                             f'({error.strerror}); check the path and the list it comes from'
                             ) from error
        return EncodedImage(data, self.image_path(i)), self.labels[i]

    def image_path(self, i):
        """File of example ``i``.

        Returns:
            str: Its path.
        """
        return f'{self.tree.root}/{self._paths[i]}'

    def files(self):
        """All that the set is read from.

        Returns:
            list of str: Paths relative to the root; those of class folders end with ``/``.
        """
        return [*self._paths, *self._other_files]

    def check(self):
        """Look for every file once, without reading it.

        Raises:
            InputError: If files are missing; names the first of them.
        """
        raise_problems(
            f'{self.image_path(i)}: no such image file' for i, path in enumerate(self._paths)
            if not self.tree.is_file(path))
