"""A whole job, from JPEG files to moved weights, by processes of one thread each."""
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from yolo_dist.benchmarks import workloads
from yolo_dist.benchmarks.input_files import make_photographs, read_photographs
from yolo_dist.benchmarks.peers import check_peer
from yolo_dist.benchmarks.timing import Timing, ratio
from yolo_dist.errors import InputError

_WARMUP_ITERATIONS = 5
_TRAIN = ('-m', 'yolo_dist.train')
_TORCH_JOB = ('-m', 'yolo_dist.benchmarks.torch_job')
_N_LINES = 20  # that are shown of a job that failed; mpiexec ends with half of them
_END_SECONDS = 10


def measure_job(arguments):
    """Time jobs of ``yolo_dist.train``, and the same in PyTorch, in alternation on the same files.

    An iteration lasts from the end of the one before to its own end in the slowest process. The
    figures of a job are medians over its iterations, those printed are medians over the jobs.

    Args:
        arguments (~argparse.Namespace): Of the command line; what was left out of its sizes is
            filled in.

    Returns:
        dict: Figures.

    Raises:
        InputError: If the files or a program are not to be had, or a job fails.
    """
    if arguments.against is not None:
        check_peer(arguments.against, 'torchvision')
    mpiexec = _find_mpiexec()
    input_size, batch = workloads.default_size(arguments.model)
    arguments.input_size = arguments.input_size or input_size
    arguments.batch = arguments.batch or batch
    files = read_photographs(arguments.data) if arguments.data else make_photographs()
    ours, theirs = [], []
    with _run_by_one_core_each(arguments.processes), tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_class_folders(root / 'train', files, arguments)
        (root / 'job.yaml').write_text(yaml.safe_dump(_experiment(arguments, root)),
                                       encoding='utf-8')
        for i in range(arguments.repeats):
            ours.append(_run_ours(mpiexec, arguments, root, root / f'results{i}'))
            if arguments.against is not None:
                theirs.append(_run_theirs(arguments, root, root / f'meeting{i}'))
    return {
        'model': arguments.model, 'input_size_px': arguments.input_size,
        'batch_size': arguments.batch, 'width': arguments.width,
        'processes': arguments.processes, 'loader_processes': arguments.loader_processes,
        'images': 'photographs of scikit-image' if arguments.data is None else arguments.data,
        'n_images': len(files), 'mean_kilobytes': np.mean([len(data) for data in files]) / 1e3,
        'iterations': arguments.iterations, **_figures(arguments, ours, theirs)}


def _figures(arguments, ours, theirs):
    timing = Timing(tuple(job['seconds_per_iteration']['median'] for job in ours))
    n_images = arguments.processes * arguments.batch
    figures = {'milliseconds': 1e3 * timing.median, 'spread': timing.spread,
               'images_per_second': n_images / timing.median}
    for phase in ours[0]['phase_seconds']:
        figures[f'{phase}_milliseconds'] = 1e3 * statistics.median(
            job['phase_seconds'][phase] for job in ours)
    if theirs:
        other = Timing(tuple(map(statistics.median, theirs)))
        figures |= {'torch_milliseconds': 1e3 * other.median, 'torch_spread': other.spread,
                    'torch_images_per_second': n_images / other.median,
                    'times_as_fast_as_torch': ratio(other, timing)}
    return figures


def _find_mpiexec():
    beside = Path(sys.executable).parent / 'mpiexec'
    found = str(beside) if beside.exists() else shutil.which('mpiexec')
    if found is None:
        raise InputError('mpiexec is neither beside this Python nor on PATH; it belongs to the '
                         "extra 'mpi': pip install -e '.[mpi]'")
    return found


@contextlib.contextmanager
def _run_by_one_core_each(n_processes):
    """Give what is started here as many cores as processes, which then have a thread each.

    A request to end is heard like Ctrl-C, so that children and files are removed.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:n_processes])
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        os.sched_setaffinity(0, cores)


def _write_class_folders(root, files, arguments):
    """Write ``CLASS/NUMBER.jpg``, one for each class and each image of a job at least.

    Args:
        root (~pathlib.Path): A folder to be made.
        files (list of bytes): JPEGs, which stand there several times.
        arguments (~argparse.Namespace): Of the command line.
    """
    n_class = workloads.N_CLASS[arguments.model]
    n_iterations = _WARMUP_ITERATIONS + arguments.iterations
    paths = []
    for i in range(max(n_class, n_iterations * arguments.processes * arguments.batch)):
        path = root / f'class{i % n_class:04d}' / f'{i:06d}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < len(files):
            path.write_bytes(files[i])
        else:
            path.hardlink_to(paths[i % len(files)])
        paths.append(path)


def _experiment(arguments, root):
    """Return an experiment file that measures the speed of a job, with Darknet's augmentation."""
    size = arguments.input_size
    return {
        'name': 'job', 'task': 'classification', 'workers': arguments.processes,
        'communicator': {
            'name': 'naive', 'allreduce_grad_dtype': 'float32', 'prescale_gradients': False,
            'double_buffering': False, 'multi_node_bn': False},
        'data': {
            'root': str(root), 'n_synthetic_examples': None, 'train': 'train', 'val': 'train',
            'input_size_px': size, 'batch_size_per_worker': arguments.batch,
            'n_loader_processes': arguments.loader_processes,
            'augmentation': {
                'min_crop_px': 128 * size // 224, 'max_crop_px': 448 * size // 224,
                'aspect_ratio': 0.75, 'angle_degrees': 7.0, 'hue': 0.1, 'saturation': 0.75,
                'exposure': 0.75, 'flip': True},
            'evaluation': {'input_size_px': size, 'batch_size': arguments.batch}},
        'model': {
            'name': arguments.model, 'n_class': workloads.N_CLASS[arguments.model],
            'width': arguments.width, 'bn_decay': 0.99, 'dtype': 'float32', 'pretrained': None},
        'optimizer': {
            'base_lr': 1e-6, 'lr_rule': 'literal', 'base_lr_batch_size': None, 'momentum': 0.9,
            'weight_decay': 5e-4, 'weight_decay_on': 'conv_weights', 'lars': None,
            'loss_scale': None},
        'schedule': {
            'epochs': 1.0, 'warmup': 'none', 'warmup_epochs': 0.0, 'decay': {'kind': 'constant'}},
        'run': {
            'seed': 0, 'log_every_iterations': 50, 'evaluate_every_epochs': 1.0,
            'snapshot_every_epochs': 1.0, 'keep_snapshots': 1, 'stop_after_epochs': None,
            'measure': {'warmup_iterations': _WARMUP_ITERATIONS,
                        'iterations': arguments.iterations}}}


def _run_ours(mpiexec, arguments, root, results):
    """Run a job and return the ``throughput.json`` that it leaves."""
    _run([mpiexec, '-n', str(arguments.processes), sys.executable, *_TRAIN,
          str(root / 'job.yaml'), '--results', str(results)], root)
    return json.loads((results / 'job' / 'throughput.json').read_text(encoding='utf-8'))


def _run_theirs(arguments, root, meeting):
    """Run a job of :mod:`~yolo_dist.benchmarks.torch_job` and return seconds of iterations."""
    settings = {
        'model': arguments.model, 'n_class': workloads.N_CLASS[arguments.model],
        'width': arguments.width, 'input_size': arguments.input_size, 'batch': arguments.batch,
        'processes': arguments.processes, 'loader_processes': arguments.loader_processes,
        'n_iterations': _WARMUP_ITERATIONS + arguments.iterations, 'data': str(root / 'train'),
        'meeting': str(meeting)}
    output = _run([sys.executable, *_TORCH_JOB, json.dumps(settings)], root)
    return json.loads(output.splitlines()[-1])[_WARMUP_ITERATIONS:]


def _run(command, folder):
    """Run a program to its end, and end it and all that it started if this process is stopped.

    Args:
        command (list of str): The program and its arguments.
        folder (~pathlib.Path): Its temporary files, as processes that are killed remove none.

    Returns:
        str: What it printed.

    Raises:
        InputError: If it fails, with its last lines.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding='utf-8', errors='replace', start_new_session=True,
        env={**os.environ, 'TMPDIR': str(folder)})
    try:
        output, errors = _communicate(process)
    finally:
        if process.poll() is None:
            # mpiexec ends its processes, which are in groups of their own, when it is asked to.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        lines = f'{output}\n{errors}'.strip().splitlines()[-_N_LINES:]
        raise InputError('\n'.join([f'{" ".join(command)}: ended with status '
                                    f'{process.returncode}; its last lines:', *lines]))
    return output


def _communicate(process):
    """Wait for the end of a program, and hear signals meanwhile.

    A signal may come to another thread of this process. The main one hears it when it wakes.
    """
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=1)
