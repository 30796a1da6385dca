"""The four networks as Darknet writes them down: a list of layers, the weights in their order."""
from math import prod
from typing import NamedTuple

from yolo_dist.links import YOLOv2, YOLOv3, scale_channels


class Layer(NamedTuple):
    """One section of a ``.cfg``.

    Attributes:
        kind (str): Such as ``convolutional``.
        options (dict): ``{key: value}`` of the section.
        name (str): Of a convolution: what the names of its arrays in an npz file begin with.
        n_boxes (int): Of a detector's output: boxes of a cell.
        line (int): Of a section that was read: its line in the file.
    """

    kind: str
    options: dict
    name: str | None = None
    n_boxes: int = 0
    line: int | None = None


class Convolution(NamedTuple):
    """What a convolution keeps in files of weights.

    Attributes:
        name (str): See :class:`Layer`.
        shape (tuple of int): Of its filters, ``(out, in, k, k)``.
        batch_normalize (bool): Whether batch normalisation stands in place of the bias.
        n_boxes (int): See :class:`Layer`.
    """

    name: str
    shape: tuple
    batch_normalize: bool
    n_boxes: int = 0

    def arrays(self):
        """Names and shapes of its arrays in the order of a ``.weights`` file."""
        if not self.batch_normalize:
            return [(f'{self.name}/b', self.shape[:1]), (f'{self.name}/W', self.shape)]
        return [*((f'{self.name}/bn/{key}', self.shape[:1])
                  for key in ('beta', 'gamma', 'avg_mean', 'avg_var')),
                (f'{self.name}/conv/W', self.shape)]

    @property
    def weight_name(self):
        """Name of the array of its filters."""
        return f'{self.name}/conv/W' if self.batch_normalize else f'{self.name}/W'

    @property
    def size(self):
        """How many numbers it keeps."""
        return sum(prod(shape) for _, shape in self.arrays())

    def swap_axes(self, array):
        """Turn a detector's box outputs round: y, x, h, w here, x, y, w, h in Darknet.

        Args:
            array (ndarray): Filters or bias of this convolution.

        Returns:
            ndarray: A copy, or ``array`` itself where there are no boxes.
        """
        if not self.n_boxes:
            return array
        swapped = array.reshape(self.n_boxes, -1, *array.shape[1:]).copy()
        swapped[:, :4] = swapped[:, [1, 0, 3, 2]]
        return swapped.reshape(array.shape)


def absolute(index, position):
    """Return the number of the layer that layer ``position`` calls ``index``."""
    return index if index >= 0 else position + index


def convolutions(layers):
    """List the convolutions of a network.

    Args:
        layers (list of Layer): What :func:`darknet_layers` returned, or its beginning.

    Returns:
        list of Convolution: In the order of a ``.weights`` file.
    """
    channels, found = [], []
    for position, layer in enumerate(layers):
        n = channels[-1] if channels else 3
        if layer.kind == 'convolutional':
            k, filters = layer.options['size'], layer.options['filters']
            found.append(Convolution(layer.name, (filters, n, k, k),
                                     bool(layer.options.get('batch_normalize')), layer.n_boxes))
            n = filters
        elif layer.kind == 'route':
            n = sum(channels[absolute(i, position)] for i in layer.options['layers'])
        elif layer.kind == 'reorg':
            n *= layer.options['stride'] ** 2
        channels.append(n)
    return found


def darknet_layers(network):
    """List the layers of a network, without ``[net]``.

    Args:
        network (~yolo_dist.formats.Network): The network.

    Returns:
        list of Layer: In the order of Darknet's own ``.cfg``.
    """
    def scale(n_channels):
        return scale_channels(n_channels, network.width)
    return list(_NETWORKS[network.name](network, scale))


def _conv(name, filters, ksize, stride=1):
    return Layer('convolutional', {'batch_normalize': 1, 'filters': filters, 'size': ksize,
                                   'stride': stride, 'pad': 1, 'activation': 'leaky'}, name)


def _output(name, n_outputs, *, n_boxes=0):
    return Layer('convolutional', {'filters': max(1, n_boxes) * n_outputs, 'size': 1, 'stride': 1,
                                   'pad': 1, 'activation': 'linear'}, name, n_boxes)


def _darknet19_convolutions(scale):
    i = 0
    for stage, n_convs in enumerate((1, 1, 3, 3, 5, 5)):
        if stage:
            yield Layer('maxpool', {'size': 2, 'stride': 2})
        for k in range(n_convs):
            channels, ksize = ((32, 3), (16, 1))[k % 2]
            yield _conv(f'extractor/{i}', scale(channels << stage), ksize)
            i += 1


def _darknet53_convolutions(scale):
    i = 1
    yield _conv('extractor/0', scale(32), 3)
    for stage, n_blocks in enumerate((1, 2, 8, 8, 4)):
        yield _conv(f'extractor/{i}', scale(64 << stage), 3, stride=2)
        for block in range(i + 1, i + 1 + n_blocks):
            yield _conv(f'extractor/{block}/0', scale(32 << stage), 1)
            yield _conv(f'extractor/{block}/1', scale(64 << stage), 3)
            yield Layer('shortcut', {'from': -3, 'activation': 'linear'})
        i += 1 + n_blocks


def _darknet19(network, scale):
    yield from _darknet19_convolutions(scale)
    yield _output('head', network.n_class)
    yield Layer('avgpool', {})
    yield Layer('softmax', {'groups': 1})


def _darknet53(network, scale):
    yield from _darknet53_convolutions(scale)
    yield Layer('avgpool', {})
    yield _output('head', network.n_class)
    yield Layer('softmax', {'groups': 1})


def _yolo_v2(network, scale):
    anchors = YOLOv2.default_anchors if network.anchors is None else network.anchors
    yield from _darknet19_convolutions(scale)
    yield _conv('extractor/18', scale(1024), 3)
    yield _conv('extractor/19', scale(1024), 3)
    yield Layer('route', {'layers': [-9]})
    yield _conv('extractor/20', 4 * scale(16), 1)
    yield Layer('reorg', {'stride': 2})
    yield Layer('route', {'layers': [-1, -4]})
    yield _conv('extractor/21', scale(1024), 3)
    yield _output('subnet', 5 + network.n_class, n_boxes=len(anchors))
    yield Layer('region', {
        'anchors': _width_first(anchors), 'classes': network.n_class, 'coords': 4,
        'num': len(anchors), 'bias_match': 1, 'softmax': 1, 'rescore': 1, 'object_scale': 5,
        'noobject_scale': 1, 'class_scale': 1, 'coord_scale': 1, 'absolute': 1, 'thresh': 0.6})


def _yolo_v3(network, scale):
    anchors = YOLOv3.default_anchors if network.anchors is None else network.anchors
    flat = [anchor for of_scale in reversed(anchors) for anchor in of_scale]
    end = len(flat)
    yield from _darknet53_convolutions(scale)
    i = 29
    # Of each scale: channels, anchors, and the layer of the backbone that joins it.
    for s, (channels, of_scale, joined) in enumerate(
            zip((512, 256, 128), anchors, (None, 61, 36), strict=True)):
        if joined is not None:
            yield Layer('route', {'layers': [-4]})
            yield _conv(f'extractor/{i}', scale(channels), 1)
            yield Layer('upsample', {'stride': 2})
            yield Layer('route', {'layers': [-1, joined]})
            i += 1
        for k in range(5):
            yield _conv(f'extractor/{i}', scale(channels << k % 2), 1 + 2 * (k % 2))
            i += 1
        yield _conv(f'subnet/{s}/0', scale(2 * channels), 3)
        yield _output(f'subnet/{s}/1', 5 + network.n_class, n_boxes=len(of_scale))
        mask = list(range(end - len(of_scale), end))
        end -= len(of_scale)
        yield Layer('yolo', {
            'mask': mask, 'anchors': _width_first(flat), 'classes': network.n_class,
            'num': len(flat), 'ignore_thresh': 0.5, 'truth_thresh': 1})


def _width_first(anchors):
    return [side for height, width in anchors for side in (width, height)]


_NETWORKS = {'darknet19': _darknet19, 'darknet53': _darknet53, 'yolo_v2': _yolo_v2,
             'yolo_v3': _yolo_v3}
