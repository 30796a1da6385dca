import json
import os

import pytest

from yolo_dist import make_data
from yolo_dist.errors import InputError


@pytest.fixture
def small(monkeypatch):
    """The command with makers of tiny sets."""
    from yolo_dist.datasets import make_mini_imagenet, make_mini_voc
    monkeypatch.setattr(make_data, '_MAKERS', {
        'mini-imagenet': lambda place, seed: make_mini_imagenet(
            place, seed=seed, n_train=10, n_val=10),
        'mini-voc': lambda place, seed: make_mini_voc(place, seed=seed, n_trainval=3, n_test=2)})


@pytest.mark.parametrize('name', ['mini-imagenet', 'mini-voc'])
def test_says_what_it_did(name, small, tmp_path, capsys):
    """The first call writes, the second says that there is nothing to do."""
    place = str(tmp_path / 'set')
    make_data.main([name, place, '--seed', '3'])
    assert 'wrote' in capsys.readouterr().out
    make_data.main([name, place, '--seed', '3'])
    assert 'nothing to do' in capsys.readouterr().out
    manifest = json.loads((tmp_path / 'set' / 'made_by_make_data.json').read_text())
    assert manifest['recipe']['set'] == name and manifest['recipe']['seed'] == 3
    with pytest.raises(InputError, match='another set'):
        make_data.main([name, place])


def test_layouts_are_those_of_the_real_sets(small, tmp_path):
    """Folders and names are as ImageNet and Pascal VOC have them."""
    make_data.main(['mini-imagenet', str(tmp_path / 'a')])
    assert (tmp_path / 'a' / 'train' / 'zero').is_dir()
    assert len(list((tmp_path / 'a').glob('val/*/*.JPEG'))) == 10
    make_data.main(['mini-voc', str(tmp_path / 'b')])
    voc = tmp_path / 'b' / 'VOC2007'
    assert (voc / 'ImageSets/Main/trainval.txt').read_text() == '000001\n000002\n000003\n'
    assert (voc / 'ImageSets/Main/test.txt').read_text() == '000004\n000005\n'
    assert {path.stem for path in (voc / 'Annotations').glob('*.xml')} == {
        path.stem for path in (voc / 'JPEGImages').glob('*.jpg')}


@pytest.mark.parametrize('arguments', [
    [], ['mini-coco', 'x'], ['mini-voc'], ['mini-voc', 'x', '--seed', 'one'],
    ['mini-voc', 'x', '--seed', '-1'], ['mini-voc', 'x', '--n-train', '0'],
    ['mini-imagenet', 'x', '--n-train', '-5'], ['mini-voc', 'x', '--n-train', '2.5']])
def test_bad_command_lines(arguments, small, tmp_path, monkeypatch):
    """An unknown set, a missing folder, a seed that is none: errors, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        make_data.main(arguments)
    assert os.listdir(tmp_path) == []


def test_error_has_one_line_and_status_2(python, tmp_path):
    """As a command, a refusal is one line on stderr, without a traceback."""
    (tmp_path / 'note').write_text('mine')
    done = python('-m', 'yolo_dist.make_data', 'mini-voc', tmp_path)
    assert done.returncode == 2
    assert done.stdout == '' and done.stderr.count('\n') == 1
    assert done.stderr.startswith(f'error: {tmp_path}: is not empty')
