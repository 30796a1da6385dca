"""What all figures share: files, colours, legends, words on axes without data."""

import contextlib
import math
import pathlib
import sys
import textwrap
import warnings

from yolo_dist.drawing.fonts import fallback_fonts
from yolo_dist.whole_files import write_whole

# Of Okabe and Ito: told apart with any colour vision. Without yellow, too pale for a line, and
# black, which is the paper's.
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00')
PAPER = {'color': 'black', 'marker': '*', 'markersize': 12, 'linestyle': 'none'}
GREY = '0.45'
WRONG = COLORS[1]

_INCHES_A_CHARACTER = 0.085
_INCHES_A_LEGEND_ROW = 0.2


def create_figure(width, height, n_rows=1, n_columns=1):
    """Return a figure with a grid of axes.

    Args:
        width (float): Inches.
        height (float): Inches.
        n_rows (int): Rows of the grid.
        n_columns (int): Columns of the grid.

    Returns:
        tuple: Figure and list of its axes, row by row.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout='constrained')
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def save_figure(figure, directory, name):
    """Write a figure as ``name.png`` and ``name.svg``, each whole or not at all.

    The files hold neither date nor random names: the same results give the same
    files.
    """
    for kind in ('png', 'svg'):
        with write_whole(pathlib.Path(directory) / f'{name}.{kind}') as partial:
            write_figure(figure, partial, kind)


def write_figure(figure, file, kind='png'):
    """Write a figure with all names as they are, ``$`` and letters of any script included.

    Args:
        figure (matplotlib.figure.Figure): The figure.
        file (str, ~pathlib.Path or file): Where to write.
        kind ({'png', 'svg'}): Its format.
    """
    import matplotlib
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    # Labels of a logarithmic axis are powers: the only formulas.
    powers = {label for axis in figure.findobj(Axis) if axis.get_scale() == 'log'
              for label in axis.get_ticklabels(which='both')}
    texts = [text for text in figure.findobj(Text) if text not in powers]
    for text in texts:
        text.set_parse_math(False)
    fonts = fallback_fonts(frozenset(''.join(text.get_text() for text in texts)))
    settings = {'svg.hashsalt': 'yolo_dist',
                'font.sans-serif': [*matplotlib.rcParams['font.sans-serif'], *fonts]}
    empty = {'png': ('Software',), 'svg': ('Date', 'Creator')}[kind]
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Glyph .* missing')
        figure.savefig(file, format=kind, dpi=110, metadata=dict.fromkeys(empty))


@contextlib.contextmanager
def tolerate_failure(picture):
    """Let no picture end a run: what goes wrong inside is one line on standard error.

    Args:
        picture (str or ~pathlib.Path): What is drawn inside.
    """
    try:
        yield
    except Exception as error:
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        print(f'warning: {picture} was not written ({reason})', file=sys.stderr, flush=True)


def wrapped(text, inches, font_size):
    """Break a title into lines that fit into a width.

    Args:
        text (str): The title.
        inches (float): The width.
        font_size (float): Its size, points.

    Returns:
        str: The title with line breaks.
    """
    return textwrap.fill(text, max(10, int(inches / (0.58 * font_size / 72))))


def add_legend(figure, handles, labels):
    """Put one legend below all axes and make the figure as much higher as it needs."""
    if not handles:
        return
    width, height = figure.get_size_inches()
    inches_an_entry = 0.6 + _INCHES_A_CHARACTER * max(map(len, labels))
    n_columns = max(1, min(len(labels), int(width / inches_an_entry)))
    n_rows = math.ceil(len(labels) / n_columns)
    figure.set_size_inches(width, height + _INCHES_A_LEGEND_ROW * (n_rows + 0.5))
    figure.legend(handles, labels, loc='outside lower center', ncols=n_columns, fontsize=9,
                  frameon=False)


def legend_entries(axes):
    """Return handles and labels of some axes, each label once."""
    entries = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)


def add_caveat(figure, text):
    """Write over a figure what must not be overlooked in it."""
    figure.suptitle(text, fontsize=9, color=GREY)


def say(axes, text, *, x=0.5, y=0.5):
    """Write into axes why they show no result of ours."""
    axes.text(x, y, text, ha='center', va='center', transform=axes.transAxes, color=GREY,
              bbox={'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.8, 'pad': 2})


def shades(n):
    """Colours of ``n`` lines with an order, such as numbers of workers; dark first."""
    import matplotlib

    color_map = matplotlib.colormaps['viridis']
    return [color_map(0.9 * i / max(1, n - 1)) for i in range(n)]


def distinct_colors(n):
    """Colours of ``n`` lines without an order."""
    return list(COLORS[:n]) if n <= len(COLORS) else shades(n)


def label_worker_axis(axes, n_workers):
    """Logarithmic axis of k with the numbers themselves as labels."""
    axes.set_xscale('log', base=2)
    axes.set_xticks(n_workers, [f'{k:,}' for k in n_workers])
    axes.minorticks_off()
    axes.set_xlabel('GPUs k')
