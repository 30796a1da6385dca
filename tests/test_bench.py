"""The benchmark's figures, not their size."""
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import types

import chainer
import cv2
import numpy as np
import pytest

from yolo_dist import bench
from yolo_dist.benchmarks import (
    evaluation,
    gpu,
    gpu_record,
    input_files,
    job,
    peers,
    timing,
    workloads,
)
from yolo_dist.benchmarks.roofline import Roofline
from yolo_dist.benchmarks.timing import Timing
from yolo_dist.datasets import EncodedImage
from yolo_dist.errors import InputError
from yolo_dist.links import count_operations
from yolo_dist.links.conv_block import ConvBlock

SMALL = ['--width', '0.0625', '--input-size', '32', '--batch', '2', '--repeats', '2']


def test_train_against_chainer(tmp_path, capsys):
    """Figures are printed and written, consistent with each other."""
    path = tmp_path / 'figures.json'
    bench.main(['train', *SMALL, '--against', 'chainer', '--threads', '1', '--json', str(path)])
    figures = json.loads(path.read_text())
    assert figures['model'] == 'darknet53' and figures['threads'] == 1
    assert figures['images_per_second'] == pytest.approx(2e3 / figures['milliseconds'])
    assert figures['times_as_fast_as_chainer'] > 0
    assert figures['environment']['packages']['chainer'] == '7.8.1'
    assert 'images_per_second' in capsys.readouterr().out


def test_infer_and_loss_of_a_detector(tmp_path):
    """A detector's decoding and loss are set in relation to its network."""
    path = tmp_path / 'figures.json'
    bench.main(['infer', '--model', 'yolo_v3', *SMALL, '--json', str(path)])
    assert json.loads(path.read_text())['selection_share_of_forward'] > 0
    bench.main(['loss', *SMALL, '--json', str(path)])
    assert json.loads(path.read_text())['share_of_step'] > 0


class TwoBlocks(chainer.Sequential):
    def __init__(self):
        super().__init__(lambda imgs: imgs.astype(np.float32), ConvBlock(3, 8, 1, bn_decay=.9),
                         ConvBlock(8, 16, 3, bn_decay=.9))


@pytest.mark.parametrize('training, n_passes, n_values', [
    (False, 1, 11 + 24), (True, 3, 3 * 11 + 11 * 24)])
@pytest.mark.parametrize('input_size, needed', [(8, 16 / 4), (32, 36 / 16)])
def test_roofline_counts_what_a_step_needs(input_size, needed, training, n_passes, n_values):
    """Winograd's 3x3 convolution multiplies 16 times for a 2x2 tile, 36 times for a 4x4 tile."""
    model = TwoBlocks()
    n_pixels = 2 * input_size ** 2
    roofline = Roofline(model, input_size=input_size, batch=2, training=training)
    second = Timing((1.,))
    found = roofline.figures({'ours': second, 'sgemm': second, 'copy': Timing((.5,))})
    assert found['gflop_per_second'] == pytest.approx(
        n_passes * n_pixels * 2 * (3 * 8 + 8 * 16 * 9) / 1e9)
    assert found['products_milliseconds_at_sgemm'] == pytest.approx(
        1e3 * n_passes * n_pixels * (3 * 8 + 8 * 16 * needed) / 1536 ** 3)
    n_bytes = 4 * (n_pixels * n_values + training * 7 * model.count_params())
    assert found['passes_milliseconds_at_copy'] == pytest.approx(1e3 * n_bytes / 2 ** 28 / 2)
    assert found['share_of_roofline'] == pytest.approx(
        (found['products_milliseconds_at_sgemm'] + found['passes_milliseconds_at_copy']) / 1e3)


@pytest.mark.parametrize('arguments, message', [
    (['train', '--model', 'resnet50'], "invalid choice: 'resnet50'"),
    (['train', '--input-size', '100'], 'found 100, expected a multiple of 32'),
    (['train', '--batch', '0'], 'found 0, expected at least 1'),
    (['infer', '--width', '-1'], 'expected a finite number above 0'),
    (['loss', '--model', 'darknet53'], "invalid choice: 'darknet53'"),
    (['train', '--json', 'no/such/folder.json'], 'its folder does not exist'),
    (['gpu'], 'GPU 0: CuPy finds 0 GPUs here'),
    (['infer', '--device', '0'], 'GPU 0: CuPy finds 0 GPUs here'),
    (['infer', '--device', '0', '--against', 'onnxruntime'], 'is for the CPU'),
    (['train', '--against', 'openvino'], "invalid choice: 'openvino'"),
    (['loss', '--device', '-1'], 'found -1, expected 0 for the first GPU'),
    (['train', '--dtype', 'tf32'], 'is for a GPU: give its number by --device'),
    (['input', '--task', 'segmentation'], "invalid choice: 'segmentation'"),
    (['input', '--data', 'yolo_dist/functions'], 'no JPEG in it'),
    (['job', '--model', 'yolo_v3'], "invalid choice: 'yolo_v3'"),
    (['job', '--data', 'yolo_dist/functions'], 'no JPEG in it'),
    ([], 'COMMAND')])
def test_bad_input(arguments, message):
    """Errors name what was found and what was expected."""
    with pytest.raises(InputError, match=message):
        bench.main(arguments)


def test_against_torch_without_torch(monkeypatch):
    """Without PyTorch the error says what to install."""
    monkeypatch.setitem(sys.modules, 'torch', None)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(InputError, match="extra 'bench'"):
        bench.main(['train', '--against', 'torch'])
    monkeypatch.setattr('importlib.util.find_spec', lambda name: name == 'torch' or None)
    with pytest.raises(InputError, match="torchvision is not installed.*extra 'bench'"):
        bench.main(['job', '--against', 'torch'])


def test_infer_against_onnxruntime(tmp_path, monkeypatch):
    """The same weights give the same outputs, without which there are no figures."""
    pytest.importorskip('onnxruntime')
    path = tmp_path / 'figures.json'
    command = ['infer', '--model', 'yolo_v3', *SMALL, '--against', 'onnxruntime', '--json',
               str(path)]
    bench.main(command)
    figures = json.loads(path.read_text())
    assert figures['onnxruntime_images_per_second'] == pytest.approx(
        2e3 / figures['onnxruntime_milliseconds'])
    assert figures['times_as_fast_as_onnxruntime_at_best'] > 0
    monkeypatch.setattr(peers, '_MAX_DIFFERENCE', -1)
    with pytest.raises(InputError, match='other outputs'):
        bench.main(command)


def test_against_the_fastest_of_pytorch(tmp_path, monkeypatch, capsys):
    """Ways that PyTorch cannot go here are said and left out."""
    def create(model, *, way, **size):
        def step():
            if way == 'compile':
                raise RuntimeError('no compiler')
            time.sleep({'eager': .03, 'channels_last': .01}[way])
        return step
    monkeypatch.setattr(peers, 'create_torch_step', create)
    monkeypatch.setattr('yolo_dist.benchmarks.network.check_peer', lambda name: None)
    path = tmp_path / 'figures.json'
    bench.main(['train', *SMALL, '--against', 'torch', '--json', str(path)])
    figures = json.loads(path.read_text())
    assert figures['torch_fastest'] == 'channels_last'
    assert figures['torch_milliseconds'] == figures['torch_channels_last_milliseconds']
    assert 'torch_eager_milliseconds' in figures
    assert 'no compiler' in capsys.readouterr().out


class Events:
    """What the benchmark asks of CuPy, whose GPU counts seconds by the host's clock.

    A kernel that spins is over at once, so the host is never ahead and the GPU is always busy.
    """

    class Event:
        def record(self):
            self.time = time.perf_counter()

        def synchronize(self):
            pass

    class Pool:
        def free_all_blocks(self):
            pass

        def total_bytes(self):
            return 3 << 30

    def __init__(self):
        self.cuda = types.SimpleNamespace(
            Event=self.Event, get_elapsed_time=lambda begin, end: 1e3 * (end.time - begin.time),
            runtime=types.SimpleNamespace(getDeviceProperties=lambda i: {'name': b'a GPU'}))
        self.float16, self.float32 = np.float16, np.float32
        self.ones, self.matmul = np.ones, np.matmul

    def RawKernel(self, source, name):  # noqa: N802
        return lambda *args: None

    def get_default_memory_pool(self):
        return self.Pool()


@pytest.fixture
def a_gpu(monkeypatch):
    """The device that `--device` measures on is the CPU, seen through `Events`."""
    monkeypatch.setattr(gpu, '_cupy', Events)
    monkeypatch.setattr(gpu, '_PEAK_SIDE', 64)
    monkeypatch.setattr(gpu, 'use_gpu', lambda number: chainer.get_device('@numpy'))
    for name in ('dtype', 'use_cudnn_tensor_core'):
        monkeypatch.setattr(chainer.global_config, name, getattr(chainer.global_config, name))


def test_gpu_figures_fit_each_other(a_gpu, tmp_path):
    """Speed, operations and shares of a GPU's step are consistent; operations are Darknet19's."""
    path = tmp_path / 'figures.json'
    bench.main(['train', '--model', 'darknet19', *SMALL, '--device', '1', '--against', 'chainer',
                '--json', str(path)])
    figures = json.loads(path.read_text())
    assert (figures['gpu'], figures['dtype'], figures['batch_size']) == ('a GPU', 'float32', 2)
    assert figures['images_per_second'] == pytest.approx(2e3 / figures['milliseconds'])
    model = workloads.build_model('darknet19', width=.0625)
    operations = 2 * 3 * count_operations(model, input_size=32)
    assert figures['tflop_per_second'] == pytest.approx(
        operations / figures['milliseconds'] / 1e9)
    assert figures['memory_gib'] == 3 and 0 < figures['busy_share'] <= 1
    assert figures['chainer_images_per_second'] > 0 < figures['times_as_fast_as_chainer']


@pytest.mark.parametrize('command, key', [('infer', 'images_per_second'),
                                          ('loss', 'share_of_step')])
def test_gpu_measures_detectors(a_gpu, tmp_path, command, key):
    """Detection and the loss have their figures, too, in the precision that was asked for."""
    path = tmp_path / 'figures.json'
    bench.main([command, '--model', 'yolo_v2', *SMALL, '--device', '0', '--dtype', 'mixed16',
                '--json', str(path)])
    figures = json.loads(path.read_text())
    assert figures[key] > 0 and figures['dtype'] == 'mixed16'
    assert chainer.config.dtype == chainer.mixed16


def test_record_of_a_gpu(monkeypatch, tmp_path, capsys):
    """Tests and figures of one command; a case that fails is said and does not end it."""
    def run(command, **options):
        if 'pytest' in command:
            assert options['env']['CUDA_VISIBLE_DEVICES'] == '5'
            path = next(word for word in command if word.startswith('--junitxml=')).partition('=')
            pathlib.Path(path[2]).write_text(
                '<testsuites><testsuite tests="3" skipped="1" time="2.5"><testcase name="good"/>'
                '<testcase name="bad"><failure/></testcase><testcase name="none"><skipped/>'
                '</testcase></testsuite></testsuites>')
            return None
        assert command[command.index('--device') + 1] == '1'
        if '128' in command:
            return types.SimpleNamespace(returncode=1, stderr='Traceback\nout of memory\n')
        pathlib.Path(command[command.index('--json') + 1]).write_text(json.dumps({
            'command': 'train', 'images_per_second': 100., 'cpu': 'x', 'environment': {}}))
        return types.SimpleNamespace(returncode=0, stderr='')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    monkeypatch.setattr(gpu_record, 'check_gpu', lambda number: None)
    monkeypatch.setattr(gpu_record, 'is_torch_there', lambda: False)
    monkeypatch.setattr(gpu_record.subprocess, 'run', run)
    monkeypatch.setattr(gpu_record, 'environment', lambda: dict.fromkeys(
        ('git', 'devices', 'cuda', 'packages', 'python'), 'as found'))
    path = tmp_path / 'gpu.json'
    bench.main(['gpu', '--device', '1', '--json', str(path)])
    record = json.loads(path.read_text())
    assert record['tests'] == {'n_passed': 1, 'n_skipped': 1, 'failed': ['bad'], 'seconds': 2.5}
    assert record['git'] == 'as found'
    by_command = {figures['command']: figures for figures in record['figures']}
    assert by_command['bench loss --model yolo_v3'] == {
        'command': 'bench loss --model yolo_v3', 'images_per_second': 100.}
    failed = by_command['bench train --model darknet53 --batch 128 --dtype tf32']
    assert failed['error'] == 'out of memory'
    assert '1 tests passed, 1 failed' in capsys.readouterr().out


def test_record_holds_what_is_asked_of_a_gpu():
    """Each size of the paper in each precision against PyTorch, two networks against Chainer."""
    found = [' '.join(case) for case in gpu_record.cases(has_torch=True)]
    for model, batch in (('darknet53', 32), ('darknet53', 128), ('yolo_v3', 16)):
        for dtype in ('float32', 'tf32', 'mixed16'):
            assert (f'train --model {model} --batch {batch} --dtype {dtype} --against torch'
                    in found)
    assert 'train --model yolo_v3 --dtype float32 --against chainer' in found
    assert not any('torch' in case for case in
                   map(' '.join, gpu_record.cases(has_torch=False)))
    for case in gpu_record.cases(has_torch=True):
        bench.parse_arguments([*case, '--device', '0'])


def test_gpu_sizes_are_the_papers():
    """32 images at 224 px, for detectors 16 at 608 px."""
    assert gpu.default_size('darknet53') == (224, 32)
    assert gpu.default_size('yolo_v3') == (608, 16)


def test_ratio_is_taken_round_by_round():
    """A machine that slows down for both leaves the ratio as it is."""
    slower, faster = timing.Timing((2., 20., 3.)), timing.Timing((1., 10., 1.5))
    assert timing.ratio(slower, faster) == 2
    assert faster.median == 1.5 and faster.best == 1


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_the_mean_is_set_beside_a_bare_allreduce(mpiexec, dtype):
    """Of as many numbers in the same dtype, in the same rounds."""
    done = mpiexec(2, '-m', 'yolo_dist.bench', 'allreduce', '--dtype', dtype, '--model',
                   'darknet19', '--input-size', '32', '--batch', '2', '--width', '0.03',
                   '--repeats', '1')
    assert done.returncode == 0, done.stderr
    figures = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert figures['allreduce_dtype'] == dtype
    ours, bare = (float(figures[f'{name}allreduce_milliseconds']) for name in ('', 'bare_'))
    assert float(figures['allreduce_against_bare']) == pytest.approx(ours / bare, rel=0.01)


def test_virtual_workers_are_measured_in_both_sums(python):
    """k workers of one process against k updates: speeds of all, and the ratio as a percentage."""
    done = python('-m', 'yolo_dist.bench', 'virtual-workers', '--model', 'darknet19',
                  '--input-size', '32', '--batch', '2', '--width', '0.03', '--workers', '3',
                  '--repeats', '1')
    assert done.returncode == 0, done.stderr
    figures = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    plain = float(figures['images_per_second_plain'])
    for dtype in ('float32', 'float16'):
        virtual = float(figures[f'images_per_second_{dtype}'])
        assert float(figures[f'overhead_percent_{dtype}']) == pytest.approx(
            100 * (plain / virtual - 1), rel=0.02, abs=0.5)


def test_input_pipeline_is_set_beside_decoding_and_chainercv(tmp_path):
    """Both tasks, on files that are given; the stages of an example make up its time."""
    for i in range(3):
        cv2.imwrite(str(tmp_path / f'{i}.JPG'), np.full((60, 90, 3), 80 * i, np.uint8))
    path = tmp_path / 'figures.json'
    bench.main(['input', '--data', str(tmp_path), '--input-size', '64', '--repeats', '2',
                '--json', str(path)])
    figures = json.loads(path.read_text())
    assert figures['n_images'] == 3 and figures['images'] == str(tmp_path)
    assert figures['mean_kilopixels'] == pytest.approx(60 * 90 / 1e3)
    for task in ('classification', 'detection'):
        assert figures[f'{task}_times_imdecode'] > 0 < figures[f'{task}_times_chainercv']
        assert figures[f'{task}_images_per_second'] == pytest.approx(
            1e3 / figures[f'{task}_milliseconds'])
        assert figures[f'{task}_decode_milliseconds'] > 0


def test_input_files_are_like_those_of_coco():
    """Without given files there are photographs of 640 x 480 px and about 166 KB."""
    files = input_files.make_photographs()
    assert 150e3 < np.mean([len(data) for data in files]) < 180e3
    shapes = {EncodedImage(data, 'a').shape for data in files}
    assert shapes == {(3, 480, 640), (3, 640, 480)}


def test_evaluation_is_measured(tmp_path, monkeypatch):
    """Synthetic detections are scored as those of a detector that is right half of the time."""
    monkeypatch.setattr(evaluation, '_N_IMAGES', 30)
    path = tmp_path / 'figures.json'
    bench.main(['evaluate', '--repeats', '1', '--json', str(path)])
    figures = json.loads(path.read_text())
    assert figures['n_detections'] == 3000 and figures['seconds'] > 0


def test_loader_processes_are_measured(python, tmp_path):
    """The iterator of a training, with the processes that were asked for."""
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.zeros((60, 90, 3), np.uint8))
    done = python('-m', 'yolo_dist.bench', 'input', '--task', 'classification', '--data', tmp_path,
                  '--input-size', '32', '--repeats', '1', '--loader-processes', '1')
    assert done.returncode == 0, done.stderr
    figures = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert float(figures['classification_images_per_second_of_1_loaders']) > 0


@pytest.fixture
def job_command(tmp_path):
    """A small job as arguments of Python, and the empty folder of its temporary files."""
    data = tmp_path / 'data'
    data.mkdir()
    for i in range(3):  # of one colour they would be all the same to batch normalisation
        cv2.imwrite(str(data / f'{i}.jpg'), np.random.randint(0, 256, (60, 90, 3), np.uint8))
    with tempfile.TemporaryDirectory() as folder:  # short, or sockets would lie elsewhere
        yield (['-m', 'yolo_dist.bench', 'job', *SMALL, '--data', data, '--iterations'],
               pathlib.Path(folder))


def processes_of(folder):
    """Processes that have a place in `folder`, or itself, for their temporary files."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/environ'):
        try:
            if f'TMPDIR={folder}'.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:  # it has ended
            pass
    return found


def nothing_is_left_in(folder):
    """No file, and no process as soon as loaders have seen that nobody is there."""
    assert not list(folder.iterdir())
    end = time.monotonic() + 10
    while processes_of(folder):
        assert time.monotonic() < end
        time.sleep(0.05)


def figures_of(done):
    assert done.returncode == 0, done.stderr
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def test_a_whole_job_is_measured(python, job_command):
    """Two processes train from files; speed and parts fit each other, and nothing is left."""
    command, folder = job_command
    figures = figures_of(python(*command, '4', env={'TMPDIR': str(folder)}))
    assert (figures['processes'], figures['threads'], figures['n_images']) == ('2', '1', '3')
    milliseconds = float(figures['milliseconds'])
    assert float(figures['images_per_second']) == pytest.approx(2 * 2e3 / milliseconds, rel=0.01)
    assert float(figures['input_milliseconds']) >= 0
    for part in ('forward_backward', 'allreduce', 'update'):
        assert float(figures[f'{part}_milliseconds']) > 0
    nothing_is_left_in(folder)


def test_a_job_of_pytorch_is_measured(python, job_command):
    """The program that the next test replaces, where what it needs is installed."""
    if not all(map(importlib.util.find_spec, ('torch', 'torchvision'))):
        pytest.skip('needs torch and torchvision')
    command, folder = job_command
    figures = figures_of(python(*command, '4', '--against', 'torch', env={'TMPDIR': str(folder)}))
    assert float(figures['torch_milliseconds']) > 0 < float(figures['times_as_fast_as_torch'])
    nothing_is_left_in(folder)


@pytest.fixture
def double_of_torch(tmp_path, monkeypatch):
    """PyTorch's job is a program of the test; ours has taken 0.1, 0.2, ... s an iteration."""
    rounds = iter(range(1, 9))

    def run_ours(*_):
        seconds = next(rounds) / 10
        return {'seconds_per_iteration': {'median': seconds}, 'phase_seconds': {
            'input': 0., 'forward_backward': .7 * seconds, 'allreduce': .2 * seconds,
            'update': .1 * seconds}}

    def create(text):
        program = tmp_path / 'double.py'
        program.write_text(text)
        monkeypatch.setattr(job, '_TORCH_JOB', [str(program)])
    monkeypatch.setattr(job, '_run_ours', run_ours)
    monkeypatch.setattr(job, 'check_peer', lambda *names: None)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    return create


def test_a_job_is_set_beside_that_of_pytorch(double_of_torch, tmp_path):
    """On the same files, round by round, without the first iterations."""
    double_of_torch(
        'import json, pathlib, sys\n'
        'given = json.loads(sys.argv[1])\n'
        'classes = list(pathlib.Path(given["data"]).iterdir())\n'
        'assert len(classes) == given["n_class"] == 1000\n'
        'assert sum(len(list(path.iterdir())) for path in classes) == 2 * 7 * 80\n'
        'assert (given["processes"], given["batch"], given["n_iterations"]) == (2, 7, 80)\n'
        'print("a line of a library")\n'
        'print(json.dumps(5 * [99.] + 38 * [.4] + 37 * [.6]))\n')
    path = tmp_path / 'figures.json'
    bench.main(['job', *SMALL[:4], '--batch', '7', '--iterations', '75', '--repeats', '3',
                '--against', 'torch', '--json', str(path)])
    figures = json.loads(path.read_text())
    assert figures['images_per_second'] == pytest.approx(2 * 7 / .2)
    assert figures['allreduce_milliseconds'] == pytest.approx(40)
    assert figures['torch_milliseconds'] == 400
    assert figures['torch_images_per_second'] == 35
    # In the rounds 4, 2 and 4 / 3.
    assert figures['times_as_fast_as_torch'] == pytest.approx(2)
    assert not list(tmp_path.glob('tmp*'))


def test_a_job_of_pytorch_that_fails_is_reported(double_of_torch, tmp_path):
    """With its last lines, and the files are removed."""
    double_of_torch('raise SystemExit("address in use")')
    with pytest.raises(InputError, match='double.py.*ended with status 1(.|\n)*address in use'):
        bench.main(['job', *SMALL, '--against', 'torch'])
    assert not list(tmp_path.glob('tmp*'))


def test_a_job_of_ours_that_fails_is_reported(python, job_command):
    """What training says of its data reaches the user, without a traceback."""
    command, folder = job_command
    pathlib.Path(command[command.index('--data') + 1], '1.jpg').write_text('no picture')
    done = python(*command, '4', env={'TMPDIR': str(folder)})
    assert done.returncode == 2
    assert 'yolo_dist.train' in done.stderr and '000001.jpg' in done.stderr
    assert 'Traceback' not in done.stderr
    nothing_is_left_in(folder)


def test_a_job_without_mpiexec(monkeypatch, tmp_path):
    """The error says what to install."""
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'python'))
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    with pytest.raises(InputError, match="extra 'mpi'"):
        bench.main(['job'])


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_stopped_leaves_nothing(start, job_command, number):
    """Neither processes nor files, whichever way it is asked to end."""
    command, folder = job_command
    # Where a script has started the tests in the background SIGINT is ignored, by children too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(*command, '2000', env={'TMPDIR': str(folder)})
    signal.signal(signal.SIGINT, before)
    end = time.monotonic() + 120
    while not list(folder.glob('*/results0/job/status.json')):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, '', 'interrupted\n')
    nothing_is_left_in(folder)
