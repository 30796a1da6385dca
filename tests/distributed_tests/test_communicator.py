"""What processes do together before and beside training."""


FAIL = """
import sys, time
import yolo_dist
from yolo_dist.distributed import launch
from yolo_dist.distributed.launch import agreed, process_number
from yolo_dist.errors import InputError

def main():
    if sys.argv[1] == 'agreed':
        with agreed():
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
            ('agreed', 2, 'error: the second process cannot read its file'),
            ('input', 2, 'error (process 1): of the second process'),
            ('bug', 1, "KeyError: 'of the second process'")):
        done = mpiexec(2, tmp_path / 'fail.py', how, timeout=60)
        assert done.returncode == status, done.stderr
        assert done.stderr.count(message) == 1, done.stderr
        assert ('Traceback' in done.stderr) == (how == 'bug')
