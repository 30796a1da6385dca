"""Figures and sheets of photographs: what stands in them, and where."""
import io

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from yolo_dist.drawing import (
    Box,
    Picture,
    add_legend,
    create_figure,
    draw_ap_by_class,
    draw_confusion,
    draw_precision_recall,
    draw_sheet,
    learning_curves,
    save_figure,
    tolerate_failure,
    write_figure,
)
from yolo_dist.evaluators import detection_details

NAMES = ['a$b$', '$x', '_hidden', r'c\d', '$e^{$', 'Привет', '名前', r'\$']


def details(names):
    """Of one object of each class, every second one found."""
    results = []
    for i in range(len(names)):
        bbox, label = np.array([[0, 0, 30, 30]], 'f'), np.array([i])
        kept = slice(i % 2, 1)
        results.append((bbox[kept], label[kept], np.array([0.5], 'f')[kept], bbox, label,
                        np.array([False])))
    return detection_details(results, names)


def sheet(names):
    img = np.full((3, 60, 80), 128, np.uint8)
    return draw_sheet([Picture(img, name, [[Box((5, 5, 50, 50), name, 'found')]])
                       for name in names], names[0])


LOG = [{'epoch_detail': i, 'train/loss': 1 / i, 'val/map_percent': 1.0} for i in (1, 2)]


@pytest.mark.parametrize('draw', [
    lambda names: learning_curves({name: LOG for name in names}),
    lambda names: draw_ap_by_class(details(names)),
    lambda names: draw_precision_recall(details(names)),
    lambda names: draw_confusion(details(names)['confusion'], [*names, 'background']),
    sheet], ids=['curves', 'ap', 'precision_recall', 'confusion', 'sheet'])
def test_names_are_drawn_as_they_are(draw, tmp_path):
    """Formulas, commands, hidden labels and other scripts: letter by letter in the file."""
    with matplotlib.rc_context({'svg.fonttype': 'none'}):
        save_figure(draw(NAMES), tmp_path, 'figure')
    text = (tmp_path / 'figure.svg').read_text(encoding='utf-8')
    for name in NAMES:
        assert f'>{name}' in text, name
    assert {path.name for path in tmp_path.iterdir()} == {'figure.png', 'figure.svg'}


def test_a_logarithmic_axis_keeps_its_powers(tmp_path):
    """What is not a name is still set as a formula."""
    figure, [axes] = create_figure(3, 2)
    axes.plot([1, 2], [1, 1e4])
    axes.set_yscale('log')
    add_legend(figure, axes.lines, ['$name'])
    with matplotlib.rc_context({'svg.fonttype': 'none'}):
        save_figure(figure, tmp_path, 'figure')
    text = (tmp_path / 'figure.svg').read_text()
    assert r'>$\mathdefault' not in text and '>$name' in text


def test_a_failed_picture_is_one_line(capsys):
    """What goes wrong inside is said and does not go on; an interruption does."""
    with tolerate_failure('curves.png'):
        raise ValueError('two\nlines')
    assert capsys.readouterr().err == (
        'warning: curves.png was not written (ValueError: two lines)\n')
    with pytest.raises(KeyboardInterrupt), tolerate_failure('curves.png'):
        raise KeyboardInterrupt


@pytest.mark.parametrize('first, scale', [(100., 'log'), (2., 'linear'), (0., 'linear')])
def test_a_first_value_that_dwarfs_the_rest_makes_the_axis_logarithmic(first, scale):
    """Unless a value is zero."""
    log = [{'epoch_detail': i, 'train/loss': first if i == 0 else 1.0} for i in range(5)]
    assert learning_curves({'run': log}).axes[0].get_yscale() == scale


def test_loss_terms_are_drawn_of_a_single_run():
    """Of several runs the sums alone."""
    log = [{'epoch_detail': i, 'train/loss': 3.0, 'train/loss_xy': 1.0, 'train/loss_wh': 2.0}
           for i in range(3)]
    one = learning_curves({'run': log})
    assert [text.get_text() for text in one.legends[0].get_texts()] == [
        'run', 'loss wh', 'loss xy']
    assert len(one.axes[0].lines) == 3
    assert len(learning_curves({'a': log, 'b': log}).axes[0].lines) == 2


@pytest.mark.parametrize('n_pictures', [1, 2, 5, 12])
def test_pictures_fill_the_width_of_a_sheet(n_pictures):
    """Each row ends at the same right edge, in whatever shapes; nothing is distorted."""
    rng = np.random.default_rng(n_pictures)
    shapes = rng.integers(30, 120, (n_pictures, 2))
    figure = draw_sheet([Picture(np.zeros((3, *shape), np.uint8), 'name') for shape in shapes],
                        'title')
    size = figure.get_size_inches()
    rows = {}
    for axes, (height, width) in zip(figure.axes, shapes):
        box = axes.get_position()
        rows.setdefault(round(box.y1, 6), []).append(box)
        assert box.width * size[0] / (box.height * size[1]) == pytest.approx(
            width / height, rel=1e-6)
    rights = [max(box.x1 for box in row) for row in rows.values()]
    assert max(rights) - min(rights) < 1e-6
    for row in rows.values():
        gaps = np.diff(sorted([box.x0 for box in row] + [box.x1 for box in row]))[1::2]
        assert (gaps * size[0] < 0.1).all() and min(box.x0 for box in row) < 1e-9


@pytest.mark.parametrize('size', [(700, 1), (1, 2000), (4000, 30), (1, 1)])
def test_a_strip_has_room_for_its_labels(size, tmp_path):
    """It is padded, and the box stays where it was found."""
    box = Box((0, 0, *size), 'cat 0.99', 'found')
    figure = draw_sheet([Picture(np.zeros((3, *size), np.uint8), 'name', [[box]])], 'title')
    save_figure(figure, tmp_path, 'sheet')
    axes, = figure.axes
    width, height = axes.get_position().size * figure.get_size_inches()
    assert 0.2 < width / height < 5
    assert axes.patches[-1].get_bbox().get_points().tolist() == [[0, 0], [size[1], size[0]]]


def test_labels_of_crowded_boxes_do_not_cover_each_other():
    """Ten boxes on top of each other and ten side by side, all labels inside the picture."""
    boxes = [Box((40 + i, 40 + i, 200, 200), 'label 0.99', 'found') for i in range(6)]
    boxes += [Box((250, 40 * i, 290, 40 * i + 30), 'label 0.5', 'false') for i in range(10)]
    figure = draw_sheet([Picture(np.zeros((3, 300, 400), np.uint8), 'name', [boxes])], 'title')
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    axes, = figure.axes
    extents = [text.get_bbox_patch().get_window_extent(renderer) for text in axes.texts]
    assert len(extents) == 16
    for i, one in enumerate(extents):
        for other in extents[:i]:
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert min(width, height) < 3, (i, width, height)
        assert one.x0 > axes.bbox.x0 - 3 and one.x1 < axes.bbox.x1 + 3


@pytest.mark.parametrize('n_class', [2, 80])
def test_figures_of_few_and_of_many_classes(n_class, tmp_path):
    """Every class has its bar, its panel, its row."""
    names = [f'class {i}' for i in range(n_class)]
    found = details(names)
    assert len(draw_precision_recall(found).axes) == n_class
    assert len(draw_ap_by_class(found).axes[0].patches) == n_class
    matrix = draw_confusion(found['confusion'], [*names, 'background']).axes[0]
    assert len(matrix.get_yticklabels()) == n_class + 1


def test_titles_of_narrow_figures_are_not_cut():
    """One class makes the smallest figures; their titles stay inside."""
    curve = {'precision': [1.] * 101, 'ap_area_percent': 47., 'n_found': 2, 'n_false': 1,
             'n_objects': 4}
    note = 'last row: false detections, last column: objects that none of the detections found'
    for figure in (draw_precision_recall({'classes': {'cat': curve}, 'score_thresh': 0.13}),
                   draw_confusion([[2, 3], [1, 0]], ['cat', '(none)'], note=note)):
        write_figure(figure, io.BytesIO())
        width = 110 * figure.get_size_inches()[0]  # as the file was drawn
        titles = [text for text in figure.findobj(Text) if len(text.get_text()) > 20]
        assert titles
        for title in titles:
            box = title.get_window_extent()
            assert 0 <= box.x0 and box.x1 <= width, title.get_text()
