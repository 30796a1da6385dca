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


@pytest.mark.parametrize('value, expected', [('on', '[False, True]'), ('off', '[False, False]')])
def test_numba_is_loaded_only_when_it_computes(value, expected):
    """Processes that only build networks, or switch the backend off, do not load Numba."""
    done = run_python("""
import sys, numpy as np, yolo_dist.links, yolo_dist.training.optimizers
network = yolo_dist.links.Darknet19(2, width=.05)
loaded = ['numba' in sys.modules]
network(np.zeros((1, 3, 64, 64), np.uint8))
print([*loaded, 'numba' in sys.modules])
""", YOLO_DIST_CPU_BACKEND=value)
    assert done.stdout.strip() == expected, done.stderr
