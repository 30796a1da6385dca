"""Snapshots of a run: their identity, the choice of a whole one, and reading."""
import hashlib
import json
import pathlib
import zipfile

import numpy as np
from chainer.serializers import NpzDeserializer

from yolo_dist.config import OPTIONAL_KEYS, differences
from yolo_dist.errors import InputError
from yolo_dist.links import read_npz
from yolo_dist.runs.run_directory import is_computed, snapshot_files

# Keys of the trainer's snapshot for the result of :func:`identity` and for the values reported in
# its iteration so far. Both are text.
_IDENTITY = 'extensions/RunIdentity/identity'
_OBSERVATION = 'extensions/Snapshot/observation'


def identity(config):
    """Return the identity of a run.

    Args:
        config (~yolo_dist.config.RunConfig): The run.

    Returns:
        ndarray: uint8, the text of its name and of all keys that decide the computed result.
    """
    # Older snapshots do not have the optional keys. Unused ones are therefore left out.
    every_key = {key: value for key, (value, _) in differences(config, None).items()
                 if key not in OPTIONAL_KEYS or value != OPTIONAL_KEYS[key]}
    computed = {key: value for key, value in every_key.items()
                if key == 'name' or is_computed(key) and key != 'model.pretrained'}
    return np.frombuffer(json.dumps(computed, sort_keys=True).encode(), np.uint8)


def find_whole_snapshot(directory, config):
    """Find the latest snapshot that is whole.

    Args:
        directory (pathlib.Path): The run directory.
        config (~yolo_dist.config.RunConfig): The run.

    Returns:
        tuple: The file, or ``None`` if the run never wrote one; and a list of lines that say
        which later snapshots were skipped, and why.

    Raises:
        InputError: If there are snapshots but none is whole, or the latest whole one belongs to
            another run.
    """
    passed_over = []
    for path in snapshot_files(directory):
        try:
            found = read_npz(path).get(_IDENTITY)
        except InputError as error:
            passed_over.append(f'passed over a damaged snapshot: {error}')
            continue
        if found is not None:
            _check_identity(path, found, identity(config))
        return path, passed_over
    if passed_over:
        raise InputError(f'{directory}: no snapshot is whole, so there is nothing to go on from; '
                         'remove the directory to start again:\n' + '\n'.join(passed_over))
    return None, []


def describe_npz(path):
    """Describe an npz file by the checksums of its arrays, which it contains. Read nothing else.

    Args:
        path (pathlib.Path): The file.

    Returns:
        str: Its name and a digest, its size if it is not npz, or why it cannot be read.
    """
    path = pathlib.Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [(member.filename, member.CRC, member.file_size)
                       for member in archive.infolist()]
    except zipfile.BadZipFile:
        return f'{path.name}, {path.stat().st_size:,} bytes, no npz'
    except OSError as error:
        return f'{path.name}: cannot be read ({error})'
    return f'{path.name} {hashlib.sha256(repr(members).encode()).hexdigest()[:12]}'


def _check_identity(path, found, expected):
    if np.array_equal(found, expected):
        return
    try:
        then, now = (json.loads(text.tobytes()) for text in (found, expected))
        lines = [f'  {key}: {then.get(key)!r} in the snapshot, {now.get(key)!r} in this run'
                 for key in sorted(then | now) if then.get(key) != now.get(key)]
    except Exception:  # text of another program
        lines = ['  the snapshot does not name that run']
    raise InputError(f'{path}: is a snapshot of another run; remove it, or resume that run:\n'
                     + '\n'.join(lines))


def load_snapshot(path, trainer):
    """Load a snapshot into a trainer, in any process.

    Args:
        path (pathlib.Path): A file that the snapshot extension of the root wrote.
        trainer (chainer.training.Trainer): A trainer of the same run.

    Returns:
        dict: The values reported in the iteration of the snapshot so far, ``{name: value}``. The
        caller must then do the work that follows a snapshot. ``None`` if there is no such work:
        version 0.1 did it before the snapshot.

    Raises:
        InputError: If the file cannot be read, or holds arrays of another model or optimizer.
    """
    arrays = read_npz(path)
    arrays.pop(_IDENTITY, None)
    observation = arrays.pop(_OBSERVATION, None)
    try:
        NpzDeserializer(arrays).load(trainer)
        return observation if observation is None else json.loads(observation.tobytes())
    except KeyError as error:
        raise InputError(f'{path}: has no array {error}; expected a snapshot of the same model '
                         'and optimizer') from None
    except Exception as error:
        raise InputError(f'{path}: an array does not have the shape, type or content that this '
                         f'run expects ({error}); expected a snapshot of the same model and '
                         'optimizer') from error
