"""Write files that are whole or absent. Every such file of this package is written here."""

import contextlib
import os
import pathlib
import secrets
import shutil

from yolo_dist.errors import InputError

_MARK = '.partial-'


@contextlib.contextmanager
def write_whole(path):
    """Give a temporary path beside a file; rename it to the file when the block succeeds.

    The content is on the disk before it gets the name. A host that stops therefore leaves either
    the old file or the new one.

    Args:
        path (str or ~pathlib.Path): The file, or a folder.

    Yields:
        ~pathlib.Path: The temporary path, at which nothing exists yet.

    Raises:
        InputError: If the operating system refuses because a disk is full, a folder is read-only
            or too many files are open. The old file is then unchanged.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f'.{path.name}{_MARK}{secrets.token_hex(4)}')
    try:
        yield partial
        if partial.is_file():
            _flush(partial)
        os.replace(partial, path)
        with contextlib.suppress(OSError):  # some file systems cannot flush a folder
            _flush(path.parent)
    except BaseException as error:
        _remove(partial)
        # Closing a file that could not be written may raise further errors, as in zipfile.
        cause = error.__context__ if isinstance(error, ValueError) else error
        if isinstance(error, InputError) or not isinstance(cause, OSError):
            raise
        raise cannot_write(path, cause) from error


def is_partial(path):
    """Whether a path is one that :func:`write_whole` gave.

    It belongs to a file that is being written, or to a process that was killed. Who looks into a
    folder while others write has to pass over it.

    Args:
        path (~pathlib.Path): A file, or a folder.

    Returns:
        bool: True for a temporary path.
    """
    return path.name.startswith('.') and _MARK in path.name


def cannot_write(path, error):
    """Return the error to raise when the operating system refuses to write.

    Args:
        path (str or ~pathlib.Path): The file.
        error (OSError): The error of the system.

    Returns:
        InputError: One line with both.
    """
    cause = error.strerror or str(error)
    if error.filename is not None and _MARK not in str(error.filename):
        cause += f': {error.filename}'
    return InputError(f'{path}: cannot be written ({cause}); nothing was left behind; correct '
                      'the cause, or name another place')


def make_folder(path):
    """Make a folder and its missing parents.

    Args:
        path (~pathlib.Path): The folder.

    Raises:
        InputError: If the operating system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_writable(path):
    """Check in advance that a file can be written.

    Args:
        path (str or ~pathlib.Path): The file; its folder must exist.

    Raises:
        InputError: If the path is a folder, or its folder is missing or not writable.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise InputError(f'{path}: cannot be written, because it is a folder; name a file')
    trial = path.with_name(f'.{path.name}{_MARK}{secrets.token_hex(4)}')
    try:
        trial.write_bytes(b'0')
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        _remove(trial)


def _flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path):
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
