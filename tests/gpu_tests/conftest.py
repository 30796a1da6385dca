"""Tests on a real GPU, all marked `gpu`: skipped where there is none."""
import chainer
import pytest

from yolo_dist.distributed.device import use_gpu


@pytest.fixture
def gpu(monkeypatch):
    """The first GPU, made current; what Chainer was told to do with it is undone afterwards."""
    for name in ('dtype', 'use_cudnn_tensor_core', 'autotune', 'cudnn_fast_batch_normalization'):
        monkeypatch.setattr(chainer.global_config, name, getattr(chainer.global_config, name))
    return use_gpu(0)
