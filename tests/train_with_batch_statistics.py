"""``yolo_dist.train`` twice, with live and with fixed statistics in batch normalisation.

Run under mpiexec by ``test_train.py``. The results go to the folders ``live`` and ``fixed``. With
fixed statistics a network has no other coupling between the images of a batch than the loss.
"""

import os
import sys

# The fused block of the CPU backend does not call the function that is replaced here.
os.environ['YOLO_DIST_CPU_BACKEND'] = 'off'

from yolo_dist import train  # noqa: E402
from yolo_dist.distributed import launch  # noqa: E402

import chainer  # noqa: E402, isort: skip


def normalise_with_fixed_statistics(self, x, **kwargs):
    return chainer.functions.fixed_batch_normalization(
        x, self.gamma, self.beta, self.xp.zeros_like(self.avg_mean),
        self.xp.ones_like(self.avg_var), self.eps)


def train_twice():
    live = train.main([*sys.argv[1:], '--results', 'live'])
    chainer.links.BatchNormalization.forward = normalise_with_fixed_statistics
    return live or train.main([*sys.argv[1:], '--results', 'fixed'])


if __name__ == '__main__':
    launch.run_job(train_twice)
