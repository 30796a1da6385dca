import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from yolo_dist.datasets import VOC_CLASS_NAMES, VOCDetectionDataset
from yolo_dist.errors import InputError

BOX = {'xmin': 11, 'ymin': 6, 'xmax': 31, 'ymax': 21}
NAMES = ('cat', 'dog')


def object_xml(name='cat', difficult='<difficult>0</difficult>', **changes):
    corners = ''.join(f'<{k}>{v}</{k}>' for k, v in {**BOX, **changes}.items() if v is not None)
    return f'<object><name>{name}</name>{difficult}<bndbox>{corners}</bndbox></object>'


def annotation_xml(*objects, size=(40, 50)):
    stated = '' if size is None else (
        f'<size><width>{size[1]}</width><height>{size[0]}</height></size>')
    return f'<annotation>{stated}{"".join(objects)}</annotation>'


class Tree:
    """A VOC tree of white images, 40 px high and 50 px wide."""

    def __init__(self, root):
        self.root = root
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (root / 'VOC2007' / folder).mkdir(parents=True)

    def add(self, xml, id_='000001', split='trainval', image=True):
        folder = self.root / 'VOC2007'
        (folder / 'Annotations' / f'{id_}.xml').write_bytes(
            xml if isinstance(xml, bytes) else xml.encode())
        if image:
            cv2.imwrite(str(folder / 'JPEGImages' / f'{id_}.jpg'),
                        np.full((40, 50, 3), 255, np.uint8))
        with open(folder / 'ImageSets' / 'Main' / f'{split}.txt', 'a') as file:
            file.write(f'{id_}\n')

    def open(self, *splits):
        return VOCDetectionDataset(self.root, splits or ('VOC2007/trainval',), NAMES)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def assert_refused(tree, *expected):
    """Both the early check and the reading of the example name the file and the fault."""
    dataset = tree.open()
    for attempt in (dataset.check, lambda: dataset[0]):
        with pytest.raises(InputError) as error:
            attempt()
        for text in ('000001', *expected):
            assert text in str(error.value)
        assert len(str(error.value).splitlines()) == 1


def test_example_has_the_types_of_the_package(tree):
    """Boxes are yxyx float32 with 1 taken off all four numbers, as ChainerCV does."""
    tree.add(annotation_xml(object_xml(), object_xml('dog', '<difficult>1</difficult>')))
    dataset = tree.open()
    dataset.check()
    img, bbox, label, difficult = dataset[0]
    assert img.shape == (3, 40, 50) and img.dtype == np.uint8
    np.testing.assert_array_equal(bbox, [[5, 10, 20, 30]] * 2)
    np.testing.assert_array_equal(label, [0, 1])
    np.testing.assert_array_equal(difficult, [False, True])
    assert (bbox.dtype, label.dtype, difficult.dtype) == (np.float32, np.int32, bool)
    assert dataset.class_names == NAMES
    assert pickle.loads(pickle.dumps(dataset))[0][1].shape == (2, 4)


def test_same_boxes_as_chainercv(tree):
    """ChainerCV's reader gives the same arrays for a plain annotation."""
    from chainercv.datasets.voc import voc_bbox_dataset
    tree.add(annotation_xml(object_xml('person'), object_xml('tvmonitor', xmin=1, xmax=50)))
    ours = VOCDetectionDataset(tree.root, ['VOC2007/trainval'])[0]
    theirs = voc_bbox_dataset.VOCBboxDataset(
        str(tree.root / 'VOC2007'), 'trainval', '2007', use_difficult=True,
        return_difficult=True)[0]
    for a, b in zip(ours, theirs):
        np.testing.assert_array_equal(a, b)
        assert a.shape == b.shape
    assert len(VOC_CLASS_NAMES) == 20 and VOC_CLASS_NAMES[14] == 'person'


def test_image_without_objects(tree):
    """No object gives empty arrays of the right shapes and types."""
    tree.add(annotation_xml())
    _, bbox, label, difficult = tree.open()[0]
    assert bbox.shape == (0, 4) and label.shape == difficult.shape == (0,)
    assert (bbox.dtype, label.dtype, difficult.dtype) == (np.float32, np.int32, bool)


def test_union_of_splits_keeps_their_order(tree):
    """The union has every image of every split, first split first."""
    tree.add(annotation_xml(object_xml()), 'b', 'trainval')
    tree.add(annotation_xml(object_xml()), 'a', 'test')
    dataset = tree.open('VOC2007/trainval', 'VOC2007/test')
    assert [dataset.image_path(i)[-5:] for i in range(2)] == ['b.jpg', 'a.jpg']


@pytest.mark.parametrize('difficult', ['', '<difficult/>', '<difficult> </difficult>',
                                       '<difficult>0</difficult>'])
def test_absent_or_empty_difficult_means_no(tree, difficult):
    """Tools that leave <difficult> out or empty mean 0."""
    tree.add(annotation_xml(object_xml(difficult=difficult)))
    tree.open().check()
    assert not tree.open()[0][3].any()


def test_float_coordinates_are_taken_as_they_are(tree):
    """Fractions of a pixel are kept."""
    tree.add(annotation_xml(object_xml(xmin='11.25', ymax=' 20.5 ')))
    tree.open().check()
    np.testing.assert_array_equal(tree.open()[0][1], [[5, 10.25, 19.5, 30]])


def test_box_that_sticks_out_a_little_is_cut(tree):
    """Zero-based tools write 0 and the full width: at most 2 px or 2 % over the edge are cut."""
    tree.add(annotation_xml(object_xml(xmin=0, ymin=-1, xmax=52, ymax=43)))
    tree.open().check()
    np.testing.assert_array_equal(tree.open()[0][1], [[0, 0, 40, 50]])


@pytest.mark.parametrize('changes', [
    {'xmax': 60}, {'ymax': 44}, {'xmin': -5}, {'xmin': 500, 'xmax': 600},
    {'ymin': 41, 'ymax': 42}])
def test_box_outside_the_image(tree, changes):
    """A box that is of another image is an error with its numbers and the image's size."""
    tree.add(annotation_xml(object_xml(), object_xml(**changes)))
    assert_refused(tree, 'object 2', 'outside the image', '50 px wide and 40 px high')


@pytest.mark.parametrize('changes, expected', [
    ({'xmax': 11}, 'no area'), ({'ymin': 30}, 'no area'), ({'xmin': 'left'}, 'four numbers'),
    ({'xmin': 'nan'}, 'four numbers'), ({'ymax': 'inf'}, 'four numbers'),
    ({'ymax': ''}, 'four numbers'), ({'ymax': None}, 'four numbers'),
    ({'name': 'Cat'}, "'Cat'"), ({'name': ''}, 'expected one of cat, dog'),
    ({'name': 'raccoon'}, 'data.class_names'),
    ({'difficult': '<difficult>maybe</difficult>'}, 'expected 0 or 1')])
def test_bad_objects(tree, changes, expected):
    """Boxes without area, numbers that are none, unknown classes: errors that count the object."""
    tree.add(annotation_xml(object_xml(), object_xml(**changes)))
    assert_refused(tree, 'object 2', expected)


LAUGHS = ('<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
          '<annotation><object><name>&b;</name></object></annotation>')
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation>&a;</annotation>'


@pytest.mark.parametrize('xml, expected', [
    (annotation_xml(object_xml())[:-20], 'not well-formed'), ('', 'not well-formed'),
    (b'\x00\xff\x80', 'not well-formed'), (b'<a>\xff\xfe</a>', 'not well-formed'),
    ('<?xml version="1.0" encoding="klingon"?><annotation/>', 'not well-formed'),
    (LAUGHS, 'entities'), (OUTSIDE, 'entities')])
def test_bad_xml(tree, xml, expected):
    """Malformed files and entity tricks are errors that name the file."""
    tree.add(xml)
    assert_refused(tree, expected)


def test_class_name_may_have_blanks_around_it(tree):
    """Line breaks around a name are layout, not part of it."""
    tree.add(annotation_xml(object_xml('\n  dog\n')))
    assert tree.open()[0][2] == [1]


def test_missing_image_and_missing_annotation(tree):
    """The check gathers the problems of all images, up to five, in one error."""
    for i in range(8):
        tree.add(annotation_xml(object_xml()), f'{i:06d}', image=False)
    with pytest.raises(InputError, match=r'(?s)000000.jpg.*000004.jpg.*3 more'):
        tree.open().check()
    with pytest.raises(InputError, match='000006.jpg'):
        tree.open()[6]
    (tree.root / 'VOC2007/Annotations/000002.xml').unlink()
    with pytest.raises(InputError, match='000002.xml'):
        tree.open()[2]


def test_missing_and_empty_split(tree):
    """A split that is not there names those that are; an empty one is an error too."""
    tree.add(annotation_xml())
    with pytest.raises(InputError, match='VOC2007/val.*trainval'):
        tree.open('VOC2007/val')
    (tree.root / 'VOC2007/ImageSets/Main/val.txt').write_text('\n \n')
    with pytest.raises(InputError, match='val.txt.*empty'):
        tree.open('VOC2007/val')
    with pytest.raises(InputError, match='no split'):
        VOCDetectionDataset(tree.root, [])


def test_other_image_endings(tree):
    """A set of PNG files needs no renaming."""
    tree.add(annotation_xml(object_xml()))
    images = tree.root / 'VOC2007' / 'JPEGImages'
    Image.open(images / '000001.jpg').save(images / '000001.png')
    (images / '000001.jpg').unlink()
    tree.open().check()
    assert tree.open()[0][0].shape == (3, 40, 50)


@pytest.mark.parametrize('stated, expected_hw', [
    ((50, 40), (50, 40)), ((40, 50), (40, 50)), (None, (50, 40)), ((0, 0), (50, 40))])
def test_boxes_belong_to_the_orientation_that_the_annotation_states(tree, stated, expected_hw):
    """A turned picture comes as shown, unless the annotation has the size of the stored pixels."""
    tree.add(annotation_xml(object_xml(), size=stated))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tree.root / 'VOC2007/JPEGImages/000001.jpg'
    Image.open(path).save(path, exif=exif)
    tree.open().check()
    img, bbox, _, _ = tree.open()[0]
    assert img.shape[1:] == expected_hw
    np.testing.assert_array_equal(bbox, [[5, 10, 20, 30]])


def test_exchanged_or_unknown_size_does_not_refuse_a_box_that_fits(tree):
    """The image itself decides: an annotation whose <size> is exchanged or zero is usable."""
    for id_, size in (('a', (50, 40)), ('b', (0, 0)), ('d', None)):
        tree.add(annotation_xml(object_xml(xmax=48), size=size), id_)
    dataset = tree.open()
    dataset.check()
    assert len(dataset) == 3
    for img, bbox, _, _ in map(dataset.__getitem__, range(3)):
        assert img.shape == (3, 40, 50)
        np.testing.assert_array_equal(bbox, [[5, 10, 20, 47]])
