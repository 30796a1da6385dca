"""Opening files that somebody else wrote."""
import errno
import os
import stat


def open_file(path):
    """Open a file to read its bytes.

    Opening a pipe would wait for ever for its writer, and reading a device for its end.

    Args:
        path (str or ~pathlib.Path): The file.

    Returns:
        A binary file.

    Raises:
        OSError: If it is not there, cannot be opened, is a folder, a pipe or a device, or if no
            file can have this name.
    """
    try:
        file = open(path, 'rb', opener=_open_at_once)
    except ValueError as error:  # a zero or half a surrogate pair in the name
        raise FileNotFoundError(errno.ENOENT, f'no file has such a name: {error}') from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, 'a pipe or a device, not a file', str(path))
    return file


def read_file(path):
    """Read a file; see :func:`open_file`.

    Returns:
        bytes: All of it.
    """
    with open_file(path) as file:
        return file.read()


def _open_at_once(path, flags):
    return os.open(path, flags | os.O_NONBLOCK)
