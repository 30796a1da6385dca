"""Weights that lie in no run directory, and the network they belong to."""
import numpy as np

from yolo_dist.formats.darknet_cfg import read_darknet_cfg
from yolo_dist.formats.darknet_weights import is_npz, read_darknet_weights
from yolo_dist.formats.network import recognise_arrays
from yolo_dist.links import DARKNET_HEADER, read_weights


def read_network_file(path, cfg=None):
    """Read weights of this package, of ChainerCV or of Darknet.

    Args:
        path (~pathlib.Path): An npz file, or weights of Darknet, whole or the first layers.
        cfg (str or ~pathlib.Path): Darknet's description of the network; ``None`` tells it by
            the arrays.

    Returns:
        tuple: The :class:`Network`; its arrays, as ``links.read_weights`` returns them.

    Raises:
        InputError: If a file cannot be read, or is of another network.
    """
    network = None if cfg is None else read_darknet_cfg(cfg)
    if is_npz(path):
        arrays = read_weights(path)
        return network or recognise_arrays(arrays, path), arrays
    found = read_darknet_weights(path, network)
    return found.network, {**found.arrays, DARKNET_HEADER: np.array(found.header)}
