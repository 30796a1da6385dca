"""Darknet's files of weights, in and out.

A header, then the numbers of each convolution in the order of the ``.cfg``: bias, scale, mean and
variance, each where it has them, then the filters. All numbers are float32, little-endian.
"""
import os
import pathlib
from typing import NamedTuple

import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.formats.network import NAMES, Network
from yolo_dist.links import DARKNET_HEADER, read_weights
from yolo_dist.outside_files import open_file

_MAX_CLASSES = 100_000
_MAX_VERSION = 10_000  # files with transposed matrices add 1000
_OUR_HEADER = (0, 2, 0, 0)

# What another program makes of a variance v, as a function that undoes it: here and in Darknet
# on a GPU a channel is divided by sqrt(v + 1e-5).
VARIANCES = {
    'darknet-cpu': lambda v: (np.sqrt(v + 1e-5) - 1e-6) ** 2,  # sqrt(v) + 1e-6
    'opencv': lambda v: v + (1e-5 - 1e-6),                     # sqrt(v + 1e-6)
}


class DarknetWeights(NamedTuple):
    """What a file of weights holds.

    Attributes:
        network (Network): What it belongs to. Of a partial file ``n_class`` is 1, unless the
            network was given.
        header (tuple of int): Major, minor, revision, images seen.
        arrays (dict of str to ndarray): As ``chainer.serializers.save_npz`` names them.
    """

    network: Network
    header: tuple
    arrays: dict


def is_npz(path):
    """Whether a file is an npz file, by its name or its first bytes."""
    path = pathlib.Path(path)
    if path.suffix == '.npz' or not path.is_file():
        return path.suffix == '.npz'
    with open_file(path) as file:
        return file.read(4) == b'PK\x03\x04'


def read_any_weights(path, *, width):
    """Read weights from an npz or a Darknet file.

    Args:
        path (str or ~pathlib.Path): The file.
        width (float): Width of the network, which a Darknet file does not tell.

    Returns:
        dict of str to ndarray: As ``links.read_weights`` returns them.

    Raises:
        InputError: If the file is neither, or cannot be read.
    """
    return read_weights(path) if is_npz(path) else read_darknet_weights(path, width=width).arrays


def read_darknet_weights(path, network=None, *, width=1.0):
    """Read a ``.weights`` file, or a partial one such as ``darknet53.conv.74``.

    Args:
        path (str or ~pathlib.Path): The file.
        network (Network): What it belongs to; ``None`` tells it by the number of its numbers.
        width (float): Where ``network`` is ``None``, the width of the network.

    Returns:
        DarknetWeights: Most arrays are views of one array of the file's size.

    Raises:
        InputError: If it cannot be read, is not one, or does not fit ``network``.
    """
    try:
        with open_file(path) as file:
            n_bytes = os.fstat(file.fileno()).st_size
            header, n_header = _read_header(file, path)
            n_numbers, rest = divmod(n_bytes - n_header, 4)
            size = _Size(path, n_bytes, n_header, n_numbers, rest)
            network, convs = _recognise(size, width) if network is None else (
                network, _match(size, network))
            numbers = np.fromfile(file, dtype='<f4', count=n_numbers)
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); expected weights of '
                         'Darknet (*.weights, *.conv.N)') from None
    arrays, start = {}, 0
    for conv in convs:
        for name, shape in conv.arrays():
            stop = start + int(np.prod(shape))
            array = numbers[start:stop].reshape(shape)
            _check_numbers(array, name, path, n_header + 4 * start)
            arrays[name] = conv.swap_axes(array)
            start = stop
        if conv.batch_normalize:
            arrays[f'{conv.name}/bn/N'] = np.array(0)
    return DarknetWeights(network, header, arrays)


class _Size(NamedTuple):
    path: str
    n_bytes: int
    n_header: int
    n_numbers: int
    rest: int


def _read_header(file, path):
    start = file.read(12)
    version = np.frombuffer(start[:len(start) // 4 * 4], dtype='<i4')
    if len(version) < 3 or version.min() < 0 or version.max() > _MAX_VERSION:
        raise InputError(f'{path}: begins with the bytes {start!r}, expected three integers of '
                         'a version, such as 0, 2, 0, as weights of Darknet begin')
    major, minor, revision = map(int, version)
    is_new = major * 10 + minor >= 2 and major < 1000 and minor < 1000
    seen = file.read(8 if is_new else 4)
    if len(seen) < (8 if is_new else 4):
        raise InputError(f'{path}: ends at byte {12 + len(seen)}, inside the header; expected '
                         f'{8 if is_new else 4} bytes of images seen from byte 12')
    return (major, minor, revision, int.from_bytes(seen, 'little')), 12 + len(seen)


def _match(size, network):
    """Return the convolutions of a known network that a file of this size holds."""
    convs = network.convolutions()
    at = size.n_header
    for i, conv in enumerate(convs):
        if at == size.n_bytes and i:
            return convs[:i]
        for name, shape in conv.arrays():
            end = at + 4 * int(np.prod(shape))
            if end > size.n_bytes:
                whole = size.n_header + 4 * sum(conv.size for conv in convs)
                raise InputError(
                    f'{size.path}: ends at byte {size.n_bytes:,}, inside {name} {shape} of '
                    f'convolution {i + 1} of {len(convs)}, which takes bytes {at:,} to {end:,}; '
                    f'expected {whole:,} bytes for {network}')
            at = end
    if at < size.n_bytes:
        raise InputError(f'{size.path}: has {size.n_bytes:,} bytes, {size.n_bytes - at:,} too '
                         f'many; expected {at:,} for {network}')
    return convs


def _recognise(size, width):
    """Return network and convolutions of a file, by the number of its numbers."""
    readings, sizes = {}, []
    for name in NAMES:
        one, two = (Network(name, n, width=width).convolutions() for n in (1, 2))
        base, both = (sum(conv.size for conv in convs) for convs in (one, two))
        sizes.append(f'{2 * base - both:,} + {both - base:,} a class ({name})')
        n_more, rest = divmod(size.n_numbers - base, both - base)
        if not rest and 0 <= n_more < _MAX_CLASSES:
            network = Network(name, 1 + n_more, width=width)
            readings.setdefault(tuple(network.convolutions()), network)
        left = size.n_numbers
        for i, conv in enumerate(one):
            left -= conv.size
            if not conv.batch_normalize or left < 0:
                break
            if left == 0:
                readings.setdefault(tuple(one[:i + 1]), Network(name, 1, width=width))
    if size.rest or not readings:
        of_width = '' if width == 1 else f' of width {width:g}'
        raise InputError(
            f'{size.path}: has {size.n_bytes:,} bytes, that is {size.n_numbers:,} numbers'
            f'{f" and {size.rest} bytes" * bool(size.rest)} after a header of {size.n_header}; '
            f'expected as many numbers as a network{of_width} keeps, {", ".join(sizes)}, or as '
            'its first convolutions do; is the file whole? Give a network of another width or '
            'with other anchors by --cfg FILE')
    if len(readings) > 1:
        found = ' or '.join(
            str(network) if not convs[-1].batch_normalize else
            f'the first {len(convs)} convolutions of {network.name}'
            for convs, network in readings.items())
        raise InputError(f'{size.path}: its {size.n_numbers:,} numbers may be {found}; say which '
                         'by --cfg FILE')
    convs, network = next(iter(readings.items()))
    return network, list(convs)


def _check_numbers(array, name, path, start):
    """Refuse what no training leaves: the sign of another network's file."""
    wrong = ~np.isfinite(array)
    expected = 'a finite number'
    if name.endswith('avg_var'):
        wrong |= array < 0
        expected = 'a variance of at least 0'
    if wrong.any():
        i = int(wrong.argmax())
        raise InputError(f'{path}: byte {start + 4 * i:,} holds {array.flat[i]:g} in {name}, '
                         f'expected {expected}; is it of another network, or damaged?')


def write_darknet_weights(path, arrays, convolutions):
    """Write a ``.weights`` file.

    Args:
        path (str or ~pathlib.Path): The file.
        arrays (dict of str to ndarray): What ``links.read_weights`` returned. The header of a
            file that was read before is written again, else the new one with no image seen.
        convolutions (list of Convolution): What to write, in this order; of ``arrays``
            :func:`~yolo_dist.formats.match_arrays` has checked that they fit.
    """
    major, minor, revision, seen = map(int, arrays.get(DARKNET_HEADER, _OUR_HEADER))
    n_seen = 8 if major * 10 + minor >= 2 and major < 1000 and minor < 1000 else 4
    with open(path, 'wb') as file:
        file.write(np.array([major, minor, revision], dtype='<i4').tobytes())
        file.write((seen % (1 << 8 * n_seen)).to_bytes(n_seen, 'little'))
        for conv in convolutions:
            for name, _ in conv.arrays():
                array = conv.swap_axes(arrays[name])
                file.write(np.ascontiguousarray(array, dtype='<f4').data)


def adapt_variances(arrays, reader):
    """Return weights with variances with which another program computes what this one does.

    Args:
        arrays (dict of str to ndarray): The weights.
        reader (str): A key of ``VARIANCES``.

    Returns:
        dict of str to ndarray: A copy; only ``avg_var`` differs.
    """
    return {name: VARIANCES[reader](array.astype(np.float64)).astype(np.float32)
            if name.endswith('/bn/avg_var') else array for name, array in arrays.items()}
