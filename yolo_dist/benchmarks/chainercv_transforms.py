"""What a user of ChainerCV would write for the same training examples."""
import numpy as np
from chainercv import transforms
from chainercv.links.model.ssd import random_distort
from chainercv.utils import read_image

# Of ChainerCV's ImageNet models.
_MEAN = np.array([123.15163084, 115.90288257, 103.0626238], np.float32)[:, None, None]


def create(task, dataset, input_size_px):
    """Make a run over all examples, by the parts of ChainerCV's own training examples.

    Args:
        task ({'classification', 'detection'}): Random sized crop, resize, flip and mean; or
            SSD's colour distortion, resize and flip.
        dataset: Has ``image_path``; for detection its boxes are read from there beforehand.
        input_size_px (int): Side of the result.

    Returns:
        callable: Makes every example once.
    """
    paths = [dataset.image_path(i) for i in range(len(dataset))]
    size_hw = input_size_px, input_size_px
    if task == 'classification':
        def classify():
            for path in paths:
                img = transforms.random_sized_crop(read_image(path))
                img = transforms.resize(img, size_hw)
                img = transforms.random_flip(img, x_random=True)
                img -= _MEAN
        return classify

    bboxes = [dataset.read_example(i)[1] for i in range(len(dataset))]

    def detect():
        for path, bbox in zip(paths, bboxes, strict=True):
            img = random_distort(read_image(path))
            old_hw = img.shape[1:]
            img = transforms.resize(img, size_hw)
            bbox = transforms.resize_bbox(bbox, old_hw, size_hw)
            img, flips = transforms.random_flip(img, x_random=True, return_param=True)
            transforms.flip_bbox(bbox, size_hw, x_flip=flips['x_flip'])
    return detect
