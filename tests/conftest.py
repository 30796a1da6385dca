"""Fixtures of all tests. `yolo_dist` is imported before any test file imports Chainer."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

import yolo_dist  # noqa: F401
from yolo_dist.datasets import make_mini_voc

ROOT = pathlib.Path(__file__).resolve().parents[1]

# What a process of a test is started with, besides the environment of the tests themselves.
SETTINGS = {
    'OMPI_ALLOW_RUN_AS_ROOT': '1',
    'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1',
    'PRTE_MCA_rmaps_default_mapping_policy': ':oversubscribe',
    'PRTE_MCA_hwloc_default_binding_policy': 'none',
    'OPENBLAS_NUM_THREADS': '1',
    'MPLBACKEND': 'agg',
}


def _start(command, env, cwd):
    environment = {**os.environ, **SETTINGS}
    path = environment.get('PYTHONPATH')
    environment['PYTHONPATH'] = os.pathsep.join([str(ROOT)] + ([path] if path else []))
    environment.update(env or {})
    return subprocess.Popen(
        command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True)


def _run(command, env, timeout, cwd):
    process = _start(command, env, cwd)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # mpiexec ends its processes, which have groups of their own, when asked politely.
        process.send_signal(signal.SIGTERM)
        try:
            output, errors = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
        pytest.fail(f'still running after {timeout} s: {command}\n{output}\n{errors}')
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


@pytest.fixture(scope='session')
def python():
    """Runs a fresh interpreter: ``python(*argv, env=None, timeout=120, cwd=None)``.

    ``argv`` is what follows ``python`` on the command line, ``env`` is added to the environment.
    Returns a ``subprocess.CompletedProcess`` with text; running too long fails the test.
    """
    def python(*argv, env=None, timeout=120, cwd=None):
        return _run([sys.executable, *map(str, argv)], env, timeout, cwd)
    return python


@pytest.fixture(scope='session')
def mpiexec():
    """Runs MPI processes: ``mpiexec(n, *argv, env=None, timeout=120, cwd=None)``.

    ``argv`` is what follows ``python`` on the command line of each of the ``n`` processes, which
    may be more than there are cores. Otherwise like :func:`python`.
    """
    def mpiexec(n, *argv, env=None, timeout=120, cwd=None):
        return _run([*_mpiexec(n), sys.executable, *map(str, argv)], env, timeout, cwd)
    return mpiexec


def _mpiexec(n):
    launcher = pathlib.Path(sys.executable).parent / 'mpiexec'
    return [str(launcher) if launcher.exists() else 'mpiexec', '-n', str(n)]


@pytest.fixture
def start():
    """Starts processes and goes on: ``start(*argv, n=None, env=None, cwd=None)``.

    ``n`` of them by mpiexec, or one without. Returns a ``subprocess.Popen`` with text. What is
    left of it at the end of the test is ended.
    """
    started = []

    def start(*argv, n=None, env=None, cwd=None):
        command = [*([] if n is None else _mpiexec(n)), sys.executable, *map(str, argv)]
        started.append(_start(command, env, cwd))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            # mpiexec ends its processes, stopped ones included.
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError):  # what has outlived it holds its output open
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(autouse=True)
def seed_initializers():
    """Chainer's initializers draw from NumPy's global state: the same weights in each run."""
    np.random.seed(0)


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` are skipped where there is none."""
    if not any(item.get_closest_marker('gpu') for item in items):
        return
    from yolo_dist.environment import environment
    cuda = environment()['cuda']
    if not cuda['available']:
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason=f'no GPU: {cuda["reason"]}'))


@pytest.fixture(scope='session')
def mini_voc(tmp_path_factory):
    """Root of a VOC-style set of 22 training and 7 held-out images."""
    path = tmp_path_factory.mktemp('data') / 'mini-voc'
    make_mini_voc(path, n_trainval=22, n_test=7)
    return path
