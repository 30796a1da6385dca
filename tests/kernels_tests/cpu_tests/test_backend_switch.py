"""The switch of the CPU backend, and when its parts are loaded."""
import os
import subprocess
import sys

import pytest

from yolo_dist.kernels.cpu import is_cpu_backend_on, using_cpu_backend


def run_python(code, **environment):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env={**os.environ, **environment}, check=False)


@pytest.mark.parametrize('value, expected', [('on', 'True'), ('off', 'False')])
def test_environment_variable(value, expected):
    """YOLO_DIST_CPU_BACKEND chooses."""
    done = run_python('from yolo_dist.kernels import cpu; print(cpu.is_cpu_backend_on())',
                      YOLO_DIST_CPU_BACKEND=value)
    assert done.stdout.strip() == expected


def test_misspelt_environment_variable():
    """Another value is an error that names variable, value and choices."""
    done = run_python('from yolo_dist.kernels import cpu; cpu.is_cpu_backend_on()',
                      YOLO_DIST_CPU_BACKEND='0')
    assert "YOLO_DIST_CPU_BACKEND is '0'; expected 'on' or 'off'" in done.stderr


def test_context_manager_restores():
    """The state before the block comes back, also after an error."""
    before = is_cpu_backend_on()
    with pytest.raises(RuntimeError), using_cpu_backend(not before):
        assert is_cpu_backend_on() is not before
        raise RuntimeError
    assert is_cpu_backend_on() is before


NETWORK = """
import numpy as np
from yolo_dist.links import Darknet19
import chainer
with chainer.using_config('train', False):
    Darknet19(3, width=0.05)(np.zeros((1, 3, 32, 32), 'f'))
"""
READING = """
import cv2, numpy as np
import yolo_dist.train
from yolo_dist.datasets import read_image
from yolo_dist.transforms import centre_crop, letterbox
cv2.imwrite('a.png', np.zeros((40, 50, 3), 'u1'))
centre_crop(read_image('a.png'), 32)
letterbox(read_image('a.png'), 32)
"""


@pytest.mark.parametrize('code, switch, is_loaded', [
    (READING, 'on', False), (NETWORK, 'off', False), (NETWORK, 'on', True)],
    ids=['reading', 'off', 'on'])
def test_numba_is_loaded_only_when_it_computes(tmp_path, monkeypatch, code, switch, is_loaded):
    """Processes that read images for an evaluation, or switch the backend off, do without it."""
    monkeypatch.chdir(tmp_path)
    done = run_python(f"{code}\nimport sys; print('numba' in sys.modules)",
                      YOLO_DIST_CPU_BACKEND=switch)
    assert done.stdout.strip() == str(is_loaded), done.stderr
