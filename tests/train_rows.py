"""Trains many runs in one start of MPI: ``train_rows.py COMMAND_LINES.json OUTCOMES``.

The first file is a list of command lines of `yolo_dist.train`; the second one gets a line of
JSON for each that has ended: its status, or the message of an input error, which all processes
raise alike.
"""

import json
import pathlib
import sys

from yolo_dist.distributed import launch
from yolo_dist.errors import InputError
from yolo_dist.train import main


def train_rows():
    command_lines, outcomes = map(pathlib.Path, sys.argv[1:])
    for command_line in json.loads(command_lines.read_text()):
        try:
            outcome = main(command_line)
        except InputError as error:
            outcome = str(error)
        if launch.process_number() == 0:
            with open(outcomes, 'a', encoding='utf-8') as file:
                print(json.dumps(outcome), file=file)


if __name__ == '__main__':
    launch.run_job(train_rows)
