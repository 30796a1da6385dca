"""Sets of other tools in VOC's layout: the same boxes, the same faults found."""
import json
import pathlib
import shutil

import numpy as np
import pytest
import yaml

from yolo_dist import import_data
from yolo_dist.datasets import VOCDetectionDataset, make_mini_voc
from yolo_dist.errors import InputError


@pytest.fixture(scope='module')
def voc(tmp_path_factory):
    """12 images; the first shows no object, one of the second is difficult and has a fraction."""
    root = tmp_path_factory.mktemp('imported') / 'voc'
    make_mini_voc(root, n_trainval=12, n_test=2)
    annotations = root / 'VOC2007/Annotations'
    first = annotations / '000001.xml'
    first.write_text(first.read_text().split('<object>')[0] + '</annotation>')
    second = annotations / '000002.xml'
    second.write_text(second.read_text().replace('</xmin>', '.25</xmin>', 1).replace(
        '<difficult>0', '<difficult>1', 1))
    return VOCDetectionDataset(root, ['VOC2007/trainval'], [
        'zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'])


def names_of(dataset):
    return [pathlib.Path(dataset.image_path(i)).name for i in range(len(dataset))]


def write_coco(dataset, folder):
    """As COCO has it: the corner from 0, widths and heights; ids in no order."""
    images, annotations = [], []
    for i, name in enumerate(names_of(dataset)):
        img, bbox, label, difficult = dataset[i]
        images.append({'id': 100 - i, 'file_name': name, 'height': img.shape[1],
                       'width': img.shape[2]})
        for (y_min, x_min, y_max, x_max), one, is_crowd in zip(bbox.tolist(), label, difficult):
            annotations.append({
                'id': len(annotations) + 7, 'image_id': 100 - i, 'category_id': int(one) + 1,
                'bbox': [x_min, y_min, x_max - x_min, y_max - y_min], 'iscrowd': int(is_crowd)})
    categories = [{'id': i + 1, 'name': name} for i, name in enumerate(dataset.class_names)]
    content = {'images': images, 'annotations': annotations, 'categories': categories[::-1]}
    path = folder / 'instances.json'
    path.write_text(json.dumps(content))
    return path, content


def write_yolo(dataset, folder):
    """As Darknet's voc_label.py has it: centres and sizes as shares, six digits."""
    labels = folder / 'labels'
    labels.mkdir()
    for i, name in enumerate(names_of(dataset)):
        img, bbox, label, _ = dataset[i]
        height, width = img.shape[1:]
        (labels / name).with_suffix('.txt').write_text(''.join(
            f'{one} {(x_min + x_max) / 2 / width:.6f} {(y_min + y_max) / 2 / height:.6f} '
            f'{(x_max - x_min) / width:.6f} {(y_max - y_min) / height:.6f}\n'
            for (y_min, x_min, y_max, x_max), one in zip(bbox.tolist(), label)))
    names = folder / 'my.names'
    names.write_text('\n'.join(dataset.class_names) + '\n\n')
    return labels, names


def pictures(dataset):
    return pathlib.Path(dataset.image_path(0)).parent


def copy_pictures(dataset, folder):
    """Those of the set alone, to be changed."""
    images = folder / 'images'
    images.mkdir()
    for i in range(len(dataset)):
        shutil.copy(dataset.image_path(i), images)
    return images


@pytest.mark.parametrize('kind', ['coco', 'yolo'])
def test_boxes_come_back_as_they_were(voc, tmp_path, kind, capsys):
    """VOC to the other layout and back: the same boxes to 1e-5 px; crowds are difficult."""
    images = copy_pictures(voc, tmp_path)
    if kind == 'coco':
        source, options = write_coco(voc, tmp_path)[0], []
    else:
        source, names = write_yolo(voc, tmp_path)
        options = ['--names', str(names)]
        (source / 'classes.txt').write_text('what LabelImg leaves')
    import_data.main([str(source), str(images), str(tmp_path / 'sets/mine'), *options])
    head, _, for_experiment = capsys.readouterr().out.partition('\n')
    assert 'wrote 12 images, 1 of them without objects' in head
    assert yaml.safe_load(for_experiment) == {
        'data': {'root': str(tmp_path / 'sets'), 'train': ['mine/all'],
                 'class_names': list(voc.class_names)}, 'model': {'n_class': 10}}
    back = VOCDetectionDataset(tmp_path / 'sets', ['mine/all'], voc.class_names)
    back.check()
    assert names_of(back) == names_of(voc)
    for example, expected in zip(back, voc, strict=True):
        np.testing.assert_array_equal(example[0], expected[0])
        np.testing.assert_allclose(example[1], expected[1], atol=1e-5)
        np.testing.assert_array_equal(example[2], expected[2])
        if kind == 'coco':
            np.testing.assert_array_equal(example[3], expected[3])
        else:
            assert not example[3].any()
    assert pathlib.Path(back.image_path(0)).samefile(images / names_of(voc)[0])


def test_names_in_folders_and_with_blanks(voc, tmp_path):
    """Folders stay; a blank, which would end a name in a list, does not. YAML names are read."""
    images = tmp_path / 'images/a'
    images.mkdir(parents=True)
    shutil.copy(voc.image_path(0), images / 'my picture (1).JPEG')
    labels = tmp_path / 'labels/a'
    labels.mkdir(parents=True)
    (labels / 'my picture (1).TXT').write_bytes(b'\xef\xbb\xbf1 0.5 0.5 0.5 0.5\r\n')
    names = tmp_path / 'data.yaml'
    names.write_text('names: {0: cat, 1: dog}')
    import_data.main([str(labels.parent), str(images.parent), str(tmp_path / 'sets/mine'),
                      '--names', str(names)])
    dataset = VOCDetectionDataset(tmp_path / 'sets', ['mine/all'], ['cat', 'dog'])
    img, bbox, label, _ = dataset[0]
    height, width = img.shape[1:]
    np.testing.assert_allclose(bbox, [[height / 4, width / 4, height * 3 / 4, width * 3 / 4]])
    assert label == 1 and len(dataset) == 1
    assert dataset.image_path(0).endswith('mine/JPEGImages/a/my_picture_(1).JPEG')


def refused(tmp_path, *arguments):
    """The error; nothing is left behind."""
    with pytest.raises(InputError) as caught:
        import_data.main([*map(str, arguments)])
    assert not list(tmp_path.glob('sets*/*'))
    return str(caught.value)


def changed(content, key, number, **values):
    content[key][number].update(values)


@pytest.mark.parametrize('change, messages', [
    (lambda c: c.pop('images'), ["instances.json: has no list 'images'"]),
    (lambda c: c.update(categories=[]), ["the list 'categories' is empty"]),
    (lambda c: changed(c, 'annotations', 0, image_id=5),
     ['annotation 7: found image_id 5, expected the id of one of its 12 images']),
    (lambda c: changed(c, 'annotations', 0, image_id=[5]), ['annotation 7: found image_id [5]']),
    (lambda c: changed(c, 'annotations', 0, category_id={}), ['annotation 7: found category_id']),
    (lambda c: changed(c, 'categories', 0, name=' '), ["class '': found as a name"]),
    (lambda c: changed(c, 'images', 0, file_name='a\0.jpg'),
     ['image 100: the image', 'null byte']),
    (lambda c: changed(c, 'annotations', 1, category_id=99),
     ['annotation 8: found category_id 99, expected the id of one of its 10 categories']),
    (lambda c: changed(c, 'annotations', 1, id=7),
     ['annotations, record 2: the id 7 stands twice']),
    (lambda c: changed(c, 'images', 0, file_name='gone.jpg'),
     ['image 100: the image ', 'gone.jpg cannot be read (No such file']),
    (lambda c: changed(c, 'images', 0, file_name='../x.jpg'), ['leads out of']),
    (lambda c: changed(c, 'images', 1, width=17), ['image 99: found height', 'and width 17']),
    (lambda c: changed(c, 'annotations', 0, bbox=[3, 3, 0, 5]),
     ['annotation 7: the box', 'has no area']),
    (lambda c: changed(c, 'annotations', 0, bbox=[3, 3, 500, 5]),
     ['annotation 7: the box', 'lies outside']),
    (lambda c: changed(c, 'annotations', 0, bbox=[3, 3, float('nan'), 5]),
     ['annotation 7: found bbox', 'expected [x, y, width, height]']),
    (lambda c: c['annotations'][0].pop('bbox'), ['annotations, record 1: has no bbox']),
    (lambda c: changed(c, 'categories', 0, name='one'), ["class 'one': found twice"]),
    (lambda c: changed(c, 'images', 1, file_name=c['images'][0]['file_name'], width=None),
     ['would have the same name']),
])
def test_faults_of_a_coco_file(voc, tmp_path, change, messages):
    """Each is named with its id or its place in the file."""
    path, content = write_coco(voc, tmp_path)
    change(content)
    path.write_text(json.dumps(content))
    text = refused(tmp_path, path, pictures(voc), tmp_path / 'sets/mine')
    for message in messages:
        assert message in text


def test_a_place_that_is_taken(tmp_path):
    """Nothing is read, and what lies there stays."""
    place = tmp_path / 'mine'
    place.mkdir()
    (place / 'thesis.txt').write_text('the only copy')
    with pytest.raises(InputError, match='mine: exists already'):
        import_data.main([str(tmp_path / 'gone.json'), str(tmp_path), str(place)])
    assert (place / 'thesis.txt').exists()


def test_what_is_not_json(voc, tmp_path):
    """The file is named, and what was expected."""
    path = tmp_path / 'instances.json'
    for text in ('{"images": [', 100_000 * '['):
        path.write_text(text)
        assert 'is not JSON' in refused(tmp_path, path, pictures(voc), tmp_path / 'sets/mine')


@pytest.mark.parametrize('line, message', [
    ('10 .5 .5 .1 .1', 'line 1: found class 10, expected 0 to 9, as there are 10 names'),
    ('1.5 .5 .5 .1 .1', 'line 1: found class 1.5'),
    ('1 .5 .5 .1', "line 1: found '1 .5 .5 .1', expected five numbers"),
    ('cat .5 .5 .1 .1', 'line 1: found'),
    ('1 70 50 20 10', 'as shares of the picture, 0 to 1'),
    ('1 .5 .5 0 .1', 'has no area'),
    ('\n1 .99 .5 .2 .1', 'line 2: the box'),
])
def test_faults_of_a_label_file(voc, tmp_path, line, message):
    """Each is named with its line."""
    labels, names = write_yolo(voc, tmp_path)
    (labels / '000003.txt').write_text(line)
    images = copy_pictures(voc, tmp_path)
    text = refused(tmp_path, labels, images, tmp_path / 'sets/mine', '--names', names)
    assert '000003.txt' in text and message in text


def test_faults_of_a_folder_of_labels(voc, tmp_path):
    """Labels without an image; a cut image; no images at all; names that are missing."""
    labels, names = write_yolo(voc, tmp_path)
    images = copy_pictures(voc, tmp_path)
    (images / '000004.jpg').unlink()
    cut = images / '000005.jpg'
    cut.write_bytes(cut.read_bytes()[:-50])
    place = tmp_path / 'sets/mine'
    text = refused(tmp_path, labels, images, place, '--names', names)
    assert '000004.txt: has no image in' in text
    assert '000005.jpg: the image file is truncated' in text
    assert 'found 0 images' in refused(tmp_path, labels, labels, place, '--names', names)
    assert 'needs --names' in refused(tmp_path, labels, images, place)
    assert 'cannot be read' in refused(tmp_path, labels, images, place, '--names', 'gone.names')
