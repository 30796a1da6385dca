"""What all entry points share: the parser and the way errors reach the user."""

import argparse
import sys

from yolo_dist.errors import InputError, describe_fault


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


def run_serial(main):
    """Run the ``main`` of a tool that needs no MPI and exit with its status.

    Args:
        main (callable): Called without arguments; returns ``None`` or a status.
    """
    try:
        sys.exit(main())
    except InputError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        fault = describe_fault(error)
        if fault is None:
            raise
        print(f'error: {fault}', file=sys.stderr)
        sys.exit(2)
