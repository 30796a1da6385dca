"""Faults that people's data sets have: found before training, or read as they are meant."""
import os
import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from yolo_dist.datasets import (
    VOCDetectionDataset,
    check_images,
    is_data_there,
    load_imagenet,
    open_file_tree,
    pack_files,
)
from yolo_dist.errors import InputError

BOX = '<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>31</xmax><ymax>21</ymax></bndbox>'
OBJECT = f'<object><name>cat</name>{BOX}</object>'
SIZE = '<size><width>50</width><height>40</height></size>'
NO_AREA = OBJECT.replace('31', '11')
OUTSIDE = OBJECT.replace('31', '90')


def jpeg(height=40, width=50):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode('.jpg', noise)[1].tobytes()


def png_of_claimed_size(height, width):
    header = struct.pack('>4sIIBBBBB', b'IHDR', width, height, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header
            + struct.pack('>I', zlib.crc32(header)) + b'\0\0\0\0IEND\xaeB`\x82')


class Tree:
    """A VOC tree whose files are given as bytes or text."""

    def __init__(self, root):
        self.root = root
        self.folder = root / 'VOC2007'
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (self.folder / folder).mkdir(parents=True)
        self.ids = []

    def add(self, xml=f'<annotation>{SIZE}{OBJECT}</annotation>', image=None, id_=None):
        id_ = id_ or f'{len(self.ids):03d}'
        self.ids.append(id_)
        data = xml if isinstance(xml, bytes) else xml.encode()
        (self.folder / f'Annotations/{id_}.xml').write_bytes(data)
        (self.folder / f'JPEGImages/{id_}.jpg').write_bytes(jpeg() if image is None else image)
        self.list('\n'.join(self.ids))
        return self

    def list(self, text, split='trainval'):
        data = text if isinstance(text, bytes) else text.encode()
        (self.folder / f'ImageSets/Main/{split}.txt').write_bytes(data)

    def open(self, split='VOC2007/trainval', names=('cat', 'dog'), **settings):
        return VOCDetectionDataset(self.root, [split], names, **settings)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / 'set')


def kinds(dataset, **settings):
    return [(finding.index, finding.kind) for finding in check_images(dataset, **settings)]


LONG = jpeg(300, 300)
BAD_IMAGES = {
    'empty': b'', 'html': b'<html><body>404</body></html>', 'cut': jpeg()[:-200],
    'cut and long': LONG[:-2000], 'cut in its header': LONG[:100], 'text': b'hello',
    'huge': png_of_claimed_size(60_000, 60_000), 'zeros': b'\0' * 5000,
    'raw pixels': Image.new('RGB', (50, 40)).tobytes()[:500]}


@pytest.mark.parametrize('packed', [False, True])
def test_bad_pictures_are_found_without_decoding_and_all_at_once(tree, tmp_path, packed):
    """Each bad picture of a set is found, and no good one, in folders and packed."""
    assert len(LONG) > 40_000
    for image in BAD_IMAGES.values():
        tree.add('<annotation/>', image)
    for image in (LONG, jpeg(), jpeg() + b'trailing' * 9000, jpeg(3, 5)):
        tree.add('<annotation/>', image)
    (tree.folder / 'JPEGImages/005.jpg').unlink()
    os.mkfifo(tree.folder / 'JPEGImages/005.jpg')
    root = tree.root
    if packed:
        (tree.folder / 'JPEGImages/005.jpg').unlink()
        files = [str(path.relative_to(root)) for path in root.rglob('*') if path.is_file()]
        root = tmp_path / 'set.lmdb'
        pack_files(open_file_tree(tree.root), files, root, progress=lambda n: None)
    dataset = VOCDetectionDataset(root, ['VOC2007/trainval'], ['cat'])
    assert kinds(dataset) == [(i, 'bad example') for i in range(len(BAD_IMAGES))]
    with pytest.raises(InputError, match='and 4 more'):
        dataset.check()
    assert [dataset.example_names()[0]] == ['VOC2007/000']
    assert not kinds(dataset.without(set(range(len(BAD_IMAGES)))))
    assert kinds(dataset, indices=[2, 12]) == [(2, 'bad example')]


def test_class_folders_are_looked_at_too(tmp_path):
    """Of a classification set the same pictures are found."""
    (tmp_path / 'train/a').mkdir(parents=True)
    for i, image in enumerate((jpeg(), *BAD_IMAGES.values())):
        (tmp_path / f'train/a/{i:02d}.jpg').write_bytes(image)
    dataset = load_imagenet(tmp_path, 'train')
    assert kinds(dataset) == [(i + 1, 'bad example') for i in range(len(BAD_IMAGES))]
    good = dataset.without(set(range(1, 10)))
    assert len(good) == len(good.labels) == 1 and good[0][0].shape == (3, 40, 50)


def test_damage_in_the_middle_shows_where_the_image_is_decoded(tree):
    """A PNG with a wrong checksum has a good header and end; decode=True finds it."""
    whole = cv2.imencode('.png', np.random.default_rng(0).integers(
        0, 256, (200, 200, 3), np.uint8))[1].tobytes()
    damaged = whole[:60_000] + b'damage' + whole[60_006:]
    tree.add('<annotation/>', whole).add('<annotation/>', damaged)
    assert kinds(tree.open()) == []
    assert kinds(tree.open(), decode=True) == [(1, 'bad example')]


@pytest.mark.parametrize('stated, is_wrong', [
    ((50, 40), False), ((40, 50), False), ((0, 0), False), ((100, 80), True), ((50, 41), True)])
def test_the_size_that_an_annotation_states_is_compared_with_the_picture(tree, stated, is_wrong):
    """Boxes of a picture of another size are no boxes of this one, even if they fit."""
    size = f'<size><width>{stated[0]}</width><height>{stated[1]}</height></size>'
    tree.add(f'<annotation>{size}{OBJECT}</annotation>')
    assert kinds(tree.open()) == [(0, 'bad example')] * is_wrong
    if is_wrong:
        with pytest.raises(InputError, match='states an image .* but .* 50 px wide and 40 px'):
            tree.open()[0]


@pytest.mark.parametrize('bad', [NO_AREA, OUTSIDE, OBJECT.replace('31', 'nan'),
                                 OBJECT.replace('<xmax>31</xmax>', '')])
def test_invalid_boxes_are_errors_or_dropped_counted_and_listed(tree, bad):
    """With drop the other boxes and their labels stay, and the finding names file and object."""
    good = OBJECT.replace('cat', 'dog')
    tree.add(f'<annotation>{SIZE}{bad}{good}</annotation>')
    with pytest.raises(InputError, match='object 1.*data.invalid_boxes: drop'):
        tree.open()[0]
    dataset = tree.open(invalid_boxes='drop')
    _, bbox, label, difficult = pickle.loads(pickle.dumps(dataset))[0]
    assert len(bbox) == len(label) == len(difficult) == 1 and label[0] == 1
    finding, = check_images(dataset)
    assert finding.kind == 'dropped box' and '000.xml, object 1' in finding.message


def test_boxes_that_count_from_0_are_recognised(tree):
    """A minimum of 0 is a finding; where such a box has no area, the message says so."""
    tree.add(f'<annotation>{SIZE}{OBJECT.replace("11", "0")}</annotation>')
    assert kinds(tree.open()) == [(0, 'from 0')]
    tree.add(f'<annotation>{SIZE}{NO_AREA.replace("11", "0")}</annotation>')
    with pytest.raises(InputError, match='counts pixels from 0'):
        tree.open()[1]


@pytest.mark.parametrize('word, is_difficult', [
    ('true', True), ('False', False), ('YES', True), ('no', False), ('1.0', True),
    (' 0 ', False), ('Unspecified', False), ('', False)])
def test_difficult_in_the_words_of_other_tools(tree, word, is_difficult):
    """Words that mean yes or no are read so."""
    text = OBJECT.replace('</name>', f'</name><difficult>{word}</difficult>')
    tree.add(f'<annotation>{text}</annotation>')
    assert tree.open()[0][3].tolist() == [is_difficult]


PLAIN = f'<annotation>{SIZE}{OBJECT}</annotation>'


@pytest.mark.parametrize('xml', [
    '\ufeff' + PLAIN, '\n\n<?xml version="1.0"?>' + PLAIN, PLAIN.replace('><', '>\r\n\t<'),
    PLAIN.replace('<annotation>', '<annotation xmlns="http://a.b/c">'),
    PLAIN.replace('<object>', '<objects><object>').replace('</object>', '</object></objects>'),
    '<?xml version="1.0" encoding="utf-16"?>' + PLAIN, PLAIN.encode('utf-16'),
    PLAIN.replace('31', '31.00'), '<!-- made by hand -->' + PLAIN,
    PLAIN.replace('annotation>', 'Annotation>')])
def test_variants_of_xml_that_tools_write(tree, xml):
    """Marks, blanks, namespaces, nested lists, wrong encodings: the same object as plain XML."""
    tree.add(xml)
    assert kinds(tree.open()) == []
    _, bbox, label, _ = tree.open()[0]
    np.testing.assert_array_equal(bbox, [[5, 10, 20, 30]])
    assert label.tolist() == [0]


@pytest.mark.parametrize('xml, expected', [
    ('<html><body/></html>', 'expected <annotation>'), ('{"a": 1}', 'found b.{"a": 1}'),
    (PLAIN.replace(BOX, 2 * BOX), 'found 2 boxes in one object'),
    (PLAIN.replace('>cat<', '>c\u0430t<'), r'\\u0430')])
def test_xml_without_a_plain_meaning(tree, xml, expected):
    """The error shows what was found, letters that only look alike by their codes."""
    tree.add(xml)
    with pytest.raises(InputError, match=expected):
        tree.open()[0]


def test_composed_and_decomposed_letters_are_the_same_name(tree):
    """A name typed on a Mac is the name typed elsewhere."""
    tree.add(PLAIN.replace('>cat<', '>cafe\u0301<'))
    assert tree.open(names=['caf\u00e9'])[0][2].tolist() == [0]


@pytest.mark.parametrize('text', [
    '\ufeff000\r\n001\r\n', '000\n\n\n001', '\t000 \n 001\u00a0\n', '000.jpg\n001.JPG\n',
    'JPEGImages/000.jpg\n/home/a/VOC2007/JPEGImages/001.jpg\n', '"000"\n"001"', '000.xml\n001',
    'VOC2007\\JPEGImages\\000.jpg\r\n001', '000\r001\r', '000 1\n001  1\n', './000\n001',
    '\ufeff000\r\n001\r\n'.encode('utf-16')])
def test_variants_of_a_split_that_editors_and_tools_write(tree, text):
    """Marks, line ends, blanks, endings and folders do not hide the two images."""
    tree.add().add()
    tree.list(text)
    dataset = tree.open()
    assert dataset.example_names() == ['VOC2007/000', 'VOC2007/001']
    assert kinds(dataset) == []


def test_a_name_with_a_point_keeps_it(tree):
    """An ending is taken off only where it is not part of the name."""
    tree.add(id_='a.jpg').add(id_='b.v2')
    assert tree.open().example_names() == ['VOC2007/a.jpg', 'VOC2007/b.v2']


def test_a_list_of_one_class_means_the_images_that_hold_it(tree):
    """VOC marks images without the class by -1, and those with difficult ones alone by 0."""
    tree.add().add().add()
    tree.list('000 -1\n001  0\n002  1\n', 'cat_trainval')
    dataset = tree.open('VOC2007/cat_trainval')
    assert dataset.example_names() == ['VOC2007/001', 'VOC2007/002']
    assert len(dataset.notes) == 1 and '1 images whose second column is -1' in dataset.notes[0]


def test_a_list_in_another_encoding_names_line_and_bytes(tree):
    """Latin-1 is not guessed at."""
    tree.add()
    tree.list(b'000\ncaf\xe9\n')
    with pytest.raises(InputError, match=r'trainval.txt, line 2: found bytes .*xe9.* UTF-8'):
        tree.open()


def test_the_same_split_or_image_twice(tree):
    """A split named twice is an error, an image listed twice a line at the start."""
    tree.add().add()
    for again in ('VOC2007/trainval', 'VOC2007/trainval.txt'):
        with pytest.raises(InputError, match='named twice'):
            VOCDetectionDataset(tree.root, ['VOC2007/trainval', again])
    tree.list('000\n000\n001\n')
    assert 'listed more than once, such as VOC2007/000 (2 times)' in tree.open().notes[0]


@pytest.mark.parametrize('ignored, names', [(['dog', 'cow'], ['cat']), ('others', ['cat'])])
def test_classes_can_be_left_out(tree, ignored, names):
    """Their objects are counted and are no training objects; an unknown class stays an error."""
    others = ''.join(OBJECT.replace('cat', name) for name in ('dog', 'cow'))
    tree.add(f'<annotation>{others}{OBJECT}</annotation>')
    dataset = tree.open(names=names, ignore_classes=ignored)
    assert dataset[0][2].tolist() == [0]
    assert [f.message for f in check_images(dataset) if f.kind == 'left out'] == ['dog', 'cow']
    with pytest.raises(InputError, match="found class 'dog'.*data.ignore_classes"):
        tree.open(names=names)[0]


def test_another_file_name_inside_is_a_finding(tree):
    """The list decides which picture is meant; that the annotation differs is told."""
    tree.add(PLAIN.replace('<size>', '<filename>holiday.png</filename><size>'))
    tree.add(PLAIN.replace('<size>', '<filename>001.png</filename><size>'))
    assert kinds(tree.open()) == [(0, 'file name')]


# Twelve class folders whose names are numbers: sorted as text, '10' comes before '2'.
FROM_1, FROM_0 = map(str, range(1, 13)), map(str, range(12))


@pytest.mark.parametrize('folders', [list(FROM_1), list(FROM_0),
                                     [f'{i:02d}' for i in range(1, 13)], ['10', '20', '30']])
def test_a_label_that_is_a_class_name_means_that_class(tmp_path, folders):
    """Numbers are names where class folders have them as names."""
    (tmp_path / 'list.txt').write_text(''.join(f'{name}/x.jpg {name}\n' for name in folders))
    dataset = load_imagenet(tmp_path, 'list.txt', class_names=sorted(folders))
    assert [dataset.class_names[label] for label in dataset.labels] == folders


@pytest.mark.parametrize('names, labels, expected', [
    (['1', '2', '3'], ['0', '1', '2'], "'1' has two meanings.*'1'.*number 1.*'2'"),
    (['01', '02', '03'], ['1', '2'], "'1' has two meanings.*'01'.*'02'"),
    (['1', '10', '2'], ['1', '4'], "found label '4'"),
    (['a', 'b'], ['a', '1'], "found label '1'"),
    (['01', '02', '03'], ['1', '3'], [0, 2]), (['00', '01', '02'], ['0', '2'], [0, 2]),
    (['10', '20', '30'], ['0', '2'], [0, 2]), (['a', 'b'], ['000', '1'], [0, 1])])
def test_numbers_that_may_be_names_or_places(tmp_path, names, labels, expected):
    """Two meanings are an error that names both; one that fits all labels is taken."""
    (tmp_path / 'list.txt').write_text(''.join(f'{name}.jpg {name}\n' for name in labels))
    if isinstance(expected, list):
        found = load_imagenet(tmp_path, 'list.txt', class_names=names)
        assert found.labels.tolist() == expected
    else:
        with pytest.raises(InputError, match=expected):
            load_imagenet(tmp_path, 'list.txt', class_names=names)


@pytest.mark.parametrize('text', [
    '\ufeffa/x.jpg b\r\n\r\n', 'a/x.jpg\tb', 'a/x.jpg,b', '"a/x.jpg";"b"', 'a\\x.jpg b\n'])
def test_variants_of_a_list_of_images(tmp_path, text):
    """Marks, tabs, commas, quotes and backslashes give the same path and label."""
    (tmp_path / 'list.txt').write_text(text, encoding='utf-8')
    dataset = load_imagenet(tmp_path, 'list.txt', class_names=['a', 'b'])
    assert dataset.example_names() == ['a/x.jpg'] and dataset.labels.tolist() == [1]


def test_what_systems_leave_is_no_class_and_no_image(tmp_path):
    """Their folders and files are passed over; empty classes and odd files are told."""
    for name in ('cat/a.jpg', 'cat/._a.jpg', 'cat/Thumbs.db', 'cat/b.heic', 'empty/.DS_Store',
                 '__MACOSX/cat/._a.jpg', '@eaDir/x.jpg', '.git/y.jpg', 'old/z.jpg'):
        (tmp_path / 'train' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'train' / name).write_bytes(jpeg())
    dataset = load_imagenet(tmp_path, 'train', ignore_classes=['old'])
    assert dataset.class_names == ('cat', 'empty')
    assert dataset.example_names() == ['train/cat/a.jpg']
    assert ['b.heic' in note or 'empty' in note for note in dataset.notes] == [True, True]


def test_a_file_name_in_another_encoding_is_named(tmp_path):
    """The error shows the bytes."""
    (tmp_path / 'train/a').mkdir(parents=True)
    with open(os.fsencode(tmp_path / 'train/a') + b'/caf\xe9.jpg', 'wb'):
        pass
    with pytest.raises(InputError, match=r'train/a: found the file name .*xe9.*not UTF-8'):
        load_imagenet(tmp_path, 'train')


def test_only_a_folder_or_a_packed_set_is_data(tmp_path):
    """Text, empty files, devices and pipes are no data root."""
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'empty').touch()
    (tmp_path / 'text').write_text('no data ' * 10)
    for name in ('pipe', 'empty', 'text', 'missing', '/dev/null'):
        assert not is_data_there(tmp_path / name)
    (tmp_path / 'a').write_bytes(b'1')
    pack_files(open_file_tree(tmp_path), ['a'], tmp_path / 'packed', progress=lambda n: None)
    assert is_data_there(tmp_path) and is_data_there(tmp_path / 'packed')
