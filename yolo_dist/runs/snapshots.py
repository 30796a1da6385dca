"""Snapshots of a run: whose they are, which one is whole, how they are read."""
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

# Where the trainer's snapshot holds what :func:`identity` returned, and what was reported in its
# iteration so far, both as text.
_IDENTITY = 'extensions/RunIdentity/identity'
_OBSERVATION = 'extensions/Snapshot/observation'


def identity(config):
    """Return what makes a run this run and no other.

    Args:
        config (~yolo_dist.config.RunConfig): The run.

    Returns:
        ndarray: uint8, the text of its name and of all keys that decide what is computed.
    """
    # An optional key that is not used was not known to older snapshots.
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
        tuple: The file, ``None`` where the run never wrote one; and a list of lines that say
        which later ones were passed over, and why.

    Raises:
        InputError: If there are snapshots, but none that is whole, or the latest whole one is
            of another run.
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
    """Describe an npz file by the check sums that it holds of its arrays; reads nothing else.

    Args:
        path (pathlib.Path): The file.

    Returns:
        str: Its name and a digest, its size if it is another file, or why it cannot be read.
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
    except Exception:  # text of somebody else
        lines = ['  it does not say of which']
    raise InputError(f'{path}: is a snapshot of another run; remove it, or resume that run:\n'
                     + '\n'.join(lines))


def load_snapshot(path, trainer):
    """Put a snapshot's state into a trainer, in any process.

    Args:
        path (pathlib.Path): A file that the root's snapshot extension wrote.
        trainer (chainer.training.Trainer): Of the same run.

    Returns:
        dict: What was reported in its iteration so far, ``{name: value}``; what is done after a
        snapshot is still to be done then. ``None`` where nothing is: version 0.1 did it first.

    Raises:
        InputError: If the file cannot be read, or holds another model's or optimizer's arrays.
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
        raise InputError(f'{path}: an array has not the shape, type or content that this run '
                         f'expects ({error}); expected a snapshot of the same model and optimizer'
                         ) from error
