"""Reading npz files of weights, and saying what does not fit."""
import zipfile
import zlib

import chainer
import numpy as np

from yolo_dist.errors import InputError

_MAX_LISTED = 3
# Where the trainer's snapshot of a run holds the model inside the train chain.
_IN_SNAPSHOT = 'updater/model:main/model/'


def read_weights(path):
    """Read all arrays of an npz file of weights.

    Args:
        path (str or ~pathlib.Path): File that
            ``chainer.serializers.save_npz(path, model)`` wrote, or a snapshot
            of a training run, of which the model is read.

    Returns:
        dict of str to ndarray: ``{'extractor/0/conv/W': ...}``.

    Raises:
        InputError: If the file is missing, unreadable or no npz file.
    """
    try:
        npz = np.load(path, allow_pickle=False)
        if isinstance(npz, np.ndarray):
            raise ValueError('it holds a single array (*.npy)')
        with npz:
            is_snapshot = any(name.startswith(_IN_SNAPSHOT) for name in npz.files)
            prefix = _IN_SNAPSHOT if is_snapshot else ''
            return {name.removeprefix(prefix): npz[name] for name in npz.files
                    if name.startswith(prefix)}
    except FileNotFoundError:
        raise InputError(f'{path}: there is no such file; expected weights (*.npz)') from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f'{path}: cannot be read as a file of weights (*.npz): {error}') from None


def check_weights(weights, link, path, *, prefix=''):
    """Check that weights hold what a link needs, in the right shapes.

    Args:
        weights (dict of str to ndarray): What :func:`read_weights` returned.
        link (~chainer.Link): Link to be filled.
        path (str or ~pathlib.Path): The file, for the message.
        prefix (str or tuple of str): Only names that start so are compared;
            others that the file holds do not matter. Without one both sides must agree.

    Raises:
        InputError: If they differ; the message lists some of the differences.
    """
    expected = chainer.serializers.DictionarySerializer()
    expected.save(link)
    expected = {name: np.shape(value) for name, value in expected.target.items()
                if name.startswith(prefix)}
    differences = [
        f'{name}: missing' if name not in weights else
        f'{name}: shape {weights[name].shape}, expected {shape}'
        for name, shape in expected.items()
        if name not in weights or weights[name].shape != shape]
    if not prefix:
        differences += [f'{name}: unexpected' for name in weights if name not in expected]
    if not differences:
        return
    lines = differences[:_MAX_LISTED]
    if len(differences) > _MAX_LISTED:
        lines.append(f'... and {len(differences) - _MAX_LISTED} more')
    raise InputError('\n  '.join([
        f'{path}: these weights do not fit {_describe(link, prefix)}; '
        'give weights of the same model, width and classes. Differences:', *lines]))


def _describe(link, prefix):
    name = f'{type(link).__name__} of width {getattr(link, "width", 1)}'
    if prefix:
        return f'the backbone of {name}'
    n_class = getattr(link, 'n_class', getattr(link, 'n_fg_class', None))
    return name if n_class is None else f'{name} with {n_class} classes'

