"""One look at every example of a set."""
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from yolo_dist.datasets import check_images

_N_AT_ONCE = 512  # files that are read twice, the second time from memory


class Survey(NamedTuple):
    """What a set holds.

    Attributes:
        class_names (tuple of str): Classes in label order.
        n_examples (int): Its length.
        sizes_hw (ndarray): int ``(N, 2)``, height and width of the images that can be read.
        annotations (list of tuple): What follows the image in each of these examples.
        findings (list of ~yolo_dist.datasets.Finding): What the check of training finds.
    """

    class_names: tuple
    n_examples: int
    sizes_hw: np.ndarray
    annotations: list
    findings: list

    @property
    def faults(self):
        """One message for each example that cannot be used."""
        return [finding.message for finding in self.findings if finding.kind == 'bad example']


def survey(dataset, name):
    """Check and decode every example of a set, and count what is in the good ones.

    Args:
        dataset: A training or held-out set of :mod:`yolo_dist.datasets`.
        name (str): What the progress bar calls it.

    Returns:
        Survey: All that was found, faults too.
    """
    sizes_hw, annotations, findings = [], [], []
    with tqdm(desc=name, total=len(dataset), unit='image', disable=None) as progress:
        for start in range(0, len(dataset), _N_AT_ONCE):
            indices = range(start, min(start + _N_AT_ONCE, len(dataset)))
            found = check_images(dataset, decode=True, indices=indices)
            bad = {finding.index for finding in found if finding.kind == 'bad example'}
            findings += found
            for i in indices:
                if i not in bad:
                    img, *annotation = dataset.read_example(i)
                    sizes_hw.append(img.shape[1:])
                    annotations.append(tuple(annotation))
            progress.update(len(indices))
    return Survey(dataset.class_names, len(dataset), np.array(sizes_hw, int).reshape(-1, 2),
                  annotations, findings)
