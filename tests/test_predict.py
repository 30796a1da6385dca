"""The command that predicts on pictures."""
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from yolo_dist import predict
from yolo_dist.errors import InputError


@pytest.fixture
def pictures(tmp_path, photo):
    """A folder with two pictures of 120 x 60 px."""
    (tmp_path / 'in/deeper').mkdir(parents=True)
    for name in ('a.png', 'deeper/b.jpg'):
        Image.fromarray(photo.transpose(1, 2, 0)).save(tmp_path / 'in' / name)
    return tmp_path / 'in'


def test_a_detector_writes_all_it_finds(detector_run, pictures, tmp_path, capsys):
    """A line for each picture, JSON, files of VOC, and pictures with the boxes."""
    out, json_file = tmp_path / 'out', tmp_path / 'found.json'
    assert predict.main([*map(str, (detector_run, pictures, '--out', out, '--json',
                                    json_file))]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f'{pictures}/a.png: kočka 0.91', f'{pictures}/deeper/b.jpg: kočka 0.91']
    content = json.loads(json_file.read_text())
    assert content['class_names'] == ['dog', 'kočka', 'a/b'] and content['skipped'] == []
    assert (content['task'], content['score_thresh'], content['nms_thresh']) == (
        'detection', 0.5, 0.45)
    record = content['pictures'][1]
    (found,) = record.pop('objects')
    assert record == {'path': f'{pictures}/deeper/b.jpg', 'frame': None, 'image_id': 'deeper/b',
                      'height': 60, 'width': 120}
    assert (found['label'], found['class_name']) == (1, 'kočka') and found['score'] > 0.9
    assert found['bbox'] == {'y_min': 0, 'x_min': 30, 'y_max': 60, 'x_max': 90}
    lines = (out / 'comp4_det_test_kočka.txt').read_text(encoding='utf-8').splitlines()
    assert [line.split()[0] for line in lines] == ['a', 'deeper/b']
    assert lines[0].split()[2:] == ['31.00', '1.00', '91.00', '60.00']
    drawn = cv2.imread(str(out / 'a.png'), cv2.IMREAD_COLOR_RGB)
    assert drawn.shape == (240, 480, 3)
    assert (out / 'deeper/b.jpg').exists()


def test_a_classifier_names_the_best_classes(classifier_run, pictures, tmp_path, capsys):
    """At most five, with their probabilities; no file of VOC."""
    out, json_file = tmp_path / 'out', tmp_path / 'found.json'
    predict.main([*map(str, (classifier_run, pictures / 'a.png', '--out', out, '--json',
                             json_file))])
    assert capsys.readouterr().out == f'{pictures}/a.png: two 66.5 %, three 24.5 %, one 9.0 %\n'
    classes = json.loads(json_file.read_text())['pictures'][0]['classes']
    assert [one['label'] for one in classes] == [1, 2, 0]
    assert sum(one['probability'] for one in classes) == pytest.approx(1, abs=1e-5)
    assert [path.name for path in out.iterdir()] == ['a.png']


def test_thresholds_and_names_can_be_given(detector_run, pictures, tmp_path, capsys):
    """Boxes of lower scores are left out; class names are those of the file."""
    names = tmp_path / 'names'
    names.write_text('Hund\nKatze\nMaus\n')
    arguments = [str(detector_run), str(pictures / 'a.png'), '--classes', str(names)]
    predict.main(arguments)
    predict.main([*arguments, '--score', '1', '--nms', '0.3'])
    lines = capsys.readouterr().out.splitlines()
    assert 'Katze 0.91' in lines[0] and lines[1].endswith('a.png: nothing found')


def test_what_cannot_be_read_is_named(detector_run, pictures, tmp_path, capsys):
    """The others are predicted, the exit status is 1, and JSON lists what was skipped."""
    (pictures / 'aa.jpg').write_text('<html>')
    (pictures / 'a.png').rename(pictures / 'a\n\x1b[1m.png')
    json_file = tmp_path / 'found.json'
    assert predict.main([str(detector_run), str(pictures), '--json', str(json_file)]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f'{pictures}/a\\n\\x1b[1m.png: kočka 0.91'
    assert f'skipped: {pictures}/aa.jpg: not a complete image file' in said.err
    assert '1 of 3 files could not be read' in said.err
    content = json.loads(json_file.read_text())
    assert [one['path'] for one in content['skipped']] == [f'{pictures}/aa.jpg']
    assert len(content['pictures']) == 2


@pytest.mark.parametrize('options, message', [
    (['--score', '0.3'], '--score is for detectors'), (['--nms', '0.3'], '--nms is for detectors'),
    (['--score', '2'], 'found 2, expected a number from 0 to 1'),
    (['--classes', '{short}'], '^{short}: found 1 names of classes, but the network has 3'),
    (['--out', '{pictures}'], 'is not empty'), (['--json', '{pictures}'], 'cannot be written'),
    (['{pictures}/absent.png'], 'no such file or folder')])
def test_what_has_no_effect_or_no_sense_is_refused(options, message, classifier_run, pictures,
                                                   tmp_path):
    """Before anything is computed or written."""
    (tmp_path / 'short').write_text('one\n')
    places = {'pictures': pictures, 'short': tmp_path / 'short'}
    options, message = [text.format(**places) for text in options], message.format(**places)
    with pytest.raises(InputError, match=message):
        predict.main([str(classifier_run), str(pictures), *options])
    assert len(list(pictures.rglob('*'))) == 3


def test_it_needs_neither_mpi_nor_a_locale(python, detector_run, pictures, tmp_path):
    """Names are UTF-8 whatever the locale says; the exit status tells of what failed."""
    script = tmp_path / 'script.py'
    script.write_text(
        'import sys\nfrom yolo_dist import predict\nfrom yolo_dist.command_line import run_serial'
        '\ntry:\n    run_serial(lambda: predict.main(sys.argv[1:]))\n'
        "finally:\n    assert 'mpi4py.MPI' not in sys.modules\n")
    (pictures / 'broken.png').touch()
    done = python(script, detector_run, pictures, env={'PYTHONIOENCODING': 'ascii'})
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    assert f'{pictures}/a.png: kočka 0.91' in done.stdout
    assert 'broken.png: the image file is empty' in done.stderr
    done = python(script, detector_run, pictures / 'absent.png')
    assert done.returncode == 2 and done.stderr.startswith('error: ')


def test_frames_of_a_video_are_pictures(detector_run, tmp_path):
    """They lie in a folder that is called as the video."""
    video = cv2.VideoWriter(str(tmp_path / 'clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5,
                            (64, 48))
    for _ in range(9):
        video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    predict.main([str(detector_run), str(tmp_path / 'clip.avi'), '--out', str(tmp_path / 'out')])
    assert len(list((tmp_path / 'out/clip.avi').glob('00000?.jpg'))) == 9
    lines = (tmp_path / 'out/comp4_det_test_kočka.txt').read_text(encoding='utf-8').splitlines()
    assert lines[8].startswith('clip/000008 ')
