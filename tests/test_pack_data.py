"""A packed data set is the same data set."""
import collections
import hashlib
import multiprocessing
import os
import pathlib
import shutil
import threading

import lmdb
import numpy as np
import pytest

from yolo_dist import pack_data
from yolo_dist.config import load_config
from yolo_dist.datasets import make_mini_imagenet, make_mini_voc, open_file_tree, pack_files
from yolo_dist.errors import InputError
from yolo_dist.jobs import missing_prerequisites
from yolo_dist.planning.plan import plan
from yolo_dist.tasks import get_task

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[1] / 'experiments'
FILES = {'classification': EXPERIMENTS / 'quickstart_darknet53.yaml',
         'detection': EXPERIMENTS / 'quickstart_yolo_v3.yaml'}


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp('sets')
    make_mini_imagenet(root / 'classification', n_train=20, n_val=10)
    # A class of which there happens to be no image is a class all the same.
    for path in (root / 'classification' / 'val' / 'nine').iterdir():
        path.unlink()
    make_mini_voc(root / 'detection', n_trainval=6, n_test=3)
    for task, experiment in FILES.items():
        pack_data.main([str(experiment), str(root / f'{task}.lmdb'),
                        '--set', f'data.root={root / task}'])
    return root


def load(task, root):
    config = load_config(FILES[task], overrides=[f'data.root={root}'])
    return get_task(config).load_datasets(config)


def assert_same(examples, others):
    assert len(examples) == len(others)
    for example, other in zip(examples, others, strict=True):
        for value, same in zip(example, other, strict=True):
            np.testing.assert_array_equal(value, same)


@pytest.mark.parametrize('task', FILES)
def test_same_examples_in_the_same_order(roots, task):
    """Both sets have the same images, to the pixel, annotations, classes and names of files."""
    packed_root = roots / f'{task}.lmdb'
    for folder, packed in zip(load(task, roots / task), load(task, packed_root), strict=True):
        packed.check()
        assert_same(list(folder), list(packed))
        assert packed.class_names == folder.class_names
        for i in range(len(folder)):
            assert (packed.image_path(i).removeprefix(str(packed_root))
                    == folder.image_path(i).removeprefix(str(roots / task)))
        assert packed.files() == folder.files()
        # To the byte: what is damaged or odd about a file stays so.
        for path in folder.files():
            if not path.endswith('/'):
                assert packed.tree.read(path) == folder.tree.read(path)


@pytest.mark.parametrize('task', FILES)
def test_a_packed_set_is_planned_and_submitted_like_its_folder(roots, tmp_path, task):
    """Images are counted in the file; published sizes are for data that are nowhere."""
    settings = ['workers=1', 'data.batch_size_per_worker=2']
    plans = [plan(load_config(FILES[task], overrides=[*settings, f'data.root={root}']))
             for root in (roots / task, roots / f'{task}.lmdb')]
    assert plans[1].n_train == plans[0].n_train > 0
    assert plans[1].n_val == plans[0].n_val > 0
    assert 'counted in' in plans[1].data_source
    config = plans[1].config.model_copy(update={
        'model': plans[1].config.model.model_copy(update={'pretrained': None})})
    assert missing_prerequisites(config, results=str(tmp_path)) == []


def test_a_file_that_is_no_data_set_is_not_planned_with_published_sizes(tmp_path):
    """ImageNet's own sizes do not hide that data.root is another file."""
    (tmp_path / 'imagenet.tar').write_bytes(b'not a packed data set' * 400)
    config = load_config(EXPERIMENTS / 'imagenet_darknet53.yaml', overrides=[
        f'data.root={tmp_path / "imagenet.tar"}', 'model.width=0.125'])
    with pytest.raises(InputError, match='imagenet.tar'):
        plan(config)


def test_order_is_that_of_the_folders(tmp_path):
    """Folders come before what is in them is compared, although a '-' sorts before a '/'."""
    for name in ('a/1.png', 'a-b/0.png', 'ab/2.png', 'a/0.png'):
        (tmp_path / 'set' / 'train' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'set' / 'train' / name).write_bytes(name.encode())
    from yolo_dist.datasets import load_imagenet
    folder = load_imagenet(tmp_path / 'set', 'train')
    pack_files(folder.tree, folder.files(), tmp_path / 'set.lmdb', progress=len_of)
    packed = load_imagenet(tmp_path / 'set.lmdb', 'train')
    assert packed.class_names == folder.class_names == ('a', 'a-b', 'ab')
    assert packed.files() == folder.files()


def len_of(n_bytes):
    """Progress that nobody looks at."""


_READ_BY_LOADERS = """
import hashlib, multiprocessing, sys
import yolo_dist
from yolo_dist.config import load_config
from yolo_dist.training.iterators import iterate_batches
from yolo_dist.tasks import get_task
multiprocessing.set_start_method('forkserver', force=True)
multiprocessing.set_forkserver_preload(['yolo_dist'])  # before Chainer, as everywhere
config = load_config(sys.argv[1], overrides=[f'data.root={sys.argv[2]}'])
train, _ = get_task(config).load_datasets(config)
for _ in range(2):
    digest = hashlib.sha256()
    for batch in iterate_batches(train, 2, 2):
        train[0]  # this process reads the same file meanwhile
        for example in batch:
            for value in example:
                digest.update(value.tobytes())
    print(digest.hexdigest())
"""


@pytest.mark.parametrize('task', FILES)
def test_several_processes_read_it_at_once(roots, task, python):
    """Loader processes of a forkserver give what this process reads from the folder."""
    done = python('-c', _READ_BY_LOADERS, FILES[task], roots / f'{task}.lmdb', timeout=60)
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256()
    for example in load(task, roots / task)[0]:
        for value in example:
            digest.update(value.tobytes())
    assert done.stdout.split() == [digest.hexdigest()] * 2


def test_threads_read_it_at_once(roots):
    """One map of the file serves all threads of a process."""
    train, _ = load('detection', roots / 'detection.lmdb')
    expected = list(train)
    results = []
    threads = [threading.Thread(target=lambda: results.append(list(train))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    for result in results:
        assert_same(result, expected)


def test_forked_process_reads_it_too(roots):
    """A process forked from one that has read the file reads it, and both go on."""
    tree = open_file_tree(roots / 'detection.lmdb')
    path = 'VOC2007/ImageSets/Main/trainval.txt'
    expected = tree.read(path)
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(tree.read(path)))
    child.start()
    sender.close()
    assert receiver.recv() == expected
    child.join()
    assert tree.read(path) == expected


def test_reading_writes_nothing(roots):
    """There is no lock file, so that it can be read where nobody may write."""
    for task in FILES:
        load(task, roots / f'{task}.lmdb')[0][0]
    assert {path.name for path in roots.iterdir()} == {
        *FILES, *(f'{task}.lmdb' for task in FILES)}


def test_damage_is_an_error_that_names_the_file(tmp_path):
    """A page of zeros, as an interrupted copy may leave it, is found by whoever needs it."""
    names = [f'{i:03d}' for i in range(60)]
    (tmp_path / 'set').mkdir()
    for name in names:
        (tmp_path / 'set' / name).write_bytes(name.encode() * 300)
    pack_files(open_file_tree(tmp_path / 'set'), names, tmp_path / 'set.lmdb', progress=len_of)
    whole = (tmp_path / 'set.lmdb').read_bytes()
    n_errors = collections.Counter()
    for at in range(2 * 4096, len(whole), 4096):
        path = tmp_path / f'{at}.lmdb'
        path.write_bytes(whole[:at] + bytes(4096) + whole[at + 4096:])
        try:
            tree = open_file_tree(path)
        except InputError:
            continue
        for method in (tree.read, tree.is_file):
            for name in names:
                try:
                    assert method(name) in (True, name.encode() * 300)
                except InputError as error:
                    assert f'{at}.lmdb: the packed data set is damaged' in str(error)
                    n_errors[method.__name__] += 1
    assert n_errors['read'] > 0 < n_errors['is_file']


def test_what_is_not_in_it_is_named(roots):
    """Splits, images and annotations that are missing are errors as in a folder."""
    place = roots / 'detection.lmdb'
    config = load_config(FILES['detection'], overrides=[
        f'data.root={place}', 'data.val=[VOC2007/val]'])
    with pytest.raises(InputError, match='VOC2007/val cannot be read.*test, trainval'):
        get_task(config).load_datasets(config)
    tree = open_file_tree(place)
    with pytest.raises(FileNotFoundError):
        tree.read('VOC2007/JPEGImages/nothing.jpg')
    for path in ('VOC2007', 'VOC2007/JPEGImages/', 'a' * 1000, ' packed'):
        assert not tree.is_file(path)
    assert tree.is_folder('VOC2007') and not tree.is_folder('VOC2007/Nothing')
    assert not tree.is_folder('zzz')


def test_foreign_cut_and_old_files_are_refused(roots, tmp_path):
    """No LMDB file, somebody else's, or one that was not copied whole: errors, not a crash."""
    (tmp_path / 'text.lmdb').write_text('no data' * 10000)
    with lmdb.open(str(tmp_path / 'foreign.lmdb'), subdir=False) as foreign:
        with foreign.begin(write=True) as transaction:
            transaction.put(b'a', b'b')
    shutil.copy(roots / 'detection.lmdb', tmp_path / 'cut.lmdb')
    os.truncate(tmp_path / 'cut.lmdb', 65536)
    for name, message in (('text', 'neither a folder nor'), ('foreign', 'not one that this'),
                          ('cut', 'cut: found 65,536 bytes')):
        for _ in range(2):
            with pytest.raises(InputError, match=f'{name}.lmdb.*{message}'):
                open_file_tree(tmp_path / f'{name}.lmdb')


def test_annotations_are_checked_before_anything_is_written(roots, tmp_path):
    """A fault in one annotation is named and leaves no file; so does a file that vanishes."""
    shutil.copytree(roots / 'detection', tmp_path / 'set')
    annotation = tmp_path / 'set' / 'VOC2007/Annotations/000002.xml'
    annotation.write_text(annotation.read_text().replace('<ymax>', '<ymax>9'))
    arguments = [str(FILES['detection']), str(tmp_path / 'out' / 'set.lmdb'),
                 '--set', f'data.root={tmp_path / "set"}']
    with pytest.raises(InputError, match='000002.xml.*outside the image'):
        pack_data.main(arguments)
    assert os.listdir(tmp_path / 'out') == ['data_check.txt']
    tree = open_file_tree(tmp_path / 'set')
    with pytest.raises(InputError, match='no-such.*nothing was left'):
        pack_files(tree, ['VOC2007/ImageSets/Main/test.txt', 'VOC2007/no-such'],
                   tmp_path / 'out.lmdb', progress=len_of)
    assert sorted(os.listdir(tmp_path)) == ['out', 'set']


def test_an_existing_file_is_left_alone(roots):
    """Neither a data set nor anything else is written over."""
    place = roots / 'classification.lmdb'
    before = place.read_bytes()
    with pytest.raises(InputError, match='exists already'):
        pack_data.main([str(FILES['classification']), str(place),
                        '--set', f'data.root={roots / "classification"}'])
    assert place.read_bytes() == before


def test_made_up_images_are_in_no_files(tmp_path):
    """An experiment without files has nothing to pack."""
    with pytest.raises(InputError, match='n_synthetic_examples'):
        pack_data.main([str(FILES['detection']), str(tmp_path / 'a.lmdb'),
                        '--set', 'data.n_synthetic_examples=5'])


def test_large_sets_are_written_in_parts(tmp_path, monkeypatch):
    """A file larger than one commit, and many commits, come out as they went in."""
    from yolo_dist.datasets import file_tree
    monkeypatch.setattr(file_tree, '_BYTES_PER_COMMIT', 50_000)
    rng = np.random.default_rng(0)
    contents = {f'{i:03d}': rng.bytes(int(rng.integers(0, 200_000))) for i in range(40)}
    (tmp_path / 'set').mkdir()
    for name, data in contents.items():
        (tmp_path / 'set' / name).write_bytes(data)
    sizes = []
    pack_files(open_file_tree(tmp_path / 'set'), contents, tmp_path / 'set.lmdb',
               progress=sizes.append)
    assert sum(sizes) == sum(map(len, contents.values()))
    tree = open_file_tree(tmp_path / 'set.lmdb')
    assert {name: tree.read(name) for name in contents} == contents
