"""A data set directory that is there as a whole or not at all."""
import contextlib
import hashlib
import json
import os
from pathlib import Path

from yolo_dist.errors import InputError
from yolo_dist.whole_files import write_whole

MANIFEST_NAME = 'made_by_make_data.json'


@contextlib.contextmanager
def write_whole_set(directory, recipe):
    """Give a folder to write into, which becomes ``directory`` when the block ends well.

    A manifest with the recipe and a checksum of all files is part of it.

    Args:
        directory (str or ~pathlib.Path): Final place; absent or empty.
        recipe (dict): What determines the files: name, seed, sizes. JSON types.

    Yields:
        ~pathlib.Path: Where to write, or ``None`` if ``directory`` already holds the complete
        set of this recipe and nothing is to be done.

    Raises:
        InputError: If ``directory`` is a file, or holds anything else, or cannot be written.
    """
    directory = Path(os.path.abspath(directory))
    if _check_destination(directory, recipe):
        yield None
        return

    with write_whole(directory) as partial:
        partial.mkdir(parents=True)
        yield partial
        manifest = {'recipe': recipe, 'sha256': _checksum(partial)}
        (partial / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1) + '\n',
                                             encoding='utf-8')


def _check_destination(directory, recipe):
    """Whether the complete set is there; raises if something else is."""
    if not directory.exists():
        return False
    if not directory.is_dir():
        raise InputError(f'{directory}: is a file, but a folder is to be made there; '
                         'name another place')
    if not any(directory.iterdir()):
        return False

    advice = 'name another folder, or remove this one'
    try:
        manifest = json.loads((directory / MANIFEST_NAME).read_text(encoding='utf-8'))
        found, checksum = manifest['recipe'], manifest['sha256']
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f'{directory}: is not empty and holds no data set made by this '
                         f'command; {advice}') from None
    if found != recipe:
        raise InputError(f'{directory}: holds another set, {_in_words(found)}, but '
                         f'{_in_words(recipe)} was asked for; {advice}')
    if checksum != _checksum(directory):
        raise InputError(f'{directory}: holds this set, but its files are no longer those that '
                         f'were written; {advice}')
    return True


def _checksum(directory):
    digest = hashlib.sha256()
    for path in sorted(p for p in directory.rglob('*') if p.is_file()):
        if path.name != MANIFEST_NAME:
            digest.update(f'{path.relative_to(directory).as_posix()}\0'.encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _in_words(recipe):
    if not isinstance(recipe, dict):
        return 'of an unknown kind'
    return ', '.join(f'{key} {value}' for key, value in recipe.items())
