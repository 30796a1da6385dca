"""Pictures on a contact sheet."""
import numpy as np
import pytest

from yolo_dist.datasets import read_image
from yolo_dist.drawing import draw_contact_sheet


@pytest.mark.parametrize('size, factor, n', [(96, 2, 2), (224, 1, 7), (64, 3, 1)])
def test_each_pixel_is_shown(tmp_path, size, factor, n):
    """Pictures are those of the examples, small ones enlarged by a whole factor."""
    imgs = np.random.default_rng(0).integers(0, 256, (n, 3, size, size), np.uint8)
    draw_contact_sheet([(img, np.zeros((0, 4)), [0]) for img in imgs], ['a'] * n, ['$_x'],
                       tmp_path / 'sheet.png')
    sheet = read_image(tmp_path / 'sheet.png')
    for number, img in enumerate(imgs):
        row, column = divmod(number, 6)
        top, left = 6 + row * (size * factor + 28), 6 + column * (size * factor + 6)
        np.testing.assert_array_equal(
            sheet[:, top:top + size * factor, left:left + size * factor],
            img.repeat(factor, axis=1).repeat(factor, axis=2))


def test_boxes_lie_where_they_are_in_the_picture(tmp_path):
    """Within the width of a line, in pictures that are enlarged, too."""
    black = np.zeros((3, 96, 96), np.uint8)
    draw_contact_sheet([(black, np.array([[20., 15., 60., 75.]]), [0])] * 2, ['a', 'b'],
                       ['one'], tmp_path / 'sheet.png')
    sheet = read_image(tmp_path / 'sheet.png').max(axis=0)
    for left in (6, 6 + 192 + 6):
        tile = sheet[6:6 + 192, left:left + 192]
        rows, columns = np.nonzero(tile)
        np.testing.assert_allclose(
            [rows.min(), columns.min(), rows.max(), columns.max()], [40, 30, 120, 150], atol=2)
        assert not tile[80:110, 60:120].any()
