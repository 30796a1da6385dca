"""Runs many jobs in one start of MPI: ``train_rows.py COMMAND_LINES.json OUTCOMES``.

The first file is a list of command lines of `yolo_dist.train`. The second one gets a line of
JSON for each that has ended: for each process its exit status and what it wrote to stderr.
"""

import contextlib
import functools
import io
import json
import pathlib
import sys

from yolo_dist.distributed import launch
from yolo_dist.train import main


class Copied(io.StringIO):
    """Keeps what is written to stderr, which gets it as well."""

    def write(self, text):
        sys.__stderr__.write(text)
        return super().write(text)


def train_rows():
    from mpi4py import MPI
    command_lines, outcomes = map(pathlib.Path, sys.argv[1:])
    for command_line in json.loads(command_lines.read_text()):
        with contextlib.redirect_stderr(Copied()) as errors:
            try:
                launch.run_job(functools.partial(main, command_line))
            except SystemExit as end:
                status = end.code
        # The next run may look at what this one leaves, so no process begins it earlier.
        of_all = MPI.COMM_WORLD.allgather((status, errors.getvalue()))
        if launch.process_number() == 0:
            with open(outcomes, 'a', encoding='utf-8') as file:
                print(json.dumps(of_all), file=file)


if __name__ == '__main__':
    train_rows()
