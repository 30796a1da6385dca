"""Threads of every library in every process of a job."""
import json
import os

import pytest

PROGRAM = """
import json
import yolo_dist
import chainer, cv2, numpy, threadpoolctl
from yolo_dist.distributed.launch import run_job
from yolo_dist.training.iterators import iterate_batches

def threads():
    found = {library['filepath']: library['num_threads']
             for library in threadpoolctl.threadpool_info()}
    return [*found.values(), cv2.getNumThreads()]

class Dataset(chainer.dataset.DatasetMixin):
    def __len__(self):
        return 2
    def get_example(self, i):
        return threads()

def main():
    batch, = iterate_batches(Dataset(), 2, 1)
    print(json.dumps({'process': threads(), 'loader': batch[0]}))

if __name__ == '__main__':
    run_job(main)
"""


@pytest.mark.parametrize('n_processes', [1, 2])
def test_threads_of_every_library(mpiexec, tmp_path, n_processes):
    """In a process of n each has the n-th part of the cores, in a loader process one.

    The libraries start with more threads than there are cores to share.
    """
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM)
    n_cores = len(os.sched_getaffinity(0))
    result = mpiexec(n_processes, program, env={
        name: str(2 * n_cores) for name in ('OPENBLAS_NUM_THREADS', 'OPENCV_FOR_THREADS_NUM')})
    assert result.returncode == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == n_processes
    for counts in found:
        assert len(counts['process']) >= 2
        assert set(counts['process']) == {max(1, n_cores // n_processes)}
        assert set(counts['loader']) == {1}
