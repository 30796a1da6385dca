"""Synthetic sets, for measuring speed without files: smooth noise under arbitrary labels."""
import functools

import cv2
import numpy as np

from yolo_dist.datasets.check_images import CheckedDataset
from yolo_dist.datasets.voc_detection_dataset import VOC_CLASS_NAMES

_N_BASE_IMAGES = 8
_SIZE_HW = (375, 500)  # of most images of both public sets
_MAX_OBJECTS = 5


@functools.lru_cache(maxsize=1)
def _base_images():
    """Return a few images for all examples, made once in each process; uint8 ``(H, W, 3)``."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(_N_BASE_IMAGES):
        coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
        image = cv2.resize(coarse, _SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)
        image.setflags(write=False)  # all examples share it
        images.append(image)
    return images


class _Synthetic(CheckedDataset):
    def __init__(self, n_examples, class_names):
        self._n_examples = n_examples
        self.class_names = tuple(class_names)
        self.notes = ()

    def __len__(self):
        return self._n_examples

    def read_example(self, i):
        """There is nothing to decode: the same as ``self[i]``."""
        return self[i]

    def _image(self, i):
        # A view of interleaved pixels, as files are read.
        return _base_images()[i % _N_BASE_IMAGES].transpose(2, 0, 1)

    def image_path(self, i):
        """Return what stands for the file of example ``i``."""
        return f'synthetic {i}'

    def examine(self, i, *, decode=False):
        """Nothing can be wrong with it."""
        return ()


class SyntheticClassification(_Synthetic):
    """Stands for :class:`~yolo_dist.datasets.LabelledImageDataset` where speed is measured.

    An example is ``(img, label)``, the same for the same index: ``img`` uint8
    ``(3, 375, 500)``, read-only, one of eight; ``label`` int32 scalar, ``i`` modulo the number
    of classes. What reading and decoding of files takes is left out.

    Args:
        n_examples (int): Its length.
        n_class (int): Number of classes.

    Attributes:
        class_names (tuple of str): '0', '1', ...
    """

    def __init__(self, n_examples, n_class):
        super().__init__(n_examples, map(str, range(n_class)))

    def get_example(self, i):
        i = range(len(self))[i]
        return self._image(i), np.int32(i % len(self.class_names))


class SyntheticDetection(_Synthetic):
    """Stands for :class:`~yolo_dist.datasets.VOCDetectionDataset` where speed is measured.

    An example is ``(img, bbox, label, difficult)`` with arrays as there, the same for the same
    index: one of eight images of 375 x 500 px, read-only, and one to five boxes of 5 to 95 % of
    its sides, none of them difficult. What reading and decoding of files takes is left out.

    Args:
        n_examples (int): Its length.
        class_names (sequence of str): Classes in label order; ``None`` means the 20 of VOC.

    Attributes:
        class_names (tuple of str): Classes in label order.
    """

    def __init__(self, n_examples, class_names=None):
        super().__init__(n_examples, VOC_CLASS_NAMES if class_names is None else class_names)

    def get_example(self, i):
        i = range(len(self))[i]
        rng = np.random.default_rng(i)
        n_objects = rng.integers(1, _MAX_OBJECTS + 1)
        share = rng.uniform(0.05, 0.95, (n_objects, 2))
        corner = rng.uniform(0, 1 - share)
        bbox = np.hstack([corner, corner + share]) * (2 * _SIZE_HW)
        label = rng.integers(len(self.class_names), size=n_objects, dtype=np.int32)
        return (self._image(i), bbox.astype(np.float32), label, np.zeros(n_objects, bool))

    def read_boxes(self, i):
        """See :meth:`~yolo_dist.datasets.VOCDetectionDataset.read_boxes`."""
        return (*self[i][1:], _SIZE_HW)
