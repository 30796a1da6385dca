"""Converts weights: ``python -m yolo_dist.convert IN OUT``, by the types of the two files."""
import dataclasses
import pathlib
import re

import numpy as np

from yolo_dist.command_line import Parser, run_serial
from yolo_dist.config import load_config
from yolo_dist.errors import InputError
from yolo_dist.formats import (
    VARIANCES,
    Network,
    adapt_variances,
    build_link,
    export_onnx,
    match_arrays,
    read_network_file,
    write_chainercv,
    write_darknet_cfg,
    write_darknet_weights,
)
from yolo_dist.links import DARKNET_HEADER, load_weights, read_weights
from yolo_dist.prediction import check_class_names, class_names_of_run, read_class_names
from yolo_dist.runs.run_directory import find_weights
from yolo_dist.whole_files import write_whole


@dataclasses.dataclass
class Weights:
    """Weights on their way from one file to another.

    Attributes:
        path (pathlib.Path): Where they come from.
        network (~yolo_dist.formats.Network): What they belong to.
        arrays (dict of str to ndarray): As ``links.read_weights`` returns them.
        class_names (sequence of str): ``None`` where they are not known.
        convolutions (list): Those of the network that the file holds: all, or the first ones.

    Raises:
        InputError: If the arrays are not those of the network.
    """

    path: pathlib.Path
    network: Network
    arrays: dict
    class_names: list | None = None

    def __post_init__(self):
        self.convolutions = match_arrays(self.network, self.arrays, self.path)

    @property
    def is_whole(self):
        return len(self.convolutions) == len(self.network.convolutions())


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.convert', description=(
        'Converts weights between this package (*.npz), Darknet (*.weights, and the first N '
        'layers as *.conv.N) and ChainerCV (*.chainercv.npz), and writes ONNX (*.onnx). Whole '
        'weights of Darknet go with a .cfg, .names and .data of the same stem. No number '
        'changes, and no file is overwritten.'))
    parser.add_argument('source', metavar='IN', help=(
        'a run directory, a weights or snapshot file (*.npz), or weights of Darknet'))
    parser.add_argument('target', metavar='OUT', help=(
        '*.npz, *.chainercv.npz, *.onnx, *.weights or *.conv.N'))
    parser.add_argument('--cfg', metavar='FILE', help=(
        "Darknet's description of IN, where IN does not tell its width, anchors and input size"))
    parser.add_argument('--classes', metavar='FILE', help=(
        'names of the classes for OUT, one a line (default: those of the run)'))
    parser.add_argument('--exact-for', choices=sorted(VARIANCES), help=(
        'a copy of OUT for this program alone: its variances make up for the other epsilon of '
        'its batch normalisation'))
    parser.add_argument('--decode-boxes', action='store_true', help=(
        'ONNX of a detector: boxes in pixels and scores as outputs, for one input size'))
    return parser.parse_args(argv)


def main(argv=None):
    """Convert one file.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.
    """
    arguments = parse_arguments(argv)
    target = pathlib.Path(arguments.target)
    write = _choose_writer(target, arguments)
    weights = _read(pathlib.Path(arguments.source), arguments.cfg)
    if arguments.classes:
        weights.class_names = read_class_names(arguments.classes)
        check_class_names(weights.class_names, weights.network.n_class, arguments.classes)
    if arguments.exact_for:
        weights.arrays = adapt_variances(weights.arrays, arguments.exact_for)
    _say_what_was_read(weights)
    write(weights, target, arguments)


def _read(path, cfg):
    """Read IN, whatever it is."""
    if path.is_dir() or path.suffix == '.npz' and (path.parent / 'config.yaml').exists():
        if cfg is not None:
            raise InputError(f'--cfg {cfg}: {path} is of a run, whose config.yaml tells the '
                             'network; leave --cfg out')
        return _read_run(path)
    return Weights(path, *read_network_file(path, cfg))


def _read_run(path):
    path, directory = find_weights(path)
    config = load_config(directory / 'config.yaml')
    size = config.data.evaluation.input_size_px
    network = Network(config.model.name, config.model.n_class, width=config.model.width,
                      anchors=getattr(config.model, 'anchors', None), insize=(size, size))
    return Weights(path, network, read_weights(path), class_names_of_run(directory, config))


def _say_what_was_read(weights):
    convs, n_all = weights.convolutions, len(weights.network.convolutions())
    what = (str(weights.network) if weights.is_whole else
            f'the first {len(convs)} of {n_all} convolutions of {weights.network.name}')
    header = weights.arrays.get(DARKNET_HEADER)
    seen = '' if header is None else f', {int(header[3]):,} images seen'
    print(f'{weights.path}: {what}, {sum(conv.size for conv in convs):,} numbers{seen}')


def _write_npz(weights, target, arguments):
    def write(temporary):
        with open(temporary, 'wb') as file:
            np.savez(file, **weights.arrays)
    _write_new({target: write})
    network = weights.network
    anchors = '' if network.anchors is None else f', anchors: {network.anchors}'
    if weights.is_whole:
        print(f'in an experiment file, model: {{name: {network.name}, n_class: '
              f'{network.n_class}, width: {network.width:g}{anchors}}}')


def _write_weights(weights, target, arguments):
    n_layers = re.fullmatch(r'.+\.conv\.(\d+)', target.name)
    convs = weights.convolutions
    if n_layers:
        convs = _convolutions_of_layers(weights, int(n_layers[1]), target)
    has_cfg = weights.is_whole and not n_layers
    if arguments.classes and not has_cfg:
        raise InputError(f'--classes {arguments.classes}: {target} is a part of a network, which '
                         'has no classes; leave it out')
    files = {target: lambda temporary: write_darknet_weights(temporary, weights.arrays, convs)}
    if has_cfg:
        names = weights.class_names or list(map(str, range(weights.network.n_class)))
        listed = target.with_suffix('.names')
        data = f'classes={len(names)}\nnames={listed.name}\ntop={min(5, len(names))}\n'
        files |= {target.with_suffix('.cfg'): lambda temporary: write_darknet_cfg(
                      temporary, weights.network),
                  listed: _writer_of('\n'.join(names) + '\n'),
                  target.with_suffix('.data'): _writer_of(data)}
        if weights.class_names is None:
            print(f'{listed}: holds numbers, because the names of the classes are not known; '
                  'give them by --classes FILE')
    _write_new(files)


def _convolutions_of_layers(weights, n_layers, target):
    n_all, convs = len(weights.network.layers()), weights.network.convolutions(n_layers)
    if not 1 <= n_layers <= n_all or len(convs) > len(weights.convolutions):
        raise InputError(
            f'{target}: asks for {n_layers} layers with {len(convs)} convolutions, but '
            f'{weights.path} holds {len(weights.convolutions)} convolutions, and '
            f'{weights.network} has {n_all} layers')
    return convs


def _writer_of(text):
    return lambda temporary: pathlib.Path(temporary).write_text(text, encoding='utf-8')


def _write_new(files):
    """Write files, none of which is there yet."""
    for path in files:
        if path.exists():
            raise InputError(f'{path}: is there already; remove it or give OUT another name')
        if not path.parent.is_dir():
            raise InputError(f'{path}: there is no folder {path.parent}; make it first')
    for path, write in files.items():
        with write_whole(path) as partial:
            write(partial)
        print(f'{path}: {path.stat().st_size:,} bytes')


def _link_of(weights, target):
    if not weights.is_whole:
        raise InputError(f'{target}: {weights.path} holds {len(weights.convolutions)} of '
                         f'{len(weights.network.convolutions())} convolutions of '
                         f'{weights.network.name}; expected a whole network')
    link = build_link(weights.network)
    load_weights(link, weights.path, weights=weights.arrays)
    return link


def _write_chainercv(weights, target, arguments):
    link = _link_of(weights, target)
    _write_new({target: lambda temporary: write_chainercv(link, temporary)})


def _write_onnx(weights, target, arguments):
    link = _link_of(weights, target)
    _write_new({target: lambda temporary: export_onnx(
        link, temporary, insize=weights.network.insize, decode_boxes=arguments.decode_boxes,
        class_names=weights.class_names)})


# What each type of OUT is written by, the first that fits: called with the weights, OUT and the
# command line. And the options that have an effect there.
_WRITERS = {
    r'.+\.chainercv\.npz': (_write_chainercv, ()),
    r'.+\.npz': (_write_npz, ()),
    r'.+\.onnx': (_write_onnx, ('classes', 'decode_boxes', 'exact_for')),
    r'.+\.weights|.+\.conv\.\d+': (_write_weights, ('classes', 'exact_for')),
}


def _choose_writer(target, arguments):
    for pattern, (write, used) in _WRITERS.items():
        if re.fullmatch(pattern, target.name):
            for option in ('classes', 'decode_boxes', 'exact_for'):
                if getattr(arguments, option) and option not in used:
                    raise InputError(f'--{option.replace("_", "-")}: has no effect on {target}; '
                                     'leave it out')
            return write
    raise InputError(f'{target}: is of no known type; expected *.npz, *.chainercv.npz, *.onnx, '
                     '*.weights or *.conv.N (N layers)')


if __name__ == '__main__':
    run_serial(main)
