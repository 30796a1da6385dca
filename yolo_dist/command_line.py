"""What all entry points share: the parser and the way errors reach the user."""

import argparse
import signal
import sys

from yolo_dist.errors import InputError, describe_fault
from yolo_dist.utf8 import use_utf8


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are :class:`InputError`.

    Under mpiexec every process parses the same command line; as exceptions the
    errors go through the one place that prints them once. Options are not abbreviated:
    ``--pla`` is an error, not ``--plan``.
    """

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message):
        raise InputError(f'{self.format_usage()}{self.prog}: {message}')


def positive_number(text):
    """Return the type of an option: a finite number above 0.

    Args:
        text (str): What the user gave.

    Returns:
        float: The number.

    Raises:
        argparse.ArgumentTypeError: If it is not one.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'found {text}, expected a finite number above 0')
    return value


def fraction(text):
    """Return the type of an option: a number from 0 to 1.

    Args:
        text (str): What the user gave.

    Returns:
        float: The number.

    Raises:
        argparse.ArgumentTypeError: If it is not one.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'found {text}, expected a number from 0 to 1')
    return value


def printable(text):
    """Escape what would end a line or steer a terminal, as names of files may hold it.

    Args:
        text (str): Any text.

    Returns:
        str: One line.
    """
    return ''.join(character if character.isprintable() else ascii(character)[1:-1]
                   for character in text)


def positive_count(text):
    """Return the type of an option: a whole number of at least 1.

    Args:
        text (str): What the user gave.

    Returns:
        int: The number.

    Raises:
        argparse.ArgumentTypeError: If it is not one.
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f'found {text}, expected a whole number of at least 1')
    return value


def run_serial(main):
    """Run the ``main`` of a tool that needs no MPI and exit with its status.

    An interrupted tool ends with status 130, as shells expect. A file that the operating system
    refuses ends it as an :class:`InputError` does, with status 2.

    Args:
        main (callable): Called without arguments; returns ``None`` or a status.
    """
    use_utf8()
    try:
        sys.exit(main())
    except InputError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        # Of the machine, or of a file that somebody named; any other is a defect of this package.
        fault = describe_fault(error)
        if fault is None and error.filename is None:
            raise
        print(f'error: {fault or f"{error.filename}: {error.strerror}"}; name a place that is '
              'there and that you may read and write', file=sys.stderr)
        sys.exit(2)
