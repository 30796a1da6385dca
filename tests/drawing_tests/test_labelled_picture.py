import numpy as np
import pytest

from yolo_dist.drawing import draw_boxes, draw_lines, drawable_name, fonts, labelled_picture


@pytest.fixture
def written(monkeypatch):
    """What is written: ``(text, (left, top, right, bottom), (width, height) of the picture)``."""
    written, write = [], labelled_picture._Canvas.write

    def spy(canvas, text, left, top, color):
        shown, _, width, _ = canvas._fit(text)
        height = write(canvas, text, left, top, color)
        written.append((shown, (left, top, left + width, top + height),
                        (canvas.width, canvas.height)))
        return height
    monkeypatch.setattr(labelled_picture._Canvas, 'write', spy)
    return written


def random_boxes(n, height, width):
    rng = np.random.default_rng(0)
    size = rng.uniform(0.05, 0.4, (n, 2))
    corner = rng.uniform(0, 1 - size)
    return np.hstack((corner, corner + size)) * [height, width, height, width]


def test_boxes_lie_where_they_were_found():
    """The outline has the colour of its class; the picture keeps its size and other pixels."""
    img = np.full((3, 400, 600), 77, np.uint8)
    drawn = draw_boxes(img, [[100, 50, 300, 500]], [4], [0.9], list('abcdef'))
    assert drawn.shape == img.shape
    color = labelled_picture.class_color(4)
    for y, x in ((299, 200), (200, 50), (200, 499), (101, 300)):
        assert tuple(drawn[:, y, x]) == color
    assert (drawn[:, 120:280, 70:480] == 77).all() and (drawn[:, 310:] == 77).all()


@pytest.mark.parametrize('size, factor', [
    ((64, 48), 8), ((480, 300), 1), ((4000, 6000), 1), ((1, 2000), 8), ((10, 700), 10)])
def test_small_pictures_are_enlarged(size, factor):
    """By whole factors, so that a label fits; larger ones stay as they are."""
    drawn = draw_boxes(np.zeros((3, *size), np.uint8), np.zeros((0, 4)), [], [], ['a'])
    assert drawn.shape == (3, size[0] * factor, size[1] * factor)


@pytest.mark.parametrize('size', [(12000, 90), (120, 20000)])
def test_a_label_fits_a_strip(size, written):
    """A label grows with the picture, but not beyond the shorter side."""
    draw_boxes(np.zeros((3, *size), np.uint8), [[30, 30, 80, 80]], [0], [0.5], ['person'])
    (text, corners, _), = written
    assert text == 'person 0.50' and corners[3] - corners[1] < 0.25 * min(size)


@pytest.mark.parametrize('n_boxes, size', [(6, (375, 500)), (80, (600, 800)), (30, (64, 64))])
def test_no_label_hides_another(n_boxes, size, written):
    """Nor does one leave the picture. In crowds most labels still find a place."""
    names = [f'class number {i}' for i in range(80)]
    draw_boxes(np.zeros((3, *size), np.uint8), random_boxes(n_boxes, *size),
               np.arange(n_boxes), np.linspace(1, 0.5, n_boxes), names)
    assert len(written) >= 0.75 * n_boxes
    _, corners, sizes = map(np.array, zip(*written))
    assert (corners[:, :2] >= 0).all() and (corners[:, 2:] <= sizes).all()
    shared = np.clip(np.minimum(corners[:, None, 2:], corners[:, 2:])
                     - np.maximum(corners[:, None, :2], corners[:, :2]), 0, None).prod(axis=2)
    np.fill_diagonal(shared, 0)
    area = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    assert (shared.sum(axis=1) <= 0.05 * area).all()


def test_the_best_keeps_its_label(written):
    """Of boxes at one place the label of the best is drawn, last."""
    draw_boxes(np.zeros((3, 480, 640), np.uint8), [[200, 200, 210, 210]] * 50, [0] * 50,
               np.linspace(0.5, 0.99, 50), ['cat'])
    assert written[-1][0] == 'cat 0.99' and len(written) < 20


def test_a_long_name_is_cut_before_its_score(written):
    """The label is no wider than the picture."""
    draw_boxes(np.zeros((3, 100, 100), np.uint8), [[10, 10, 90, 90]], [0], [0.5], ['name' * 40])
    (text, corners, size), = written
    assert text.startswith('namename') and text.endswith('… 0.50')
    assert corners[2] <= size[0]


def test_a_probability_is_never_cut(written):
    """Not even its first digit, which would show another one."""
    for value in ('4.5 %', '24.5 %', '100.0 %'):
        draw_lines(np.zeros((3, 12000, 96), np.uint8), [f'some long name {value}'])
        assert written[-1][0].endswith(f'… {value}') and written[-1][0].startswith('s')


def test_names_are_drawn_in_a_font_that_has_them(monkeypatch):
    """Greek is no box of a missing letter; where no font has a name, its number stands."""
    monkeypatch.setattr(fonts, '_system_fonts', lambda: [])
    fonts._find_file.cache_clear()
    assert drawable_name(['γάτα', '\U00012000', 'a\nb', '\x01'], 0) == 'γάτα'
    assert drawable_name(['γάτα', '\U00012000', 'a\nb', '\x01'], 1) == 'class 1'
    assert drawable_name(['γάτα', '\U00012000', 'a\nb', '\x01'], 2) == 'a b'
    assert drawable_name(['γάτα', '\U00012000', 'a\nb', '\x01'], 3) == 'class 3'
    font = fonts.find_font('γάτα', 20)
    missing = bytes(font.getmask('\U00012000'))
    assert all(bytes(font.getmask(letter)) != missing for letter in 'γάτα')


def test_neighbouring_classes_differ():
    """Also of 80 classes; none is as dark as the edge of a box."""
    colors = np.array([labelled_picture.class_color(i) for i in range(80)], int)
    assert (np.abs(np.diff(colors, axis=0)).sum(axis=1) > 150).all()
    assert len(np.unique(colors, axis=0)) == 80 and (colors.max(axis=1) > 150).all()


def test_lines_over_a_picture(written):
    """One below the other from the upper left corner."""
    draw_lines(np.zeros((3, 480, 640), np.uint8), ['two 66.5 %', 'three 24.5 %'])
    (_, first, _), (_, second, _) = written
    assert first[:2] == (0, 0) and second[:2] == (0, first[3])
