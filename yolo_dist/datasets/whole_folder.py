"""A folder that is there as a whole or not at all."""
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from yolo_dist.errors import InputError


@contextlib.contextmanager
def write_whole_folder(directory):
    """Give a folder to write into, which becomes ``directory`` when the block ends well.

    It lies beside its final place and is renamed, so that an interrupted run leaves nothing that
    looks like a data set.

    Args:
        directory (str or ~pathlib.Path): Final place; absent or empty.

    Yields:
        ~pathlib.Path: Where to write.

    Raises:
        InputError: If ``directory`` is not empty or cannot be written.
    """
    directory = Path(os.path.abspath(directory))
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f'.{directory.name}.partial-',
                                        dir=directory.parent))
    except OSError as error:
        raise InputError(
            f'{directory}: cannot be written ({error.strerror}); name a folder on a disk '
            'that you may write to') from error
    try:
        # mkdtemp makes a folder for the owner alone; a data set is for everybody.
        partial.chmod(0o777 & ~_umask())
        yield partial
        os.rename(partial, directory)
    except OSError as error:
        raise InputError(
            f'{directory}: cannot be written ({error.strerror}); nothing was left '
            'behind') from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
