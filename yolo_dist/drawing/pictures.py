"""Sheets of photographs, with boxes: rows of one height that fill the width."""

import unicodedata
from typing import NamedTuple

import numpy as np

from yolo_dist.drawing.figures import COLORS

_WIDTH = 11.0  # inches, as all lengths here
_ROW_HEIGHT = 2.3
_MAX_ROW_HEIGHT = 3.6
_GAP = 0.06
_CAPTION_HEIGHT = 0.36
_TITLE_HEIGHT = 0.26
_LEGEND_HEIGHT = 0.2
_PIXELS_AN_INCH = 150
_MAX_ASPECT = 4  # of a picture; a strip is padded
_POINTS = 1 / 72

# Told apart by colour and by the form of the line.
_STYLES = {
    'object': (COLORS[2], '-', 'object'),
    'found': (COLORS[0], '-', 'detection of an object'),
    'false': (COLORS[1], '-', 'false detection'),
    'missed': ('#F0E442', '--', 'missed object'),
    'ignored': ('0.75', ':', 'difficult, does not count'),
}


class Box(NamedTuple):
    """A box in a picture.

    Attributes:
        bb (sequence of float): ``(y_min, x_min, y_max, x_max)``, pixels.
        text (str): Its label.
        kind ({'object', 'found', 'false', 'missed', 'ignored'}): How it is drawn.
    """

    bb: tuple
    text: str
    kind: str


class Picture(NamedTuple):
    """One photograph of a sheet.

    Attributes:
        img (ndarray): uint8 CHW.
        caption (str): One line or two.
        views (sequence of list of Box): The photograph is drawn once for each entry, side by side.
        color (str): Of the caption.
    """

    img: np.ndarray
    caption: str
    views: tuple = ((),)
    color: str = 'black'


def spread_indices(n_examples, n_chosen=12):
    """Return indices of examples spread evenly over a data set.

    Args:
        n_examples (int): Size of the data set.
        n_chosen (int): How many to choose, at most.

    Returns:
        list of int: Increasing indices.
    """
    return np.linspace(0, n_examples - 1, min(n_chosen, n_examples)).astype(int).tolist()


def draw_sheet(pictures, title):
    """Draw photographs in rows that fill the width, each below its caption.

    Args:
        pictures (list of Picture): At least one.
        title (str): What stands above all of them.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    from matplotlib.figure import Figure

    pictures = [_padded(picture) for picture in pictures]
    aspects = [len(picture.views) * picture.img.shape[2] / picture.img.shape[1]
               for picture in pictures]
    rows = _rows(aspects, max(1, round(sum(aspects) * _ROW_HEIGHT / _WIDTH)))
    width = min(_WIDTH, min(sum(aspects[i] for i in row) for row in rows) * _MAX_ROW_HEIGHT)
    heights = [(width - _GAP * sum(len(pictures[i].views) for i in row))
               / sum(aspects[i] for i in row) for row in rows]
    kinds = {box.kind for picture in pictures for boxes in picture.views for box in boxes}
    head = _TITLE_HEIGHT + (_LEGEND_HEIGHT if kinds else 0)
    total = head + sum(heights) + len(rows) * (_CAPTION_HEIGHT + _GAP)
    # Not below what the title needs.
    page = max(width, 6.5)
    figure = Figure(figsize=(page, total))
    top = total - head
    for row, height in zip(rows, heights):
        top -= _CAPTION_HEIGHT
        left = 0.
        for i in row:
            outer = aspects[i] * height + len(pictures[i].views) * _GAP
            _draw_picture(figure, pictures[i], left, top - height, outer, height)
            left += outer
        top -= height + _GAP
    _draw_head(figure, title, kinds)
    return figure


def _padded(picture):
    """Put a strip on white, so that its caption and its labels have room."""
    _, height, width = picture.img.shape
    n_rows, n_columns = max(height, width // _MAX_ASPECT), max(width, height // _MAX_ASPECT)
    if (n_rows, n_columns) == (height, width):
        return picture
    img = np.full((3, n_rows, n_columns), 255, np.uint8)
    img[:, :height, :width] = picture.img
    return picture._replace(img=img)


def _rows(aspects, n_rows):
    """Divide pictures into rows, in order, so that the widest row is as narrow as it can be."""
    ends = np.concatenate([[0], np.cumsum(aspects)])

    def divide(limit):
        rows = [[]]
        for i in range(len(aspects)):
            if rows[-1] and ends[i + 1] - ends[rows[-1][0]] > limit + 1e-9:
                rows.append([])
            rows[-1].append(i)
        return rows

    limits = sorted({ends[j] - ends[i] for i in range(len(ends)) for j in range(i + 1, len(ends))})
    return next(rows for limit in limits if limit >= max(aspects)
                and len(rows := divide(limit)) <= n_rows)


def _draw_picture(figure, picture, left, bottom, width, height):
    img = _shrink(picture.img.transpose(1, 2, 0), height)
    each = width / len(picture.views)
    size = figure.get_size_inches()
    for k, boxes in enumerate(picture.views):
        place = left + k * each, bottom, each - _GAP, height
        axes = figure.add_axes([place[0] / size[0], place[1] / size[1],
                                place[2] / size[0], place[3] / size[1]])
        axes.imshow(img, extent=(0, picture.img.shape[2], picture.img.shape[1], 0), aspect='auto')
        axes.set_axis_off()
        _draw_boxes(axes, boxes, picture.img.shape[1:], (height, each - _GAP))
    n_letters = int((width - _GAP) / (0.6 * 7.5 * _POINTS))
    lines = [_shortened(line, n_letters) for line in picture.caption.split('\n')]
    figure.text(left / size[0], (bottom + height + 0.04) / size[1], '\n'.join(lines),
                fontsize=7.5, va='bottom', ha='left', color=picture.color, linespacing=1.15)


def _shrink(img, height):
    """Leave out pixels that a page cannot show: keeps vector files small."""
    step = max(1, int(img.shape[0] / (height * _PIXELS_AN_INCH)))
    n_rows, n_columns = img.shape[0] // step, img.shape[1] // step
    blocks = img[:n_rows * step, :n_columns * step].reshape(n_rows, step, n_columns, step, 3)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)


def _shortened(text, n_letters):
    """Cut the middle out of a line that is too long: both ends of a file name tell most."""
    if len(text) <= n_letters:
        return text
    head = max(1, (n_letters - 1) // 2)
    return f'{text[:head]}…{text[-max(1, n_letters - 1 - head):]}'


def _draw_boxes(axes, boxes, size_hw, inches):
    from matplotlib.patches import Rectangle

    font_size = 6.5 if len(boxes) <= 12 else 5
    scale = size_hw[0] / inches[0]  # pixels of the image an inch
    taken = []
    # Large boxes first, so that small ones and their labels lie on top.
    for box in sorted(boxes, key=lambda box: -_area(box.bb)):
        color, style, _ = _STYLES[box.kind]
        y_min, x_min, y_max, x_max = box.bb
        corner, width, height = (x_min, y_min), x_max - x_min, y_max - y_min
        # A dark line below keeps a coloured one visible on any ground.
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor='black',
                                 linewidth=2.2, alpha=0.6))
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=color,
                                 linewidth=1.3, linestyle=style))
    for box in sorted(boxes, key=lambda box: _area(box.bb)):
        if not box.text:
            continue
        color = _STYLES[box.kind][0]
        height = (1.35 * font_size * _POINTS) * scale
        width = (_n_widths(box.text) * 0.64 * font_size + 2) * _POINTS * scale
        y, x = _place_of_label(box.bb, height, width, size_hw, taken)
        taken.append((y, x, y + height, x + width))
        axes.text(x + 1 * _POINTS * scale, y + height / 2, box.text, fontsize=font_size,
                  va='center_baseline', color='black' if _is_light(color) else 'white', zorder=5,
                  bbox={'facecolor': color, 'edgecolor': 'none', 'pad': 0.6, 'alpha': 0.9})


def _area(bb):
    return (bb[2] - bb[0]) * (bb[3] - bb[1])


def _is_light(color):
    return color in ('#F0E442', '0.75')


def _n_widths(text):
    """Width of a text in letters; those of East Asia take two."""
    return sum(1.7 if unicodedata.east_asian_width(letter) in 'WF' else 1 for letter in text)


def _place_of_label(bb, height, width, size_hw, taken):
    """Where a label covers least of those already placed: ``(y, x)`` of its corner.

    In the top of the box, so that a box at the border keeps its name; else at its other edges.
    """
    y_min, x_min, y_max, x_max = bb
    places = [(y, x) for y in (y_min, y_min - height, y_max - height, y_max)
              for x in (x_min, x_max - width)]
    places += [(y_min + k * height, x) for k in range(1, 6) for x in (x_min, x_max - width)]
    places = [(float(np.clip(y, 0, max(0, size_hw[0] - height))),
               float(np.clip(x, 0, max(0, size_hw[1] - width)))) for y, x in places]

    def covered(place):
        y, x = place
        return sum(max(0, min(y + height, other[2]) - max(y, other[0]))
                   * max(0, min(x + width, other[3]) - max(x, other[1])) for other in taken)

    return min(places, key=covered)  # the first of the best


def _draw_head(figure, title, kinds):
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    figure.text(0.04 / width, 1 - 0.08 / height, title, fontsize=9.5, va='top', ha='left')
    handles = {words: Line2D([], [], color=color, linestyle=style, linewidth=1.8)
               for kind, (color, style, words) in _STYLES.items() if kind in kinds}
    if handles:
        figure.legend(list(handles.values()), list(handles), loc='upper left', frameon=False,
                      ncols=len(handles), fontsize=8, handlelength=2.2, borderpad=0,
                      borderaxespad=0, bbox_to_anchor=(0.04 / width, 1 - 0.28 / height))
