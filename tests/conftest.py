"""Fixtures of all tests. `yolo_dist` is imported before any test file imports Chainer."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import yolo_dist  # noqa: F401
from yolo_dist.config import load_config
from yolo_dist.datasets import make_mini_voc
from yolo_dist.runs.run_directory import RunDirectory, save_npz
from yolo_dist.tasks import get_task

ROOT = pathlib.Path(__file__).resolve().parents[1]

# What a process of a test is started with, besides the environment of the tests themselves.
SETTINGS = {
    'OMPI_ALLOW_RUN_AS_ROOT': '1',
    'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1',
    'PRTE_MCA_rmaps_default_mapping_policy': ':oversubscribe',
    'PRTE_MCA_hwloc_default_binding_policy': 'none',
    # More processes than cores: who waits lets others compute.
    'OMPI_MCA_mpi_yield_when_idle': '1',
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


class _JobServer:
    """``n`` processes of ``job_server.py``, which are started anew where a command ended them."""

    def __init__(self, n, folder):
        self._n = n
        self._folder = folder
        self._number = 0
        self._process = None

    def _start(self):
        folder = self._folder / f'start{self._number}'
        folder.mkdir()
        for rank in range(self._n):
            os.mkfifo(folder / str(rank))
        self._process = _start([*_mpiexec(self._n), sys.executable,
                                str(ROOT / 'tests/job_server.py'), str(folder)], None, folder)
        # For reading as well: opened for writing alone, a pipe waits for its reader.
        self._pipes = [open(os.open(folder / str(rank), os.O_RDWR), 'w', encoding='utf-8',
                            buffering=1) for rank in range(self._n)]
        self._current = folder

    def run(self, module, argv, timeout, cwd):
        if self._process is None:
            self._start()
        self._number += 1
        outputs = [self._folder / f'{self._number}.{name}' for name in ('stdout', 'stderr')]
        for output in outputs:
            output.touch()
        command = [self._number, module, argv, *map(str, [cwd, *outputs])]
        for pipe in self._pipes:
            pipe.write(json.dumps(command) + '\n')
        files = [self._current / f'{self._number}.{rank}' for rank in range(self._n)]
        give_up_at = time.monotonic() + timeout
        while not all(map(os.path.exists, files)) and self._process.poll() is None:
            if time.monotonic() > give_up_at:
                self.end(signal.SIGTERM)
                pytest.fail(f'still running after {timeout} s: {command}\n'
                            + '\n'.join(output.read_text() for output in outputs))
            time.sleep(0.01)
        texts = ['', '']
        if self._process.poll() is None:
            status = next(filter(None, (int(file.read_text()) for file in files)), 0)
        else:
            texts, status = self._process.communicate(), self._process.returncode
            self.end()
        texts = [output.read_text(encoding='utf-8') + text
                 for output, text in zip(outputs, texts)]
        return subprocess.CompletedProcess(command, status, *texts)

    def end(self, number=None):
        if self._process is None:
            return
        for pipe in self._pipes:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        if number is not None:
            self._process.send_signal(number)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._process = None


@pytest.fixture(scope='session')
def mpi_job(tmp_path_factory):
    """Runs a command of the package in MPI processes that other tests use before and after.

    ``mpi_job(n, module, *argv, timeout=120, cwd)``, for instance with ``yolo_dist.train``. Like
    :func:`mpiexec`, without the time that processes need to start.
    """
    servers = {}

    def mpi_job(n, module, *argv, timeout=120, cwd):
        if n not in servers:
            servers[n] = _JobServer(n, tmp_path_factory.mktemp(f'jobs_of_{n}'))
        return servers[n].run(module, list(map(str, argv)), timeout, cwd)

    yield mpi_job
    for server in servers.values():
        server.end()


@pytest.fixture
def start():
    """Starts processes and goes on: ``start(*argv, n=None, by=None, env=None, cwd=None)``.

    ``n`` of them by mpiexec, or one without. ``by`` is the command line that ``argv`` goes on
    with, instead of ``python``. Returns a ``subprocess.Popen`` with text. What is left of it at
    the end of the test is ended.
    """
    started = []

    def start(*argv, n=None, by=None, env=None, cwd=None):
        command = [*([] if n is None else _mpiexec(n)), *(by or [sys.executable]),
                   *map(str, argv)]
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


# Files that take longest, longest first. Some files run at a time (Makefile), and a long one that
# begins last would run alone.
LONGEST = ('test_train.py', 'test_schedulers.py', 'test_hosts.py', 'test_experiments.py',
           'test_train_faults.py', 'test_worker_mean.py', 'test_faults_of_processes.py',
           'test_conv_bn_leaky_relu.py', 'test_bench.py', 'test_installed.py', 'test_doctor.py',
           'test_fuzz.py', 'test_launch.py', 'test_report.py')


def pytest_collection_modifyitems(items):
    """Long files come first, and tests marked `gpu` are skipped where there is none."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST
               else len(LONGEST))
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


_TINY = ['data.input_size_px=32', 'data.evaluation.input_size_px=32', 'model.width=0.03',
         'model.n_class=3', 'model.pretrained=null']


def _write_run(directory, model, class_names, *overrides):
    """Run directory of a network that finds the same in every picture."""
    config = load_config(ROOT / f'experiments/quickstart_{model}.yaml', overrides=[
        *_TINY, f'name={directory.name}', *overrides])
    link = get_task(config).build_model(config)
    heads = [convs[1] for convs in link.subnet] if model == 'yolo_v3' else [link.head]
    for head in heads:
        head.W.array[:] = 0
    if model == 'yolo_v3':
        for head in heads:
            head.b.array[4::8] = -20  # no object, but one of the coarsest scale
        heads[0].b.array[:8] = [0, 0, 0, 0, 3, -20, 3, -20]  # score 0.907
    else:
        heads[0].b.array[:] = [0, 2, 1]
    RunDirectory(directory, config).open(class_names, n_weight_bytes=0)
    save_npz(directory / 'weights_final.npz', link)
    return directory


@pytest.fixture(scope='session')
def detector_run(tmp_path_factory):
    """Run of a YOLOv3 that finds one 'kočka' in the middle half of the letterboxed picture."""
    return _write_run(tmp_path_factory.mktemp('runs') / 'detector', 'yolo_v3',
                      ['dog', 'kočka', 'a/b'], 'data.class_names=[dog, kočka, a/b]',
                      'model.anchors=[[[16, 16], [4, 4], [4, 4]], [[4, 4], [4, 4], [4, 4]], '
                      '[[4, 4], [4, 4], [4, 4]]]')


@pytest.fixture(scope='session')
def classifier_run(tmp_path_factory):
    """Run of a Darknet19 to which every picture shows a 'two', then a 'three'."""
    return _write_run(tmp_path_factory.mktemp('runs') / 'classifier', 'darknet19',
                      ['one', 'two', 'three'])


@pytest.fixture
def photo():
    """A picture of 60 x 120 px, uint8 ``(3, H, W)``, each quarter of another colour."""
    img = np.zeros((3, 60, 120), np.uint8)
    img[0, :30], img[1, :, :60], img[2, 30:] = 220, 180, 90
    return img
