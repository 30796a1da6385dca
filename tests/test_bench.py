"""The benchmark's figures, not their size."""
import json
import sys

import cv2
import numpy as np
import pytest

from yolo_dist import bench
from yolo_dist.benchmarks import evaluation, input_files, timing
from yolo_dist.datasets import StoredImage
from yolo_dist.errors import InputError

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


@pytest.mark.parametrize('arguments, message', [
    (['train', '--model', 'resnet50'], "invalid choice: 'resnet50'"),
    (['train', '--input-size', '100'], 'found 100, expected a multiple of 32'),
    (['train', '--batch', '0'], 'found 0, expected at least 1'),
    (['infer', '--width', '-1'], 'expected a positive number'),
    (['loss', '--model', 'darknet53'], "invalid choice: 'darknet53'"),
    (['train', '--json', 'no/such/folder.json'], 'its folder does not exist'),
    (['input', '--task', 'segmentation'], "invalid choice: 'segmentation'"),
    (['input', '--data', 'yolo_dist/functions'], 'no JPEG in it'),
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


def test_ratio_is_taken_round_by_round():
    """A machine that slows down for both leaves the ratio as it is."""
    slower, faster = timing.Timing((2., 20., 3.)), timing.Timing((1., 10., 1.5))
    assert timing.ratio(slower, faster) == 2
    assert faster.median == 1.5 and faster.best == 1


def test_carrying_is_measured_in_both_sums(python):
    """K workers of one process against K updates: speeds of all, and the ratio as a percentage."""
    done = python('-m', 'yolo_dist.bench', 'carry', '--model', 'darknet19', '--input-size', '32',
                  '--batch', '2', '--width', '0.03', '--workers', '3', '--repeats', '1')
    assert done.returncode == 0, done.stderr
    figures = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    plain = float(figures['images_per_second_plain'])
    for dtype in ('float32', 'float16'):
        carried = float(figures[f'images_per_second_carried_{dtype}'])
        assert float(figures[f'overhead_percent_{dtype}']) == pytest.approx(
            100 * (plain / carried - 1), rel=0.02, abs=0.5)


def test_input_pipeline_is_set_beside_decoding_and_chainercv(tmp_path):
    """Both tasks, on files that are given; the stages of an example make up its time."""
    for i in range(3):
        cv2.imwrite(str(tmp_path / f'{i}.JPG'), np.full((60, 90, 3), 80 * i, np.uint8))
    path = tmp_path / 'figures.json'
    bench.main(['input', '--data', str(tmp_path), '--input-size', '64', '--repeats', '2',
                '--json', str(path)])
    figures = json.loads(path.read_text())
    assert figures['n_images'] == 3 and figures['images'] == str(tmp_path)
    for task in ('classification', 'detection'):
        assert figures[f'{task}_times_imdecode'] > 0 < figures[f'{task}_times_chainercv']
        assert figures[f'{task}_images_per_second'] == pytest.approx(
            1e3 / figures[f'{task}_milliseconds'])
        assert figures[f'{task}_decode_milliseconds'] > 0


def test_input_files_are_like_those_of_coco():
    """Without given files there are photographs of 640 x 480 px and about 166 KB."""
    files = input_files.make_photographs()
    assert 150e3 < np.mean([len(data) for data in files]) < 180e3
    shapes = {StoredImage(data, 'a').shape for data in files}
    assert shapes == {(3, 480, 640), (3, 640, 480)}


def test_evaluation_is_measured(tmp_path, monkeypatch):
    """The made-up detections are scored as those of a detector that is right half of the time."""
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
