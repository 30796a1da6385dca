"""Whatever is in a file, a reader returns or raises InputError: seeded mutations of good files.

``YOLO_DIST_FUZZ_INPUTS`` sets how many inputs each reader gets, and ``YOLO_DIST_FUZZ_SEED`` which;
the default takes seconds. With ``-s`` each reader says how many it got and how many it refused.
"""
import copy
import io
import json
import os
import pathlib
import struct
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
    read_coco,
    read_yolo_labels,
    write_voc_set,
)
from yolo_dist.errors import InputError
from yolo_dist.formats import (
    Network,
    read_darknet_cfg,
    read_darknet_weights,
    write_darknet_cfg,
)
from yolo_dist.links import Darknet19, load_weights, read_npz
from yolo_dist.runs.records import read_record
from yolo_dist.runs.run_directory import read_json

N_INPUTS = int(os.environ.get('YOLO_DIST_FUZZ_INPUTS', 200))
SEED = int(os.environ.get('YOLO_DIST_FUZZ_SEED', 0))
EXPERIMENTS = pathlib.Path(__file__).resolve().parents[1] / 'experiments'

# What grammars trip over, put in anywhere.
TOKENS = [b'\0', b'\xff\xfe', b'&a ', b'*a', b'!!int ', b'!!timestamp x', b'<<: ', b'? ', b'- ',
          b'[', b'{', b'}', b': ', b'"', b"'", b'%', b'2001-13-99', b'9' * 5000, b'.nan', b'-1',
          b'\xf0\x9f\x98\x80', b'<', b'</', b'<!DOCTYPE a [<!ENTITY b "c">]>', b'&b;', b'\n',
          b'1e999', b'../', b'/', b' ', b'\xe2\x80\xa8', b'\r']


def mutations(seed, files, n=None):
    """``n`` inputs: bits flipped, stretches cut, doubled or exchanged, tokens put in."""
    rng = np.random.default_rng((SEED, seed))
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
    n_inputs = n_refused = 0
    for data in inputs:
        n_inputs += 1
        try:
            read(data)
        except InputError:
            n_refused += 1
    assert n_refused
    print(f'inputs {n_inputs}, refused {n_refused}')


# What JSON and YAML can hold where something else is expected.
VALUES = [None, True, -1, 0, 1.5, float('nan'), float('inf'), 1e308, 10 ** 400, 1 << 64, '', ' ',
          'a\0b', '\ud800', '\u202e', 'a\nb', '\u2028', '../a', '/etc/passwd', '.', 'x' * 5000, [],
          [[]], [None], {}, {'a': []}]


def exchanged(document):
    """Copies of a document, in each of which another value stands at one place."""
    def places(value, path=()):
        yield path
        children = (value.items() if isinstance(value, dict) else
                    enumerate(value) if isinstance(value, list) else ())
        for key, child in children:
            yield from places(child, (*path, key))
    pairs = [(path, value) for path in places(document) if path for value in VALUES]
    # All of them, where that many are asked for.
    for i in np.random.default_rng(SEED).permutation(len(pairs))[:N_INPUTS]:
        (*parents, last), value = pairs[i]
        changed = copy.deepcopy(document)
        place = changed
        for key in parents:
            place = place[key]
        place[last] = value
        yield changed


def deep(begin, end, n=5000):
    return begin * n + end * n


# Nine to the power of ten numbers, for whoever follows each alias.
ALIASES = b'a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n' + b''.join(
    b'%c: &%c [%s]\n' % (name, name, b', '.join([b'*%c' % (name - 1)] * 9))
    for name in b'bcdefghij')


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
                 b'a: ' + b'9' * 5000, b'base: null', b'!!python/object/apply:os.system [ls]',
                 b'a: !!bool x', b'a: !!int ""', b'a: !!float ""', b'a: !!binary a',
                 small.replace(b'base_lr: 0.01', b'base_lr: 0x' + b'f' * 5000),
                 small.replace(b'seed: 0', b'seed: 4294967296'),
                 b''.join(b'k%d: 1\n' % i for i in range(5000)) + b'k0: 1', ALIASES,
                 ALIASES.replace(b'[', b'{<<: [').replace(b']', b']}'), ALIASES + b'? *j\n: 1'])
    check(read, (json.dumps(changed).encode() for changed in exchanged(yaml.safe_load(run))))
    for value, message in (('[' * 5000, 'nested too deeply'), ('2001-13-99', 'month must be in'),
                           ('!!timestamp x', 'is not YAML')):
        with pytest.raises(InputError, match=f'--set.*{message}'):
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
    # Headers of arrays; the check sum is right.
    def pack(header, version=1, name='a.npy'):
        header += b' ' * (-(len(header) + 11) % 64) + b'\n'
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, 'w') as archive:
            archive.writestr(name, b'\x93NUMPY' + bytes([version, 0]) + len(header).to_bytes(
                2 if version == 1 else 4, 'little') + header + bytes(64))
        return buffer.getvalue()
    good = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}"
    read(pack(good))
    headers = [*mutations(20, [good], N_INPUTS // 3), b'{', b'"' * 3, b'(' * 5000, b'{[]: 1}']
    headers += [good.replace(b'(2, 3)', shape) for shape in (
        b'(-1,)', b'(2, -3)', b'(True,)', b'("a",)', b'(18446744073709551616, 2)', b'None',
        b'(' + b'1,' * 20000 + b')')]
    headers += [good.replace(b"'<f4'", descr) for descr in (
        b"'|O'", b"'<U1000000000'", b"[('a', '|O')]", b'3', b'None', b"'<f4,|O'")]
    check(read, (pack(header, version) for version in (1, 2, 3) for header in headers
                 if version > 1 or len(header) < 1 << 15))
    check(read, [pack(good, name='a/b')[:-1], pack(b'', name='a')])
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
    """Each format that is read."""
    image = np.random.default_rng(4).integers(0, 256, (17, 23, 3), np.uint8)
    files = [cv2.imencode(suffix, image)[1].tobytes() for suffix in (
        '.jpg', '.png', '.bmp', '.webp', '.tif', '.gif', '.ppm')]

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
    check(read, [b'a\0.jpg 0', b'\0', b'x' * 10 ** 5 + b' 0', '\u202e 0'.encode()])


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


@pytest.fixture
def pictures(tmp_path):
    """A folder with one picture."""
    (tmp_path / 'pictures').mkdir()
    cv2.imwrite(str(tmp_path / 'pictures/a.png'), np.zeros((20, 30, 3), np.uint8))
    return tmp_path / 'pictures'


def test_coco(pictures, tmp_path):
    """COCO's JSON; what is accepted is written as VOC's and comes back."""
    good = {'images': [{'id': 1, 'file_name': 'a.png', 'height': 20, 'width': 30}],
            'categories': [{'id': 1, 'name': 'cat'}], 'annotations': [
                {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 5, 5], 'iscrowd': 0}]}

    def read(data):
        (tmp_path / 'a.json').write_bytes(data)
        names, images = read_coco(tmp_path / 'a.json', pictures)
        folder = tmp_path / f'voc{len(list(tmp_path.iterdir()))}'
        write_voc_set(folder, images, progress=lambda: None)
        dataset = VOCDetectionDataset(tmp_path, [f'{folder.name}/all'], names)
        dataset.check()
        assert sum(len(bbox) for _, bbox, *_ in dataset) == sum(
            len(image.objects) for image in images)
    text = json.dumps(good)
    check(read, mutations(9, [text.encode()]))
    check(read, (json.dumps(changed).encode() for changed in exchanged(good)))
    check(read, [deep(b'[', b']', 10 ** 5), text.replace('20', '9' * 5000).encode()])


def test_labels_of_yolo(pictures, tmp_path):
    """Label files, and class names in a text file and in YAML."""
    good = {'labels.txt': b'0 0.5 0.5 0.2 0.2\n1 0.25 0.5 0.1 0.3\n', 'names.txt': b'cat\ndog\n',
            'names.yaml': b'names: [cat, dog]\n'}

    def read(file, data):
        for name, content in {**good, file: data}.items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / 'labels.txt').rename(pictures / 'a.txt')
        read_yolo_labels(pictures, pictures, tmp_path / (
            file if file.startswith('names') else 'names.txt'))
    for seed, (file, content) in enumerate(good.items(), start=10):
        check(lambda data, file=file: read(file, data), [*mutations(seed, [content]), b'\0'])
    check(lambda data: read('names.yaml', data), [
        deep(b'[', b']'), b'names: [0x' + b'f' * 5000 + b']', b'names: !!bool x',
        b'names: &a [*a]', ALIASES.replace(b'j:', b'names:')])


def test_files_of_darknet(tmp_path):
    """Descriptions and weights of networks."""
    path = tmp_path / 'fuzzed'
    files = []
    for name in ('darknet19', 'yolo_v3'):
        write_darknet_cfg(path, Network(name, 2, width=0.03))
        files.append(path.read_bytes())

    def read_with(reader):
        def read(data):
            path.write_bytes(data)
            reader(path)
        return read
    check(read_with(read_darknet_cfg), mutations(13, files))
    start = struct.pack('<iiiq', 0, 2, 0, 7) + bytes(400)
    check(read_with(read_darknet_weights), mutations(14, [start]))


def test_run_directories(tmp_path):
    """Whatever the files of a run hold, its record says what is wrong with them."""
    config = (EXPERIMENTS / 'quickstart_darknet19.yaml').read_bytes()
    good = {'status.json': {'state': 'done', 'metrics': {'val/a': 1.5}, 'reason': 'none'},
            'log.json': [{'iteration': 2, 'epoch_detail': 0.5, 'train/loss': 2.5}],
            'environment.json': [{'devices': [{'name': 'a'}], 'cores': 2}],
            'heartbeat.jsonl': {'process': 0}}
    (tmp_path / 'config.yaml').write_bytes(config)
    for name, content in good.items():
        (tmp_path / name).write_text(json.dumps(content))
    n_inputs = n_problems = 0
    for name, document in good.items():
        for changed, in exchanged([document]):
            (tmp_path / name).write_text(json.dumps(changed))
            record = read_record(tmp_path)
            assert record.is_started and isinstance(record.state, str)
            assert (record.epoch, record.n_training_images) != (None, 1)
            n_inputs += 1
            n_problems += len(record.problems) > 0
        (tmp_path / name).write_text(json.dumps(document))
    assert 0 < n_problems < n_inputs
    print(f'inputs {n_inputs}, refused {n_problems}')
