"""The parser and the error output that all entry points share."""

import argparse
import math
import signal
import sys

from yolo_dist.errors import InputError, describe_fault
from yolo_dist.utf8 import use_utf8


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are :class:`InputError`.

    Under mpiexec every process parses the same command line. Errors are raised as exceptions, and
    one place prints each of them once. Options are not abbreviated: ``--pla`` is an error, not
    ``--plan``.
    """

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message):
        raise InputError(f'{self.format_usage()}{self.prog}: {message}')


def number(kind, is_right, expected):
    """Make the type of an option that is a number.

    Args:
        kind (type): ``int`` or ``float``.
        is_right (callable): Whether a number is allowed.
        expected (str): The allowed numbers, in words.

    Returns:
        callable: Converts text to the number; raises ``argparse.ArgumentTypeError`` that says
        what was found and what was expected.
    """
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not is_right(value):
            raise argparse.ArgumentTypeError(f'found {text}, expected {expected}')
        return value
    return parse


positive_number = number(float, lambda value: 0 < value < math.inf, 'a finite number above 0')
positive_count = number(int, lambda value: value >= 1, 'at least 1, a whole number')
fraction = number(float, lambda value: 0 <= value <= 1, 'a number from 0 to 1')


def printable(text):
    """Escape characters that end a line or control a terminal. File names may contain them.

    Args:
        text (str): Any text.

    Returns:
        str: One line.
    """
    return ''.join(character if character.isprintable() else ascii(character)[1:-1]
                   for character in text)


def run_serial(main):
    """Run the ``main`` of a tool that needs no MPI and exit with its status.

    An interrupted tool ends with status 130, as shells expect. If the operating system refuses a
    file, the tool ends with status 2, as after an :class:`InputError`.

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
        # The reader of the output, such as `head`, has closed it.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        # An error of the machine or of a file that the user named. Any other error is a defect.
        fault = describe_fault(error)
        if fault is None and error.filename is None:
            raise
        print(f'error: {fault or f"{error.filename}: {error.strerror}"}; name a place that '
              'exists and that you may read and write', file=sys.stderr)
        sys.exit(2)
