"""Reading npz files of weights, and errors that say which weights do not fit."""
import functools
import io

import chainer
import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.outside_files import open_file

_MAX_LISTED = 3
# Beside the weights of a Darknet file: major, minor, revision and images seen, int64.
DARKNET_HEADER = 'darknet_header'
# Place of the model, inside the train chain, in the trainer's snapshot of a run.
_IN_SNAPSHOT = 'updater/model:main/model/'


# 8 GiB: YOLOv3 with its momentum takes 0.5. A file of 8 MB can hold as many zeros.
MAX_NPZ_BYTES = 1 << 33


def read_npz(path, choose=None):
    """Read arrays of an npz file without unpickling anything.

    The checksums in the file tell whether its content was altered. Chainer writes ``None`` as a
    pickled array, which is recognised by its bytes. No other object is read.

    Args:
        path (str or ~pathlib.Path): The file.
        choose (callable): ``choose(names)`` returns the names to read; ``None`` reads all.

    Returns:
        dict of str to ndarray: ``{name: array}``.

    Raises:
        InputError: If the file is missing, cut, altered, or no npz file, or holds an object.
    """
    try:
        with open_file(path) as file:
            npz = np.load(file, allow_pickle=False)
            if isinstance(npz, np.ndarray):
                raise ValueError('it holds a single array (*.npy)')
            n_bytes = sum(member.file_size for member in npz.zip.infolist())
            if n_bytes > MAX_NPZ_BYTES:
                raise ValueError(f'it claims {n_bytes:,} bytes of arrays, and at most '
                                 f'{MAX_NPZ_BYTES:,} are read')
            names = npz.files if choose is None else choose(npz.files)
            return {name: _read_array(npz, name) for name in names}
    except FileNotFoundError:
        raise InputError(f'{path}: there is no such file; expected weights or a snapshot '
                         '(*.npz)') from None
    # NumPy and zipfile say in dozens of ways that a file is cut, altered or something else.
    except Exception as error:
        raise InputError(f'{path}: cannot be read as npz ({error or type(error).__name__}); '
                         'expected a whole file that this package or Chainer wrote') from None


def _read_array(npz, name):
    try:
        array = npz[name]
        if not isinstance(array, np.ndarray):
            raise ValueError('is no array')
        return array
    except ValueError as error:
        # The message of NumPy contains `pickle` if it refuses an array of objects.
        if 'pickle' not in str(error) or npz.zip.read(f'{name}.npy') not in _nones():
            raise ValueError(f'{name}: {error}') from None
        return np.asarray(None)


@functools.cache
def _nones():
    """Return the bytes that NumPy 2 and NumPy 1 write for ``None``."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(None), allow_pickle=True)
    today = buffer.getvalue()
    new, old = b'\x16numpy._core.multiarray', b'\x15numpy.core.multiarray'
    # The names differ in length by one byte. The 8 bytes after the opcode of the frame count it.
    frame = today.index(b'\x95') + 1
    length = int.from_bytes(today[frame:frame + 8], 'little')
    nones = {today}
    for found, other, change in ((new, old, -1), (old, new, 1)):
        if found in today:
            nones.add(today[:frame] + (length + change).to_bytes(8, 'little')
                      + today[frame + 8:].replace(found, other))
    return nones


def read_weights(path):
    """Read all arrays of an npz file of weights.

    Args:
        path (str or ~pathlib.Path): File that
            ``chainer.serializers.save_npz(path, model)`` wrote, or a snapshot
            of a training run. Only the model is read from a snapshot.

    Returns:
        dict of str to ndarray: ``{'extractor/0/conv/W': ...}``.

    Raises:
        InputError: If the file is missing, unreadable or no npz file.
    """
    def choose(names):
        of_model = [name for name in names if name.startswith(_IN_SNAPSHOT)]
        return of_model or names
    return {name.removeprefix(_IN_SNAPSHOT): array
            for name, array in read_npz(path, choose).items()}


def differences(weights, link):
    """Compare weights with what a link needs.

    Args:
        weights (dict of str to ndarray): What :func:`read_weights` returned.
        link (~chainer.Link): Link to be filled.

    Returns:
        dict of str to str: Name of each array that ``weights`` lack, or have in another shape or
        type, or have too many, to a line that says so.
    """
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(link)
    expected = {name: np.asarray(value) for name, value in serializer.target.items()}
    found = {
        name: f'{name}: missing' if name not in weights else
        f'{name}: {weights[name].dtype} of shape {weights[name].shape}, '
        f'expected {array.dtype} of shape {array.shape}'
        for name, array in sorted(expected.items())
        if name not in weights or weights[name].shape != array.shape
        or not np.can_cast(weights[name].dtype, array.dtype, 'same_kind')}
    return found | {name: f'{name}: unexpected' for name in weights
                    if name not in expected and name != DARKNET_HEADER}


def check_weights(weights, link, path, *, prefix=''):
    """Check that weights contain all arrays of a link, in the right shapes.

    Args:
        weights (dict of str to ndarray): The result of :func:`read_weights`.
        link (~chainer.Link): Link to be filled.
        path (str or ~pathlib.Path): The file, for the message.
        prefix (str or tuple of str): Only names that start with it are compared;
            other names in the file do not matter. Without it both sides must agree.

    Raises:
        InputError: If weights and link differ. The message lists some differences.
    """
    found = [text for name, text in differences(weights, link).items() if name.startswith(prefix)]
    if not found:
        return
    lines = found[:_MAX_LISTED]
    if len(found) > _MAX_LISTED:
        lines.append(f'... and {len(found) - _MAX_LISTED} more')
    raise InputError('\n  '.join([
        f'{path}: these weights do not fit {_describe(link, prefix)}; '
        'give weights of the same model, width and classes. Differences:', *lines]))


def _describe(link, prefix):
    name = f'{type(link).__name__} of width {getattr(link, "width", 1)}'
    if prefix:
        return f'the backbone of {name}'
    n_class = getattr(link, 'n_class', getattr(link, 'n_fg_class', None))
    return name if n_class is None else f'{name} with {n_class} classes'

