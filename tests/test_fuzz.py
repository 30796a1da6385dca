"""Whatever is in a file, a reader returns or raises InputError: seeded mutations of good files.

``YOLO_DIST_FUZZ_INPUTS`` sets how many inputs each reader gets; the default takes seconds.
"""
import io
import os
import pathlib
import zipfile

import chainer
import cv2
import numpy as np
import pytest
import yaml

from yolo_dist.config import load_config, rows
from yolo_dist.datasets import (
    EncodedImage,
    LabelledImageDataset,
    VOCDetectionDataset,
    load_imagenet,
)
from yolo_dist.errors import InputError
from yolo_dist.links import Darknet19, load_weights, read_npz
from yolo_dist.runs.run_directory import read_json

N_INPUTS = int(os.environ.get('YOLO_DIST_FUZZ_INPUTS', 200))
EXPERIMENTS = pathlib.Path(__file__).resolve().parents[1] / 'experiments'

# What grammars trip over, put in anywhere.
TOKENS = [b'\0', b'\xff\xfe', b'&a ', b'*a', b'!!int ', b'!!timestamp x', b'<<: ', b'? ', b'- ',
          b'[', b'{', b'}', b': ', b'"', b"'", b'%', b'2001-13-99', b'9' * 5000, b'.nan', b'-1',
          b'\xf0\x9f\x98\x80', b'<', b'</', b'<!DOCTYPE a [<!ENTITY b "c">]>', b'&b;', b'\n',
          b'1e999', b'../', b'/', b' ', b'\xe2\x80\xa8', b'\r']


def mutations(seed, files, n=None):
    """``n`` inputs: bits flipped, stretches cut, doubled or exchanged, tokens put in."""
    rng = np.random.default_rng(seed)
    for _ in range(n or N_INPUTS):
        data = bytearray(files[rng.integers(len(files))])
        for _ in range(rng.integers(1, 5)):
            at, to = sorted(int(i) for i in rng.integers(0, len(data) + 1, 2))
            to = min(to, at + 64) if rng.random() < 0.8 else to
            how = rng.integers(5)
            if how == 0 and at < len(data):
                data[at] ^= 1 << rng.integers(8)
            elif how == 1:
                del data[at:to]
            elif how == 2:
                data[at:at] = data[at:to]
            elif how == 3:
                data[at:to] = rng.integers(0, 256, to - at, np.uint8).tobytes()
            else:
                data[at:at] = TOKENS[rng.integers(len(TOKENS))]
        yield bytes(data)


def check(read, inputs):
    """No other exception than InputError; some inputs are refused, which is the control."""
    n_refused = 0
    for data in inputs:
        try:
            read(data)
        except InputError:
            n_refused += 1
    assert n_refused


def deep(begin, end, n=5000):
    return begin * n + end * n


def test_experiment_files(tmp_path):
    """YAML."""
    path = tmp_path / 'fuzzed.yaml'
    run = (EXPERIMENTS / 'quickstart_darknet19.yaml').read_bytes()

    def read(data):
        path.write_bytes(data)
        rows(path)
        load_config(path, overrides=['run.seed=1'])
    small = yaml.safe_dump(yaml.safe_load(run)).encode()
    check(read, mutations(0, [small]))
    check(read, [deep(b'[', b']'), b'a: ' + deep(b'{b: ', b'}'), b'task: [a]', b'task: {}',
                 b'base: [', b'? [a]\n: b', b'a: !!timestamp x', b'a: 2001-13-99', b'!!map x',
                 b'a: ' + b'9' * 5000, b'base: null', b'!!python/object/apply:os.system [ls]'])
    for value in ('[' * 5000, '2001-13-99', '!!timestamp x'):
        with pytest.raises(InputError, match='--set'):
            load_config(EXPERIMENTS / 'quickstart_darknet19.yaml', overrides=[f'run.seed={value}'])


def test_json(tmp_path):
    """Files of a run directory."""
    path = tmp_path / 'status.json'

    def read(data):
        path.write_bytes(data)
        read_json(path)
    check(read, mutations(1, [b'{"state": "done", "metrics": {"a": 1.5}}']))
    check(read, [deep(b'[', b']', 100000), b'\xff', b'9' * 5000])


def test_npz(tmp_path):
    """Snapshots and weights."""
    path = tmp_path / 'fuzzed.npz'
    files = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **{'a/b': np.arange(12, dtype=np.float32).reshape(3, 4), 'n': np.int32(3)})
        files.append(buffer.getvalue())

    def read(data):
        path.write_bytes(data)
        read_npz(path)
    check(read, mutations(2, files))
    # Other ways to pack a member than the two that are read.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_LZMA) as archive:
        archive.writestr('a.npy', b'x' * 100)
    check(read, [buffer.getvalue().replace(b'\x0e\x00', bytes([method, 0]))
                 for method in (1, 6, 14, 97, 99)])


def test_weights_of_another_shape(tmp_path):
    """Weights whose names or arrays have changed; nothing is loaded by halves."""
    link = Darknet19(5, width=0.03)
    path = tmp_path / 'weights.npz'
    chainer.serializers.save_npz(path, link)
    good = read_npz(path)
    rng = np.random.default_rng(3)

    def read(name):
        changed = dict(good)
        array = changed.pop(name)
        if rng.random() < 0.5:
            changed[name] = [array.reshape(-1), array.astype('S'), np.zeros((0, 3)),
                             np.array('text')][rng.integers(4)]
        np.savez(path, **changed)
        load_weights(link, path)
    names = sorted(good)
    check(read, [names[rng.integers(len(names))] for _ in range(N_INPUTS // 10)])


def test_images():
    """JPEG and PNG."""
    image = np.random.default_rng(4).integers(0, 256, (17, 23, 3), np.uint8)
    files = [cv2.imencode(suffix, image)[1].tobytes() for suffix in ('.jpg', '.png', '.bmp')]

    def read(data):
        encoded = EncodedImage(data, 'fuzzed')
        assert encoded.decode().shape == encoded.shape
    check(read, mutations(5, files))


def test_image_lists(tmp_path):
    """Lines of a path and a label."""
    def read(data):
        (tmp_path / 'list.txt').write_bytes(data)
        dataset = load_imagenet(tmp_path, 'list.txt')
        assert isinstance(dataset, LabelledImageDataset) and len(dataset)
        dataset.check()
    check(read, mutations(6, [b'a b.jpg 0\nc.jpg 1\n', b'x.png dog\ny.png cat\n']))
    check(read, [b'a.jpg ' + b'9' * n_digits for n_digits in (12, 5000)])


def test_annotations_and_splits(mini_voc, tmp_path):
    """VOC XML and the lists of ImageSets."""
    split = (mini_voc / 'VOC2007/ImageSets/Main/test.txt').read_text().split()
    annotation = (mini_voc / f'VOC2007/Annotations/{split[0]}.xml').read_bytes()
    for folder in ('Annotations', 'ImageSets/Main'):
        (tmp_path / 'VOC2007' / folder).mkdir(parents=True)
    (tmp_path / 'VOC2007/JPEGImages').symlink_to(mini_voc / 'VOC2007/JPEGImages')
    names = [f'{i}' for i in range(10)]

    def read(data, file):
        (tmp_path / 'VOC2007' / file).write_bytes(data)
        dataset = VOCDetectionDataset(tmp_path, ['VOC2007/test'], names)
        dataset.check()
        img, bbox, label, difficult = dataset[0]
        assert bbox.shape == (len(label), 4) and len(difficult) == len(label)
        assert np.isfinite(bbox).all()
    listed = 'ImageSets/Main/test.txt'
    (tmp_path / 'VOC2007' / listed).write_text(split[0])
    check(lambda data: read(data, f'Annotations/{split[0]}.xml'), [
        *mutations(7, [annotation]), deep(b'<a>', b'</a>'), deep(b'<object>', b'</object>')])
    check(lambda data: read(data, listed), mutations(8, [split[0].encode() + b'\n']))
