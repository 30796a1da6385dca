"""The check of a run's data, and what becomes of examples that cannot be read."""
import functools
import pathlib
import types

import numpy as np
import pytest

from yolo_dist import pack_data
from yolo_dist.config import load_config
from yolo_dist.datasets import VOCDetectionDataset, check_images, make_mini_voc
from yolo_dist.errors import InputError
from yolo_dist.runs.snapshots import identity
from yolo_dist.tasks import (
    HELD_OUT,
    LISTING,
    TRAINING,
    add_skipped,
    check_data,
    get_task,
    n_skipped,
)
from yolo_dist.training.sampler import TrainingStream

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'
TINY = ['model.width=0.125', 'model.pretrained=null', 'data.input_size_px=32',
        'data.multi_scale=null', 'data.evaluation.input_size_px=32',
        'data.batch_size_per_worker=4', 'schedule.epochs=1', 'schedule.warmup=none',
        'schedule.warmup_epochs=0.0', 'data.n_loader_processes=0']


@pytest.fixture
def root(tmp_path):
    """A small set in which two training images and one held-out image are bad."""
    path = tmp_path / 'set'
    make_mini_voc(path, n_trainval=8, n_test=4)
    for id_ in ('000002', '000005', '000010'):
        (path / f'VOC2007/JPEGImages/{id_}.jpg').write_bytes(b'<html>')
    return path


def config_of(root, *more):
    return load_config(EXPERIMENTS / 'quickstart_yolo_v3.yaml',
                       overrides=[*TINY, f'data.root={root}', *more])


def load(config):
    return dict(zip((TRAINING, HELD_OUT), get_task(config).load_datasets(config)))


def test_keys_that_a_run_does_not_use_are_no_part_of_it(root):
    """Snapshots of before there were these keys go on; a key that is used counts."""
    known = identity(config_of(root)).tobytes().decode()
    assert 'ignore_classes' not in known and 'invalid_boxes' not in known
    used = identity(config_of(root, 'data.invalid_boxes=drop', 'data.on_bad_example=skip'))
    assert '"data.invalid_boxes": "drop"' in used.tobytes().decode()
    assert 'on_bad_example' not in used.tobytes().decode()


@pytest.mark.parametrize('setting, expected', [
    ('data.class_names=[a, b, a]', "'a' stands 2 times"),
    ('data.train=[VOC2007/test, VOC2007/test]', "'VOC2007/test' stands 2 times"),
    ('data.ignore_classes=[one]', "'one' is also one of data.class_names"),
    ('data.ignore_classes=3', 'a list of class names, or the word others'),
    ('model.anchors=[[[1, 2], [3]]]', 'anchors: found .3.; expected pairs'),
    ('model.anchors=[[[1, .inf]]]', 'finite numbers above 0'),
    ('model.anchors=[]', 'expected pairs')])
def test_settings_that_contradict_themselves(root, setting, expected):
    """Each is one line that names the key and what was found."""
    with pytest.raises(InputError, match=expected) as error:
        config_of(root, setting)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('name, anchors', [
    ('yolo_v2', '[[[1, 2]], [[3, 4]], [[5, 6]]]'), ('yolo_v3', '[[1, 2], [3, 4]]')])
def test_anchors_of_another_network(root, name, anchors):
    """The network refuses them."""
    config = config_of(root, f'model.name={name}', f'model.anchors={anchors}')
    with pytest.raises(InputError, match='anchors are .* list.s. of finite, positive'):
        get_task(config).build_model(config)


def test_bad_examples_are_an_error_that_lists_all_in_the_run_directory(root, tmp_path):
    """The message shows five, the list in the run directory every one, once."""
    for id_ in ('000001', '000003', '000004', '000006'):
        (root / f'VOC2007/JPEGImages/{id_}.jpg').write_bytes(b'')
    config = config_of(root)
    datasets = load(config)
    for _ in range(2):
        check = check_data(datasets)
        with pytest.raises(InputError, match=f'and 2 more, all of them in .*{LISTING}'):
            check.settle(config, datasets, tmp_path / 'run', writes=True)
    lines = (tmp_path / 'run' / LISTING).read_text(encoding='utf-8').splitlines()
    assert len(lines) == 7 and sum(HELD_OUT in line for line in lines) == 1


def test_held_out_images_are_decoded_and_training_images_are_not(root):
    """What only decoding shows ends no run at its first evaluation."""
    for id_ in ('000001', '000009'):
        path = root / f'VOC2007/JPEGImages/{id_}.jpg'
        path.write_bytes(path.read_bytes().replace(b'\xff\xdb', b'\xff\xfe'))
    check = check_data(load(config_of(root)))
    assert (check.bad(TRAINING), check.bad(HELD_OUT)) == ({1, 4}, {0, 1})


def test_skipped_held_out_examples_are_left_out_and_training_ones_stay(root, tmp_path):
    """Epochs keep their length; the lines at the start count both."""
    config = config_of(root, 'data.on_bad_example=skip')
    datasets = load(config)
    check = check_data(datasets)
    train, val = check.settle(config, datasets, tmp_path, writes=True)
    assert len(train) == 8 and len(val) == 3
    assert f'{TRAINING}: 2 of 8 examples' in '\n'.join(check.lines)
    assert n_skipped(tmp_path / LISTING) == 2
    for image in (root / 'VOC2007/JPEGImages').iterdir():
        image.write_bytes(b'')
    with pytest.raises(InputError, match='empty'):
        check_data(datasets).settle(config, datasets, tmp_path, writes=True)


class Shares:
    """Stands for the communicator of two processes, of which this is the first."""

    rank, size = 0, 2

    def __init__(self, other):
        self._other = other

    def gather_obj(self, found):
        return [found, self._other.pop(0)]

    def bcast_obj(self, value):
        return value


def test_two_processes_find_together_what_one_finds(root):
    """Each looks at every second example; the order is that of the set."""
    datasets = load(config_of(root))
    alone = check_data(datasets).findings

    class Second(Shares):
        rank = 1

        def gather_obj(self, found):
            self._other.append(found)
            return []

    other = []
    check_data(datasets, Second(other))
    assert any(other)
    assert check_data(datasets, Shares(other)).findings == alone


def test_contradictions_are_told_at_the_start(root):
    """Training on the held-out images, and objects of classes left out."""
    config = config_of(root, 'data.val=[VOC2007/trainval]', 'data.class_names=[one, two, three]',
                       'data.ignore_classes=others', 'model.n_class=3')
    lines = '\n'.join(check_data(load(config)).lines)
    assert f'{HELD_OUT}: 8 of its 8 images are training images, too' in lines
    assert 'are left out (data.ignore_classes): ' in lines


def _keep(img, bbox, label, difficult, *, insize, rng):
    """Stands for the transform: which image it was, and what it would draw."""
    return img.decode()[:, :8, :8].copy(), rng.integers(1 << 30)


def _stream(dataset, workers, note):
    return TrainingStream(dataset, _keep, seed=3, workers=workers, n_workers=2,
                          batch_size_per_worker=4, n_iterations=4, input_size=lambda i: 32,
                          note_skipped=note)


def test_the_replacement_of_a_bad_example_does_not_depend_on_the_processes(root, tmp_path):
    """Two processes and one see the same images; without skip the example is an error."""
    dataset = VOCDetectionDataset(root, ['VOC2007/trainval'], ['zero', 'one', 'two', 'three',
                                  'four', 'five', 'six', 'seven', 'eight', 'nine'])
    # Without its quantization an image looks whole until it is decoded.
    damaged = root / 'VOC2007/JPEGImages/000005.jpg'
    damaged.write_bytes((root / 'VOC2007/JPEGImages/000001.jpg').read_bytes().replace(
        b'\xff\xdb', b'\xff\xfe'))
    (root / 'VOC2007/Annotations/000005.xml').write_bytes(
        (root / 'VOC2007/Annotations/000001.xml').read_bytes())
    assert [finding.index for finding in check_images(dataset)
            if finding.kind == 'bad example'] == [1]
    note = functools.partial(add_skipped, tmp_path / 'run' / LISTING)
    both = _stream(dataset, (0, 1), note)
    alone = [_stream(dataset, (worker,), note) for worker in (0, 1)]
    n_replaced = 0
    for i in range(len(both)):
        iteration, slot = divmod(i, 8)
        other = alone[slot // 4][4 * iteration + slot % 4]
        for a, b in zip(both[i], other):
            np.testing.assert_array_equal(a, b)
        n_replaced += both.locate(i)[2] in (1, 4)
    assert n_replaced == 8
    assert n_skipped(tmp_path / 'run' / LISTING) == 2
    with pytest.raises(InputError, match='000002.jpg|000005.jpg'):
        strict = _stream(dataset, (0, 1), None)
        for i in range(8):
            strict[i]


def test_bad_examples_that_are_skipped_are_skipped_in_a_packed_set(root, tmp_path):
    """The same examples are bad there; without skip nothing is packed, and all are listed."""
    arguments = [text for setting in (*TINY, f'data.root={root}') for text in ('--set', setting)]
    command = [str(EXPERIMENTS / 'quickstart_yolo_v3.yaml'), str(tmp_path / 'packed'), *arguments]
    with pytest.raises(InputError, match='000002.jpg'):
        pack_data.main(command)
    assert not (tmp_path / 'packed').exists() and n_skipped(tmp_path / LISTING) == 2
    pack_data.main([*command, '--set', 'data.on_bad_example=skip'])
    packed = config_of(tmp_path / 'packed', 'data.on_bad_example=skip')
    check = check_data(load(packed))
    assert (check.bad(TRAINING), check.bad(HELD_OUT)) == ({1, 4}, {1})


def test_a_set_of_nothing_but_bad_examples_ends(root):
    """A hundred replacements that cannot be read are an error, not a loop."""
    dataset = VOCDetectionDataset(root, ['VOC2007/trainval'], ['none of these'])
    with pytest.raises(InputError, match='100 examples'):
        _stream(dataset, (0, 1), lambda message: None)[0]


def test_the_held_out_set_is_enough_for_an_evaluation(root, tmp_path):
    """Without the training set both tasks open the held-out set as they do with it."""
    config = config_of(root)
    expected = get_task(config).load_datasets(config)[1]
    (root / 'VOC2007/ImageSets/Main/trainval.txt').unlink()
    assert get_task(config).load_held_out(config).example_names() == expected.example_names()

    for name in ('a', 'b', 'c'):
        (tmp_path / 'val' / name).mkdir(parents=True)
        (tmp_path / 'val' / name / 'x.png').touch()
    (tmp_path / 'val.txt').write_text('val/a/x.png 0\nval/b/x.png 1\n')
    task = get_task(types.SimpleNamespace(task='classification'))

    def opened(val, n_class):
        return task.load_held_out(load_config(
            EXPERIMENTS / 'quickstart_darknet53.yaml', overrides=[
                f'data.root={tmp_path}', f'data.val={val}', f'model.n_class={n_class}']))

    assert opened('val', 3).class_names == ('a', 'b', 'c')
    assert opened('val.txt', 3).labels.tolist() == [0, 1]
    with pytest.raises(InputError, match='training set train, which would tell'):
        opened('val', 4)


def test_a_run_with_bad_examples_trains_and_its_evaluation_leaves_them_out(
        root, tmp_path, python):
    """The whole way in a job: skip trains and lists, what stays counts, names in any locale."""
    arguments = [text for setting in (*TINY, f'data.root={root}', 'workers=1')
                 for text in ('--set', setting)]
    # 80 characters and more: too long for a socket inside.
    temporary = tmp_path / ('long' * 20)
    temporary.mkdir()
    results = tmp_path / 'r\u00e9sultats'
    environment = {'TMPDIR': str(temporary), 'LC_ALL': 'C', 'PYTHONUTF8': '0',
                   'PYTHONCOERCECLOCALE': '0', 'PYTHONIOENCODING': 'latin-1',
                   'HOME': '/nonexistent'}
    names = ['--set', 'data.class_names=[zero, one, two, three, four, five, six, seven, eight, '
             'n\u00e9uf]', '--set', 'data.ignore_classes=[nine]', '--results', results]
    command = ('-m', 'yolo_dist.train', EXPERIMENTS / 'quickstart_yolo_v3.yaml', *arguments,
               *names)
    refused = python(*command, '--plan', env=environment)
    assert refused.returncode == 2 and '000002.jpg' in refused.stderr
    assert 'Traceback' not in refused.stderr
    done = python(*command, '--set', 'data.on_bad_example=skip', env=environment)
    assert done.returncode == 0, done.stderr
    run = results / 'quickstart_yolo_v3'
    assert n_skipped(run / LISTING) == 2
    (root / 'VOC2007/ImageSets/Main/trainval.txt').unlink()
    evaluated = python('-m', 'yolo_dist.evaluate', run, env=environment)
    assert evaluated.returncode == 0, evaluated.stderr
    assert '3 images' in evaluated.stdout and 'n\u00e9uf' in evaluated.stdout
