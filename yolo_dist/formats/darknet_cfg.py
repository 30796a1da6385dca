"""Darknet's description of a network, in and out."""
import pathlib
from itertools import zip_longest

from yolo_dist.errors import InputError
from yolo_dist.formats.darknet_layers import Layer, absolute
from yolo_dist.formats.network import Network, fit_width
from yolo_dist.outside_files import open_file

# What decides the forward pass, with the values that Darknet takes where none is given. An
# option whose default is a list is read as one.
_OPTIONS = {
    'convolutional': {'batch_normalize': 0, 'filters': 1, 'size': 1, 'stride': 1, 'pad': 0,
                      'padding': 0, 'groups': 1, 'dilation': 1, 'antialiasing': 0, 'binary': 0,
                      'xnor': 0, 'activation': 'logistic'},
    'maxpool': {'size': 0, 'stride': 1},
    'avgpool': {},
    'softmax': {'groups': 1, 'temperature': 1.0, 'tree': ''},
    'shortcut': {'from': 0, 'activation': 'linear'},
    'route': {'layers': [], 'groups': 1},
    'reorg': {'stride': 1, 'reverse': 0, 'flatten': 0, 'extra': 0},
    'upsample': {'stride': 2, 'scale': 1.0},
    'region': {'classes': 20, 'num': 1, 'coords': 4, 'softmax': 0, 'background': 0, 'tree': '',
               'map': '', 'anchors': []},
    'yolo': {'classes': 20, 'num': 1, 'scale_x_y': 1.0, 'new_coords': 0, 'map': '',
             'mask': [], 'anchors': []},
}
# These tell the anchors, which a user may choose.
_FREE = {'num', 'mask', 'anchors'}
_MAX_BYTES = 1 << 20  # the longest file of Darknet's own has 15 KB


def write_darknet_cfg(path, network):
    """Write the ``.cfg`` of a network.

    Args:
        path (str or ~pathlib.Path): The file.
        network (Network): The network.
    """
    height, width = network.insize
    net = Layer('net', {'batch': 1, 'subdivisions': 1, 'width': width, 'height': height,
                        'channels': 3})
    sections = [f'# {network}, written by yolo_dist']
    for kind, options, *_ in [net, *network.layers()]:
        lines = [f'{key}={_text(value)}' for key, value in options.items()]
        sections.append('\n'.join([f'[{kind}]', *lines]))
    pathlib.Path(path).write_text('\n\n'.join(sections) + '\n', encoding='utf-8')


def _text(value):
    return ','.join(map(_text, value)) if isinstance(value, list) else str(value)


def read_darknet_cfg(path):
    """Tell the network from its ``.cfg``.

    Args:
        path (str or ~pathlib.Path): The file.

    Returns:
        Network: With width, classes, anchors and input size of the file.

    Raises:
        InputError: If it cannot be read, or is of a network that this package does not have.
            The message names the line.
    """
    net, *layers = _read_sections(path)
    if layers and layers[-1].kind == 'cost':
        layers.pop()
    for layer in layers:
        if layer.kind not in _OPTIONS:
            raise InputError(f'{path}, line {layer.line}: found a layer [{layer.kind}], expected '
                             f'one of {", ".join(_OPTIONS)}; this package has Darknet19, '
                             'Darknet53, YOLOv2 and YOLOv3')
    read = [layer._replace(options=_read_options(layer, path)) for layer in layers]
    network = _guess(read, _read_insize(net, path), path)
    for position, (found, expected) in enumerate(zip_longest(read, network.layers())):
        option = _compare(found, expected, position, network, path)
        if option:
            key, value, right = option
            line = layers[position].options.get(key, (None, found.line))[1]
            raise InputError(
                f'{path}, line {line}: layer {position}, [{found.kind}], has {key}='
                f'{_text(value)}, but {network} has {_text(right) or "nothing"} there')
    return network


def _read_sections(path):
    try:
        with open_file(path) as file:
            text = file.read(_MAX_BYTES + 1).decode()
        if len(text) > _MAX_BYTES or '\0' in text:
            raise ValueError('no short text')
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); expected the .cfg of a '
                         'network') from None
    except ValueError:
        raise InputError(f'{path}: is no text of at most {_MAX_BYTES:,} bytes; expected the '
                         '.cfg of a network') from None
    sections = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = ''.join(line.split())
        key, equals, value = line.partition('=')
        if not line or line[0] in '#;':
            continue
        if line.startswith('['):
            sections.append(Layer(line.strip('[]'), {}, line=number))
        elif not equals or not sections:
            raise InputError(f'{path}, line {number}: found {line[:60]!r}, expected '
                             + ('key=value' if sections else '[net] first'))
        else:
            # Darknet takes the first of several.
            sections[-1].options.setdefault(key, (value, number))
    if not sections or sections[0].kind not in ('net', 'network'):
        where = f', line {sections[0].line}: found [{sections[0].kind}]' if sections else ': found'
        raise InputError(f'{path}{where}{"" if sections else " no section"}, expected [net] '
                         'first, as a .cfg of Darknet begins')
    return sections


def _read_options(layer, path):
    """Return the values of the options that count, absent ones as Darknet has them."""
    return {key: _read_value(layer, key, default, path)
            for key, default in _OPTIONS[layer.kind].items()}


def _read_value(layer, key, default, path):
    text, line = layer.options.get(key, (None, None))
    if text is None:
        return default
    try:
        if isinstance(default, list):
            return [_number(item) for item in text.split(',') if item]
        return type(default)(text)
    except ValueError:
        kind = 'numbers' if isinstance(default, list) else 'a number'
        raise InputError(f'{path}, line {line}: found {key}={text[:60]}, expected '
                         f'{kind}') from None


def _number(text):
    value = float(text)
    if not abs(value) < 1e9:
        raise ValueError
    return int(value) if value == int(value) else value


def _read_insize(net, path):
    for key, expected in (('height', 'a positive multiple of 32'), ('channels', '3'),
                          ('width', 'a positive multiple of 32')):
        value = _read_value(net, key, 0, path)
        line = net.options.get(key, (None, net.line))[1]
        if value != 3 if key == 'channels' else value <= 0 or value % 32:
            raise InputError(f'{path}, line {line}: found {key}={value} in [net], expected '
                             f'{expected}')
    return _read_value(net, 'height', 0, path), _read_value(net, 'width', 0, path)


def _guess(layers, insize, path):
    """Return the network that these layers look like, by its last ones."""
    by_kind = {layer.kind: layer for layer in layers}
    convs = [layer.options for layer in layers if layer.kind == 'convolutional']
    if not convs:
        raise InputError(f'{path}: has no [convolutional] layer; expected Darknet19, Darknet53, '
                         'YOLOv2 or YOLOv3')
    anchors = None
    if 'yolo' in by_kind:
        name, n_class = 'yolo_v3', by_kind['yolo'].options['classes']
        anchors = [_anchors(layer, path) for layer in layers if layer.kind == 'yolo']
        if len(anchors) != 3:
            raise InputError(f'{path}, line {by_kind["yolo"].line}: found {len(anchors)} [yolo] '
                             'layers, expected 3')
    elif 'region' in by_kind:
        name, n_class = 'yolo_v2', by_kind['region'].options['classes']
        anchors = _anchors(by_kind['region'], path)
    else:
        name = 'darknet53' if 'shortcut' in by_kind else 'darknet19'
        n_class = convs[-1]['filters']
    if n_class < 1 or any(conv['filters'] < 1 for conv in convs):
        raise InputError(f'{path}: found classes={n_class} and filters of '
                         f'{min(conv["filters"] for conv in convs)} or more, expected 1 or more')
    hidden = [conv['filters'] for conv in convs if conv['batch_normalize']]
    return fit_width(Network(name, n_class, anchors=anchors, insize=insize), hidden)


def _anchors(layer, path):
    """Return the anchors of one layer as ``model.anchors`` has them, ``(height, width)``."""
    sides = layer.options['anchors']
    anchors = [[height, width] for width, height in zip(sides[::2], sides[1::2])]
    mask = layer.options.get('mask', range(len(anchors)))
    if (not mask or len(sides) != 2 * layer.options['num'] or min(sides) <= 0
            or not all(isinstance(i, int) and 0 <= i < len(anchors) for i in mask)):
        raise InputError(
            f'{path}, line {layer.line}: [{layer.kind}] has {len(sides)} numbers of anchors, num='
            f'{layer.options["num"]}'
            + (f', mask={_text(list(mask))}' if layer.kind == 'yolo' else '')
            + '; expected two positive numbers for each of num anchors'
            + (' and a mask that chooses among them' if layer.kind == 'yolo' else ''))
    return [anchors[i] for i in mask]


def _compare(found, expected, position, network, path):
    """Return the first option that differs: key, value, the network's value."""
    if found is None:
        raise InputError(f'{path}: ends after {position} layers, but {network} goes on with '
                         f'[{expected.kind}]')
    if expected is None or found.kind != expected.kind:
        raise InputError(f'{path}, line {found.line}: layer {position} is [{found.kind}], but '
                         f'{network} has ' + (f'[{expected.kind}]' if expected else 'no more'))
    wanted = {**_OPTIONS[expected.kind], **expected.options}
    for key, value in _effective(found.options, found.kind, position).items():
        right = _effective(wanted, expected.kind, position)[key]
        if value != right and key not in _FREE:
            return key, value, right
    return None


def _effective(options, kind, position):
    """Return options such that equal layers have equal ones."""
    options = dict(options)
    if kind == 'convolutional':
        options['padding'] = options['size'] // 2 if options.pop('pad') else options['padding']
    elif kind == 'maxpool':
        options['size'] = options['size'] or options['stride']
    elif kind == 'shortcut':
        options['from'] = absolute(options['from'], position)
    elif kind == 'route':
        options['layers'] = [absolute(i, position) for i in options['layers']]
    return options
