"""What processes do together before and beside training."""

import json

AVERAGE = """
import json
import yolo_dist
from yolo_dist import communicator
from yolo_dist.links import Darknet19

def main():
    comm = communicator.create_communicator('naive')
    model = Darknet19(2, width=0.03)
    for i, link in enumerate(link for link in model.links() if hasattr(link, 'avg_mean')):
        link.avg_mean[:] = 100 * i + comm.rank
        link.avg_var[:] = 1000 + 100 * i + 3 * comm.rank
    weights = model.extractor[0].conv.W.array.copy()
    communicator.average_batch_statistics(model, comm)
    found = [[float(link.avg_mean[0]), float(link.avg_var[-1])] for link in model.links()
             if hasattr(link, 'avg_mean')]
    same = bool((weights == model.extractor[0].conv.W.array).all())
    everyone = comm.gather_obj((found, same))
    if comm.rank == 0:
        print(json.dumps(everyone))

if __name__ == '__main__':
    communicator.run_job(main)
"""


def test_statistics_are_averaged_name_by_name(mpiexec, tmp_path):
    """Means with means and variances with variances, though each process hashes differently.

    A Chainer link keeps the names of its statistics in a set, whose order depends on
    the process's hash seed; four processes disagree almost surely.
    """
    (tmp_path / 'average.py').write_text(AVERAGE)
    done = mpiexec(4, tmp_path / 'average.py', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    everyone = json.loads(done.stdout.splitlines()[-1])
    expected = [[100 * i + 1.5, 1000 + 100 * i + 4.5] for i in range(18)]
    assert everyone == [[expected, True]] * 4


FAIL = """
import sys, time
import yolo_dist
from yolo_dist import communicator
from yolo_dist.communicator import agreed, process_number
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
    communicator.run_job(main)
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
