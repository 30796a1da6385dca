"""Images with one class label each."""
from pathlib import Path

import numpy as np

from yolo_dist.datasets.problems import raise_problems
from yolo_dist.datasets.read_image import read_image


class LabelledImageDataset:
    """Image files and the class of each.

    An example is ``(img, label)``: ``img`` uint8 ``(3, H, W)`` in [0, 255], RGB, of the file's
    own size; ``label`` int32 scalar. Made by :func:`~yolo_dist.datasets.load_imagenet`.

    Args:
        root (str or ~pathlib.Path): Folder that the paths start from.
        paths (sequence of str): Image files, relative to ``root``.
        labels (sequence of int): Index into ``class_names`` for each path.
        class_names (sequence of str): Names of the classes, in label order.

    Attributes:
        class_names (tuple of str): Names of the classes, in label order.
        labels (ndarray): int32 ``(len(self),)``.
    """

    def __init__(self, root, paths, labels, class_names):
        self._root = str(root)
        self._paths = list(paths)
        self.labels = np.array(labels, dtype=np.int32)
        self.class_names = tuple(class_names)

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, i):
        return read_image(self.image_path(i)), self.labels[i]

    def image_path(self, i):
        """File of example ``i``.

        Returns:
            str: Its path.
        """
        return f'{self._root}/{self._paths[i]}'

    def check(self):
        """Looks for every file once, without reading it.

        Raises:
            InputError: If files are missing; names the first of them.
        """
        raise_problems(
            f'{self.image_path(i)}: no such image file' for i in range(len(self))
            if not Path(self.image_path(i)).is_file())
