"""What is no file is refused by every reader, at once: pipes, devices, folders."""
import os
import pathlib
import resource
import signal

import cv2
import numpy as np
import pytest

from yolo_dist.config import load_config
from yolo_dist.datasets import (
    VOCDetectionDataset,
    fingerprint,
    load_imagenet,
    read_coco,
    read_image,
    read_yolo_labels,
)
from yolo_dist.errors import InputError
from yolo_dist.formats import read_darknet_cfg, read_network_file
from yolo_dist.links import read_npz
from yolo_dist.runs.heartbeat import read_beats
from yolo_dist.runs.run_directory import read_json

READERS = {
    'YAML': load_config, 'JSON': read_json, 'npz': read_npz, 'cfg': read_darknet_cfg,
    'weights': read_network_file, 'COCO': lambda path: read_coco(path, path.parent),
    'image': read_image, 'class names': lambda path: read_yolo_labels(path.parent, path.parent,
                                                                      path)}


@pytest.fixture(autouse=True)
def alarm():
    """A reader that waits for ever, or reads for ever, fails its test."""
    def too_long(number, frame):
        pytest.fail('waits for ever')  # no OSError, which a reader would take for the file's
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limit[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limit)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make(kind, path):
    """Put something at a path, or return another path."""
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'link to itself':
        path.symlink_to(path.name)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    else:
        return path.with_name('a\0b')
    return path


KINDS = ['pipe', 'device', 'folder', 'link to itself', 'zero in its name']


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('reader', READERS)
def test_what_is_no_file(tmp_path, reader, kind):
    """Each reader raises InputError, but for a JSON that is not there, which is no error."""
    (tmp_path / 'labels.txt').touch()
    (tmp_path / 'image.png').touch()
    path = make(kind, tmp_path / 'file')
    if reader == 'JSON' and kind in ('link to itself', 'zero in its name'):
        assert read_json(path) is None
        return
    with pytest.raises(InputError):
        READERS[reader](path)


def test_a_heartbeat_that_is_no_file_says_nothing(tmp_path):
    """Nor does one of which somebody has made something else."""
    os.mkfifo(tmp_path / 'heartbeat.jsonl')
    assert read_beats(tmp_path) == []
    (tmp_path / 'heartbeat.jsonl').unlink()
    (tmp_path / 'heartbeat.jsonl').write_text('[' * 10 ** 5)
    assert read_beats(tmp_path) == []


@pytest.mark.parametrize('kind', KINDS)
def test_data_sets_with_what_is_no_file(tmp_path, kind):
    """As an image, an annotation and a list; and nothing of it is a class or hides one."""
    folder = tmp_path / 'VOC2007'
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (folder / name).mkdir(parents=True)
    picture = cv2.imencode('.png', np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    (folder / 'JPEGImages/a.png').write_bytes(picture)
    name = make(kind, folder / 'Annotations/a.xml').stem
    (folder / 'ImageSets/Main/all.txt').write_text(f'{name}\n')
    (folder / 'list.txt').write_text(f'{make(kind, folder / "x.png").name} 0\n')
    make(kind, folder / 'JPEGImages/b.png')

    def check_voc():
        dataset = VOCDetectionDataset(tmp_path, ['VOC2007/all'], ['cat'])
        assert fingerprint(dataset)
        dataset.check()

    def check_list():
        dataset = load_imagenet(folder, 'list.txt')
        assert fingerprint(dataset)
        dataset.check()
    for check in (check_voc, check_list):
        with pytest.raises(InputError):
            check()
    found = load_imagenet(tmp_path, 'VOC2007', ignore_classes=['ImageSets', 'Annotations'])
    assert found.class_names[0] == 'JPEGImages'
    for path in (make(kind, folder / 'ImageSets/Main/other.txt'),):
        with pytest.raises(InputError):
            VOCDetectionDataset(tmp_path, [f'VOC2007/{path.stem}'], ['cat'])


def test_the_package_opens_no_outside_file_by_itself():
    """Readers of data, weights, settings and run directories go through one door."""
    package = pathlib.Path(__file__).resolve().parents[1] / 'yolo_dist'
    found = {path.relative_to(package).as_posix() for folder in ('config', 'datasets', 'formats',
                                                                 'links')
             for path in (package / folder).glob('*.py')
             if any(word in path.read_text()
                    for word in ("'rb')", '.read_bytes()', '.read_text('))}
    # Whether a file begins as LMDB does is asked of regular files.
    assert found == {'datasets/file_tree.py'}
