"""All that is to be known of a GPU in one file: its tests and its figures."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from yolo_dist.benchmarks.torch_workloads import is_torch_there
from yolo_dist.distributed.device import check_gpu
from yolo_dist.environment import environment
from yolo_dist.errors import InputError

_ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORD = 'experiments/records/gpu.json'

_TRAINED = (('darknet53', 32), ('darknet53', 128), ('yolo_v3', 16))


def cases(*, has_torch):
    """Command lines of ``bench`` that make up the record, without ``--device``.

    Training at the sizes of the paper in each precision, against PyTorch where it is installed;
    against Chainer without cuDNN; detection; the loss.
    """
    against_torch = ['--against', 'torch'] if has_torch else []
    found = [['train', '--model', model, '--batch', str(batch), '--dtype', dtype, *against_torch]
             for model, batch in _TRAINED for dtype in ('float32', 'tf32', 'mixed16')]
    found += [['train', '--model', model, '--dtype', dtype, '--against', 'chainer']
              for model in ('darknet53', 'yolo_v3') for dtype in ('float32', 'mixed16')]
    found += [['infer', '--model', model, '--dtype', 'mixed16', *against_torch]
              for model in ('darknet53', 'yolo_v3')]
    return [*found, ['loss', '--model', 'yolo_v3']]


def run_case(case, *, device, repeats):
    """Measure one case in a process of its own, whose memory nobody else has used.

    Args:
        case (list of str): Of :func:`cases`.
        device (int): Number of the GPU.
        repeats (int): Rounds.

    Returns:
        dict: ``command`` and the figures, or ``error`` with the last line of what was said.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'figures.json'
        done = subprocess.run(
            [sys.executable, '-m', 'yolo_dist.bench', *case, '--device', str(device),
             '--repeats', str(repeats), '--json', str(path)], stdin=subprocess.DEVNULL,
            capture_output=True, encoding='utf-8', errors='replace')
        command = ' '.join(['bench', *case])
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f'status {done.returncode}']
            return {'command': command, 'error': lines[-1]}
        figures = json.loads(path.read_text(encoding='utf-8'))
    del figures['environment'], figures['cpu']
    return {**figures, 'command': command}


def run_tests(device, *, root=_ROOT):
    """Run the tests that are marked ``gpu``.

    Args:
        device (int): Number of the GPU, the only one that the tests see.
        root (pathlib.Path): The checkout.

    Returns:
        dict: ``n_passed``, ``n_skipped``, ``failed`` (names) and ``seconds``.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'tests.xml'
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        only = visible.split(',')[device] if visible else str(device)
        subprocess.run([sys.executable, '-m', 'pytest', '-q', '-m', 'gpu', 'tests/gpu_tests',
                        f'--junitxml={path}'], cwd=root, stdin=subprocess.DEVNULL,
                       env={**os.environ, 'CUDA_VISIBLE_DEVICES': only})
        if not path.exists():
            raise InputError("the tests of the GPU did not run: pip install -e '.[test]'")
        suite = xml.etree.ElementTree.parse(path).getroot().find('testsuite')
    failed = [test.get('name') for test in suite.iter('testcase')
              if test.find('failure') is not None or test.find('error') is not None]
    n_skipped = int(suite.get('skipped'))
    return {'n_passed': int(suite.get('tests')) - n_skipped - len(failed), 'n_skipped': n_skipped,
            'failed': failed, 'seconds': float(suite.get('time'))}


def record_gpu(arguments):
    """Run the tests and the benchmark of a GPU and write the record.

    Args:
        arguments (~argparse.Namespace): ``device``, ``repeats`` and ``json``, the file.

    Raises:
        InputError: If there is no such GPU, no cuDNN, or no checkout with tests.
    """
    if not (_ROOT / 'tests/gpu_tests').is_dir():
        raise InputError('the tests of the GPU are not here; run this in a checkout of the '
                         'repository, not in an installed package')
    # The tests and each case take it themselves: it may allow one process at a time.
    check_gpu(arguments.device)
    found = environment()
    record = {key: found[key] for key in ('git', 'devices', 'cuda', 'packages', 'python')}
    record['tests'] = run_tests(arguments.device)
    record['figures'] = []
    for case in cases(has_torch=is_torch_there()):
        figures = run_case(case, device=arguments.device, repeats=arguments.repeats)
        record['figures'].append(figures)
        print(_row(figures), flush=True)
    path = pathlib.Path(arguments.json)
    path.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
    print(f'{record["tests"]["n_passed"]} tests passed, {len(record["tests"]["failed"])} failed; '
          f'written to {path}')


def _row(figures):
    if 'error' in figures:
        return f'{figures["command"]}: {figures["error"]}'
    shown = [f'{key} {value:.4g}' for key, value in figures.items()
             if key in ('images_per_second', 'busy_share', 'share_of_step')
             or key.startswith('times_as_fast')]
    return f'{figures["command"]}: {", ".join(shown)}'
