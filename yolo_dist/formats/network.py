"""What a file of weights belongs to: one of the four networks, its width and its classes."""
import dataclasses
from itertools import takewhile

import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.formats.darknet_layers import convolutions, darknet_layers
from yolo_dist.links import DARKNET_HEADER, Darknet19, Darknet53, YOLOv2, YOLOv3

_LINKS = {'darknet19': Darknet19, 'darknet53': Darknet53, 'yolo_v2': YOLOv2, 'yolo_v3': YOLOv3}
NAMES = tuple(_LINKS)
_MAX_DIGITS = 6


@dataclasses.dataclass(frozen=True)
class Network:
    """A network without its weights.

    Attributes:
        name ({'darknet19', 'darknet53', 'yolo_v2', 'yolo_v3'}): As in an experiment file.
        n_class (int): Number of classes.
        width (float): Factor on all hidden channel counts; 1 is the paper's.
        anchors (list): As ``model.anchors`` of an experiment file; ``None`` is the network's
            own.
        insize (tuple of int): ``(height, width)`` of the input, pixels; ``None`` is 256 px of
            a classifier, 416 px of a detector.
    """

    name: str
    n_class: int
    width: float = 1.0
    anchors: list | None = None
    insize: tuple | None = None

    def __post_init__(self):
        side = 416 if self.is_detector else 256
        object.__setattr__(self, 'insize', self.insize or (side, side))

    @property
    def is_detector(self):
        return self.name.startswith('yolo')

    def layers(self):
        """Layers in the order of a ``.cfg``, a list of ``Layer``."""
        return darknet_layers(self)

    def convolutions(self, n_layers=None):
        """Convolutions among the first ``n_layers`` layers, a list of ``Convolution``."""
        return convolutions(self.layers()[:n_layers])

    def __str__(self):
        return f'{self.name} with {self.n_class:,} class{"es"[:2 * (self.n_class != 1)]}' + (
            f' of width {self.width:g}' if self.width != 1 else '')


def build_link(network):
    """Return the network as a link of this package, freshly initialised.

    Args:
        network (Network): The network.

    Returns:
        ~chainer.Link: A :class:`~yolo_dist.links.Darknet19`, ``Darknet53``, ``YOLOv2`` or
        ``YOLOv3``.
    """
    settings = {'anchors': network.anchors} if network.is_detector else {}
    return _LINKS[network.name](network.n_class, width=network.width, **settings)


def fit_width(network, filters):
    """Return the network with the width that gives its convolutions these filters.

    Widths with few digits are tried first, because people write those.

    Args:
        network (Network): Its ``width`` does not matter.
        filters (list of int): Filters of the first convolutions, or of all.

    Returns:
        Network: Where no width fits, with that of the widest convolution.
    """
    def hidden(width):
        fitted = dataclasses.replace(network, width=width)
        return fitted, [conv.shape[0] for conv in fitted.convolutions() if conv.batch_normalize]

    _, paper = hidden(1.0)
    pairs = list(zip(paper, filters))
    most = max(pairs, default=(1, 1))
    exact = max(1, most[1]) / most[0]
    for n_digits in range(1, _MAX_DIGITS + 1):
        width = round(exact, n_digits)
        if width > 0:
            fitted, expected = hidden(width)
            if [found for _, found in pairs] == expected[:len(pairs)]:
                return fitted
    return hidden(exact)[0]


def recognise_arrays(arrays, path):
    """Tell the network from the names and shapes of its arrays.

    Args:
        arrays (dict of str to ndarray): What ``links.read_weights`` returned.
        path (str or ~pathlib.Path): The file, for the message.

    Returns:
        Network: With the network's own anchors. Of a file that holds the first convolutions
        alone, ``n_class`` is 1.

    Raises:
        InputError: If they are of no network of this package.
    """
    for name in NAMES:
        convs = _first(Network(name, 1), arrays)
        if convs and _names(convs) == {name for name in arrays if _is_of_a_layer(name)}:
            filters = {conv: np.atleast_1d(arrays[conv.weight_name]).shape[0] for conv in convs}
            hidden = [n for conv, n in filters.items() if conv.batch_normalize]
            outputs = [n for conv, n in filters.items() if not conv.batch_normalize]
            n_class = _count_classes(name, outputs[0], path) if outputs else 1
            network = fit_width(Network(name, n_class), hidden)
            match_arrays(network, arrays, path)
            return network
    raise InputError(f'{path}: its arrays ({", ".join(list(arrays)[:3])}, ...) are of none of '
                     f'{", ".join(NAMES)}; expected weights or a snapshot of one of them')


def _count_classes(name, n_filters, path):
    n_anchors = {'yolo_v2': 5, 'yolo_v3': 3}.get(name)
    if n_anchors is None:
        return n_filters
    n_class, rest = divmod(n_filters, n_anchors)
    if rest or n_class < 6:
        raise InputError(f'{path}: the output of {name} has {n_filters} filters, expected '
                         f'{n_anchors} x (5 + classes); if it has other anchors, say so by '
                         '--cfg FILE')
    return n_class - 5


def match_arrays(network, arrays, path):
    """Tell which convolutions of a network arrays hold: all, or the first ones.

    Args:
        network (Network): The network.
        arrays (dict of str to ndarray): What ``links.read_weights`` returned.
        path (str or ~pathlib.Path): The file, for the message.

    Returns:
        list of Convolution: At least one.

    Raises:
        InputError: If an array is missing, of another shape or type, or of another network.
    """
    convs = _first(network, arrays)
    expected = dict(item for conv in convs for item in conv.arrays())
    for name in filter(_is_of_a_layer, arrays):
        if name not in expected:
            raise InputError(f'{path}: found an array {name}, which {network} does not have '
                             f'there; it has {len(convs)} convolutions until then')
    for name, shape in expected.items():
        found = arrays.get(name)
        if found is None or found.shape != shape or found.dtype != np.float32:
            raise InputError(
                f'{path}: {name} is ' + ('missing' if found is None else
                                         f'{found.dtype} {found.shape}')
                + f', expected float32 {shape} of {network}')
    if not convs:
        raise InputError(f'{path}: holds no array; expected those of {network}')
    return convs


def _first(network, arrays):
    return list(takewhile(lambda conv: conv.weight_name in arrays, network.convolutions()))


def _names(convs):
    return {name for conv in convs for name, _ in conv.arrays()}


def _is_of_a_layer(name):
    return name != DARKNET_HEADER and not name.endswith('/bn/N')
