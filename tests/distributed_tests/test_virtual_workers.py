"""The statistics of batch normalisation of the workers of a process, and of all."""

import json

import chainer

from yolo_dist.distributed.virtual_workers import LocalWorkers
from yolo_dist.links import Darknet19

AVERAGE = """
import json
import yolo_dist
from yolo_dist.distributed import communicator, launch
from yolo_dist.links import Darknet19
from yolo_dist.distributed.virtual_workers import LocalWorkers

def normalisations(model):
    return [link for link in model.links() if hasattr(link, 'avg_mean')]

def main():
    comm = communicator.create_communicator('naive')
    model = Darknet19(2, width=0.03)
    workers = LocalWorkers(model, 2)
    for local in range(2):
        workers.enter(local)
        for i, link in enumerate(normalisations(model)):
            number = 2 * comm.rank + local
            link.avg_mean[:] = 100 * i + number
            link.avg_var[:] = 1000 + 100 * i + 3 * number
    weights = model.extractor[0].conv.W.array.copy()
    workers.average(comm)
    found = []
    for local in range(2):
        workers.enter(local)
        found.append([[float(link.avg_mean[0]), float(link.avg_var[-1])]
                      for link in normalisations(model)])
    same = bool((weights == model.extractor[0].conv.W.array).all())
    everyone = comm.gather_obj((found, same))
    if comm.rank == 0:
        print(json.dumps(everyone))

if __name__ == '__main__':
    launch.run_job(main)
"""


def test_statistics_are_averaged_name_by_name(mpiexec, tmp_path):
    """8 workers on 4 processes: means with means, though each process hashes differently.

    A Chainer link keeps the names of its statistics in a set, whose order depends on
    the process's hash seed; four processes disagree almost surely.
    """
    (tmp_path / 'average.py').write_text(AVERAGE)
    done = mpiexec(4, tmp_path / 'average.py', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    everyone = json.loads(done.stdout.splitlines()[-1])
    expected = [[100 * i + 3.5, 1000 + 100 * i + 10.5] for i in range(18)]
    assert everyone == [[[expected, expected], True]] * 4


def first_mean(model):
    return model.extractor[0].bn.avg_mean


def test_each_worker_has_statistics_of_its_own():
    """What one worker's training moves, another does not see, until they are shared."""
    model = Darknet19(2, width=0.03)
    workers = LocalWorkers(model, 3)
    imgs = chainer.Variable(model.xp.ones((2, 3, 32, 32), 'f'))
    with chainer.using_config('train', True):
        workers.enter(1)
        model(imgs)
    moved = first_mean(model).copy()
    assert (moved != 0).any()
    for other in (0, 2):
        workers.enter(other)
        assert (first_mean(model) == 0).all()
    workers.enter(1)
    assert (first_mean(model) == moved).all()
    workers.share()
    for i in range(3):
        workers.enter(i)
        assert (first_mean(model) == moved).all()
