"""What `inspect data` says of a set, and the pictures that it leaves."""
import pathlib

import cv2
import numpy as np
import pytest
import yaml

from yolo_dist import inspect
from yolo_dist.config import load_config
from yolo_dist.datasets import make_mini_imagenet, make_mini_voc, read_image
from yolo_dist.inspection import inspect_data
from yolo_dist.tasks import get_task
from yolo_dist.training.sampler import TrainingStream, create_input_size_schedule

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'


@pytest.fixture(scope='module')
def voc(tmp_path_factory):
    """30 training and 6 held-out images; the first training image has no objects."""
    root = tmp_path_factory.mktemp('inspected') / 'voc'
    make_mini_voc(root, n_trainval=30, n_test=6)
    (root / 'VOC2007/Annotations/000001.xml').write_text('<annotation/>')
    return root


def load(root, *overrides, name='quickstart_yolo_v3'):
    return load_config(EXPERIMENTS / f'{name}.yaml', overrides=[
        f'data.root={root}', 'data.input_size_px=64', 'model.pretrained=null', *overrides])


def cells(text, first):
    """Cells of the row of a table that starts with a word."""
    row, = (line.split() for line in text.splitlines() if line.split()[:1] == [first])
    return row[1:]


def test_objects_are_counted_as_a_loop_counts_them(voc, tmp_path):
    """Objects, difficult ones and images, of each class and set; images without objects."""
    text, n_faults = inspect_data(load(voc), tmp_path)
    assert n_faults == 0
    train, val = get_task(load(voc)).load_datasets(load(voc))
    for label, name in enumerate(train.class_names):
        expected = []
        for dataset in (train, val):
            objects = [(one, bool(hard)) for i in range(len(dataset)) for one, hard
                       in zip(*dataset[i][2:]) if one == label]
            n_images = sum(label in dataset[i][2] for i in range(len(dataset)))
            expected += [len(objects), sum(hard for _, hard in objects), n_images]
        assert cells(text, name) == [str(number) for number in expected]
    assert cells(text, 'all')[2] == '29'
    assert 'train: 1 images without objects' in text
    assert 'val: 0 images without objects' in text


def test_the_contact_sheet_shows_what_the_network_gets(voc, tmp_path, monkeypatch):
    """The first example of the stream of all workers, to the pixel, with its boxes."""
    shown = []
    monkeypatch.setattr('yolo_dist.inspection.data.draw_contact_sheet',
                        lambda examples, *rest: shown.extend(examples))
    config = load(voc)
    inspect_data(config, tmp_path)
    train, _ = get_task(config).load_datasets(config)
    for worker in range(config.workers):
        n = config.data.batch_size_per_worker
        stream = TrainingStream(
            train, get_task(config).create_transform(config), seed=config.run.seed,
            workers=[worker], n_workers=config.workers, batch_size_per_worker=n, n_iterations=1,
            input_size=create_input_size_schedule(config, 1))
        for i in range(n):
            for value, expected in zip(shown[worker * n + i], stream[i], strict=True):
                np.testing.assert_array_equal(value, expected)


def test_each_faulty_file_is_listed_and_nothing_ends(voc, tmp_path, capsys):
    """More than five, at once; the rest is still counted, and the status says so."""
    root = tmp_path / 'voc'
    make_mini_voc(root, n_trainval=30, n_test=6)
    folder = root / 'VOC2007'
    for number in range(1, 8):
        path = folder / f'JPEGImages/{number:06d}.jpg'
        path.write_bytes(path.read_bytes()[:-number * 40])
    (folder / 'Annotations/000031.xml').write_text('<annotation>')
    path = folder / 'JPEGImages/000008.jpg'
    noise = np.random.default_rng(0).integers(0, 256, read_image(path).shape[1:], np.uint8)
    damaged = cv2.imencode('.png', noise)[1]
    damaged[len(damaged) // 2] ^= 1  # which shows only where it is decoded
    path.write_bytes(damaged.tobytes())
    status = inspect.main([
        'data', str(EXPERIMENTS / 'quickstart_yolo_v3.yaml'), '--set', f'data.root={root}',
        '--set', 'data.input_size_px=64', '--out', str(tmp_path / 'out')])
    assert status == 1
    text = capsys.readouterr().out
    assert '\n9 faulty:' in text and '000008.jpg: the image file is' in text
    for number in range(1, 8):
        assert f'{number:06d}.jpg: the image file is truncated' in text
    assert '000031.xml: not well-formed' in text
    assert cells(text, 'train')[:2] == ['30', '8']
    assert (tmp_path / 'out/contact_sheet.jpg').exists()


def test_what_a_training_would_say_of_the_sets(voc, tmp_path):
    """The lines of its start, here of held-out images that are training images."""
    text, n_faults = inspect_data(
        load(voc, 'data.val=[VOC2007/trainval, VOC2007/test]'), tmp_path)
    assert n_faults == 0 and 'held-out set: 30 of its 36 images are training images' in text


def test_a_set_without_one_readable_file(tmp_path):
    """All are listed, and there is nothing to draw."""
    lists = tmp_path / 'voc/VOC2007/ImageSets/Main'
    lists.mkdir(parents=True)
    for split in ('trainval', 'test'):
        (lists / f'{split}.txt').write_text('a\nb\n')
    text, n_faults = inspect_data(load(tmp_path / 'voc'), tmp_path / 'out')
    assert n_faults == 4 and text.count('a.jpg: no such image file') == 2
    assert 'there is no contact sheet' in text and not list((tmp_path / 'out').iterdir())


def test_anchors_can_be_pasted(voc, tmp_path):
    """The YAML is a value of `model.anchors`; its mean IoU is above that of the configured."""
    text, _ = inspect_data(load(voc), tmp_path)
    anchors = yaml.safe_load((tmp_path / 'anchors.yaml').read_text())['anchors']
    pasted = load(voc, f'model.anchors={anchors}')
    assert f'{tmp_path}/boxes.png' in text and (tmp_path / 'boxes.png').stat().st_size
    again, _ = inspect_data(pasted, tmp_path)
    configured, fitted = (
        [float(line.split()[-1]) for line in one.splitlines() if line.startswith('mean IoU')]
        for one in (text, again))
    assert configured[0] < configured[1] == pytest.approx(fitted[0], abs=0.002)


@pytest.mark.parametrize('override', ['data.n_synthetic_examples=40', 'model.anchors=fit'])
def test_synthetic_images_and_anchors_to_be_fitted(voc, tmp_path, override):
    """There is something to see without files, and without configured anchors."""
    text, _ = inspect_data(load(voc, override), tmp_path)
    assert 'fitted anchors: 0.' in text
    assert ('configured' in text) is ('fit' not in override)


def test_a_classifier_set(tmp_path):
    """Images of each class and set; one picture of the first of the stream."""
    root = tmp_path / 'imagenet'
    make_mini_imagenet(root, n_train=20, n_val=10, size_px=32)
    text, _ = inspect_data(load(root, 'data.input_size_px=32', name='quickstart_darknet53'),
                           tmp_path / 'out')
    assert cells(text, 'zero') == ['2', '1']
    assert cells(text, 'all') == ['20', '10']
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['contact_sheet.jpg']
    sheet = read_image(tmp_path / 'out/contact_sheet.jpg')
    assert sheet.shape[1:] == (4 * (192 + 22 + 6) + 6, 6 * (192 + 6) + 6)
    assert cv2.meanStdDev(sheet.transpose(1, 2, 0)[10:190, 10:190])[1].max() > 2
