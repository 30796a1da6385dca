import pickle

import cv2
import numpy as np
import pytest

from yolo_dist.datasets import load_imagenet, open_file_tree
from yolo_dist.errors import InputError


def write_image(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path.with_suffix('.png')), np.full((4, 6, 3), value, np.uint8))
    path.with_suffix('.png').rename(path)


@pytest.fixture
def root(tmp_path):
    for part in ('train', 'val'):
        for k, name in enumerate(('n02', 'n01', 'n10')):
            for i in range(2):
                write_image(tmp_path / part / name / f'{i}.JPEG', 10 * k + i)
    (tmp_path / 'train' / 'n01' / 'readme.txt').write_text('no image')
    (tmp_path / 'train' / '.hidden').mkdir()
    return tmp_path


def test_class_folders_are_labelled_in_sorted_order(root):
    """Labels are places among the sorted folder names; files that are no images do not count."""
    dataset = load_imagenet(root, 'train')
    assert dataset.class_names == ('n01', 'n02', 'n10')
    assert len(dataset) == 6
    img, label = dataset[2]
    assert img.shape == (3, 4, 6) and img.dtype == np.uint8 and (img == 0).all()
    assert label == 1 and isinstance(label, np.int32)
    assert dataset.image_path(2) == str(root / 'train' / 'n02' / '0.JPEG')
    dataset.check()
    assert pickle.loads(pickle.dumps(dataset))[5][1] == 2


@pytest.mark.parametrize('lines', [
    ['train/n02/0.JPEG 1', '', 'train/n10/1.JPEG\t2'],
    ['train/n02/0.JPEG 001', 'train/n10/1.JPEG 2 '],
    ['train/n02/0.JPEG n02', 'train/n10/1.JPEG n10']])
def test_list_file_holds_numbers_or_names(root, lines):
    """Numbers and names give the same labels; blank lines and tabs do no harm."""
    (root / 'list.txt').write_text('\n'.join(lines) + '\n')
    dataset = load_imagenet(root, 'list.txt', class_names=('n01', 'n02', 'n10'))
    assert [int(label) for _, label in (dataset[i] for i in range(len(dataset)))] == [1, 2]
    dataset.check()


def test_list_file_without_class_names(root):
    """Names are sorted; of numbers there are as many classes as the largest tells."""
    (root / 'a.txt').write_text('x y.JPEG n10\nz.JPEG n01\n')
    dataset = load_imagenet(root, 'a.txt')
    assert dataset.class_names == ('n01', 'n10')
    assert dataset.image_path(0) == f'{root}/x y.JPEG'
    (root / 'b.txt').write_text('x.JPEG 3\ny.JPEG 0\n')
    assert load_imagenet(root, 'b.txt').class_names == ('0', '1', '2', '3')


def test_missing_files_of_a_list_are_found_by_check(root):
    """check() names the first five of the missing files and counts the others."""
    (root / 'list.txt').write_text(''.join(f'gone{i}.JPEG 0\n' for i in range(7)))
    dataset = load_imagenet(root, 'list.txt')
    with pytest.raises(InputError, match=r'(?s)gone0.*gone4.*2 more'):
        dataset.check()
    with pytest.raises(InputError, match='gone3'):
        dataset[3]


@pytest.mark.parametrize('text, expected', [
    ('train/n02/0.JPEG\n', 'line 1'), ('a.JPEG 0\nb.JPEG 7\n', "'7'"),
    ('a.JPEG n77\n', 'n77'), ('a.JPEG -1\n', "'-1'"), ('\n\n', 'no image'),
    (b'\xff\xfe\x00', 'UTF-16'), (b'a.JPEG 0\n\xe9.JPEG 0', 'line 2.*xe9.*UTF-8')])
def test_bad_list_files(root, text, expected):
    """A line without label, an unknown label, an empty or binary list name the list."""
    (root / 'list.txt').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=f'list.txt.*{expected}'):
        load_imagenet(root, 'list.txt', class_names=('n01', 'n02', 'n10'))


def test_missing_and_empty_split(root):
    """A split that is not there, or without any image, is an error that names it."""
    with pytest.raises(InputError, match='test'):
        load_imagenet(root, 'test')
    (root / 'empty' / 'n01').mkdir(parents=True)
    with pytest.raises(InputError, match='empty.*no image'):
        load_imagenet(root, 'empty')


def test_class_folders_must_agree(root):
    """Held-out classes that are not those of training are an error, in both directions."""
    names = load_imagenet(root, 'train').class_names
    load_imagenet(root, 'val', class_names=names)
    (root / 'val' / 'n99').mkdir()
    with pytest.raises(InputError, match="'n99' too many"):
        load_imagenet(root, 'val', class_names=names)
    with pytest.raises(InputError, match="lacks 'other'"):
        load_imagenet(root, 'train', class_names=(*names, 'other'))


@pytest.mark.parametrize('path', ['../secret.png', 'val/../../secret.png', '..', 'a/..'])
def test_no_list_leads_out_of_the_data(tmp_path, path):
    """Nothing is read, looked for or listed above data.root; names with points are names."""
    (tmp_path / 'set/val').mkdir(parents=True)
    (tmp_path / 'secret.png').write_bytes(b'secret')
    (tmp_path / 'set/a..b.png').write_bytes(b'inside')
    tree = open_file_tree(tmp_path / 'set')
    for method in (tree.read, tree.is_file, tree.is_folder, tree.list):
        with pytest.raises(InputError, match='leads out of the folder'):
            method(path)
    assert tree.read('a..b.png') == b'inside'
