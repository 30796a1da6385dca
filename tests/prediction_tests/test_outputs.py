import cv2
import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.prediction import Outputs


def test_files_of_voc(tmp_path):
    """Pixels are counted from 1 and end at the picture's size; every class has a file."""
    found = {'label': 1, 'score': 0.75, 'bbox': dict(y_min=9., x_min=0., y_max=40., x_max=20.5)}
    records = [{'image_id': '000001', 'width': 60, 'height': 40, 'objects': [found]}]
    Outputs(tmp_path / 'out', None).write_voc(records, ['cat', 'a/b'])
    written = {path.name: path.read_text() for path in (tmp_path / 'out').iterdir()}
    assert written == {'comp4_det_test_cat.txt': '',
                       'comp4_det_test_a%2Fb.txt': '000001 0.750000 1.00 10.00 21.50 40.00\n'}


def test_classes_of_one_name_share_a_file(tmp_path):
    """The boxes of neither are lost."""
    bbox = dict(y_min=0., x_min=0., y_max=9., x_max=9.)
    objects = [{'label': label, 'score': 0.5, 'bbox': bbox} for label in (0, 1)]
    records = [{'image_id': 'a', 'width': 10, 'height': 10, 'objects': objects}]
    Outputs(tmp_path / 'out', None).write_voc(records, ['cat', 'cat'])
    assert (tmp_path / 'out/comp4_det_test_cat.txt').read_text().count('\n') == 2


@pytest.mark.parametrize('name, expected', [
    ('a.PNG', 'a.PNG'), ('a/b.jpg', 'a/b.jpg'), ('a.tif', 'a.tif.png'),
    ('clip.avi/000003', 'clip.avi/000003.jpg')])
def test_pictures_keep_their_names(name, expected, tmp_path, photo):
    """Names with endings that are no JPEG or PNG get another one; pixels are RGB."""
    Outputs(tmp_path / 'out', None).write_picture(name, photo)
    read = cv2.imread(str(tmp_path / 'out' / expected), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_allclose(read[10, 10], photo[:, 10, 10], atol=6)
    assert len(list((tmp_path / 'out').iterdir())) == 1


def test_nothing_is_overwritten(tmp_path):
    """A folder that holds anything is refused: it may be that of the pictures."""
    (tmp_path / 'mine.jpg').touch()
    with pytest.raises(InputError, match='is not empty'):
        Outputs(tmp_path, None)


@pytest.mark.parametrize('out, json_file', [('file/out', None), (None, 'absent/x.json')])
def test_places_that_cannot_be_written(out, json_file, tmp_path):
    """They are named before anything is computed."""
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot be written'):
        Outputs(out and tmp_path / out, json_file and tmp_path / json_file)
