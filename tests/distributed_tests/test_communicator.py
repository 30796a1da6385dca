"""What processes do together before and beside training."""

import pathlib
import platform

from yolo_dist.config import dump_config, load_config

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'


FAIL = """
import sys, time
import yolo_dist
from yolo_dist.distributed import launch
from yolo_dist.distributed.launch import fail_together, process_number
from yolo_dist.errors import InputError

def main():
    if sys.argv[1] == 'fail_together':
        with fail_together():
            if process_number() == 1:
                raise InputError('the second process cannot read its file')
    elif process_number() == 1:
        raise {'input': InputError, 'bug': KeyError}[sys.argv[1]]('of the second process')
    time.sleep(600)

if __name__ == '__main__':
    launch.run_job(main)
"""


def test_a_failing_process_ends_the_job(mpiexec, tmp_path):
    """Whoever fails, and however, the others do not wait; the message stands there once."""
    (tmp_path / 'fail.py').write_text(FAIL)
    for how, status, message in (
            ('fail_together', 2, 'error: the second process cannot read its file'),
            ('input', 2, f'error (process 1 on {platform.node()}): of the second process'),
            ('bug', 1, "KeyError: 'of the second process'")):
        done = mpiexec(2, tmp_path / 'fail.py', how, timeout=60)
        assert done.returncode == status, done.stderr
        assert done.stderr.count(message) == 1, done.stderr
        assert ('Traceback' in done.stderr) == (how == 'bug')


# One process cannot load the run; the other goes straight on towards the communicator.
LEAVES_FIRST = """
import sys
import yolo_dist
from yolo_dist import evaluate
from yolo_dist.distributed import launch
from yolo_dist.errors import InputError

load_config = evaluate.load_config

def fail_on_the_second(*args, **kwargs):
    if launch.process_number() == 1:
        raise InputError('the second process sees no file')
    return load_config(*args, **kwargs)

evaluate.load_config = fail_on_the_second

if __name__ == '__main__':
    launch.run_job(evaluate.main)
"""


def test_a_process_that_fails_before_the_communicator_leaves_nobody_waiting(mpiexec, tmp_path):
    """Creating a communicator waits for all processes, so it comes after the agreement."""
    config = load_config(EXPERIMENTS / 'quickstart_darknet19.yaml')
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/config.yaml').write_text(dump_config(config))
    (tmp_path / 'run/weights_final.npz').touch()
    (tmp_path / 'leave.py').write_text(LEAVES_FIRST)
    done = mpiexec(2, tmp_path / 'leave.py', tmp_path / 'run', timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count('error: the second process sees no file') == 1, done.stderr
