"""Errors that entry points and training report without a traceback."""

import errno

_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG,
                   errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE)


def describe_fault(error):
    """Describe in one line an error of the operating system that no code can correct.

    Args:
        error (OSError): The error: a full disk, a read-only folder, too many open files.

    Returns:
        str: The cause, and the file if the system names it; ``None`` for any other error.
    """
    if error.errno not in _OF_THE_MACHINE:
        return None
    return error.strerror if error.filename is None else f'{error.filename}: {error.strerror}'


def in_short(names, n_shown=3):
    """Join names, the first few of them.

    Args:
        names (sequence of str): The names.
        n_shown (int): How many of them are shown.

    Returns:
        str: Such as ``a, b, c and 4 more``.
    """
    shown = ', '.join(names[:n_shown])
    return shown if len(names) <= n_shown else f'{shown} and {len(names) - n_shown} more'


class InputError(ValueError):
    """An input of the user that cannot be used.

    The message says what was found, what was expected and what to do. Entry
    points print it once for the whole job and exit with status 2. Any other
    exception is a defect of this package and keeps its traceback.
    """


class TrainingDiverged(RuntimeError):
    """The loss or a gradient is no longer finite. It is raised in every process."""


class GradientNotFinite(ArithmeticError):
    """A mean of gradients is not finite. It is raised in every process.

    Attributes:
        is_own (bool): Whether a gradient of the workers of this process is not finite; ``None``
            if this is not known.
    """

    is_own = None


class ProcessLost(RuntimeError):
    """A process that this one depends on was killed or crashed."""
