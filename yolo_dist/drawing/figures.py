"""What all figures share: files, colours, legends, words on axes without data."""

import math

import matplotlib
from matplotlib.figure import Figure

PAPER = {'color': 'black', 'marker': '*', 'markersize': 12, 'linestyle': 'none'}
GREY = '0.45'

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
    figure = Figure(figsize=(width, height), layout='constrained')
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def save_figure(figure, directory, name):
    """Write a figure as ``name.png`` and ``name.svg``.

    The files hold neither date nor random names: the same results give the same
    files.
    """
    figure.savefig(directory / f'{name}.png', dpi=110, metadata={'Software': None})
    with matplotlib.rc_context({'svg.hashsalt': 'yolo_dist'}):
        figure.savefig(directory / f'{name}.svg', metadata={'Date': None, 'Creator': None})


def add_legend(figure, handles, labels):
    """Put one legend below all axes and makes the figure as much higher as it needs."""
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
    color_map = matplotlib.colormaps['viridis']
    return [color_map(0.9 * i / max(1, n - 1)) for i in range(n)]


def distinct_colors(n):
    """Colours of ``n`` lines without an order."""
    if n <= 10:
        return [f'C{i}' for i in range(n)]
    color_map = matplotlib.colormaps['turbo']
    return [color_map(0.05 + 0.9 * i / (n - 1)) for i in range(n)]


def label_worker_axis(axes, n_workers):
    """Logarithmic axis of k with the numbers themselves as labels."""
    axes.set_xscale('log', base=2)
    axes.set_xticks(n_workers, [f'{k:,}' for k in n_workers])
    axes.minorticks_off()
    axes.set_xlabel('GPUs k')
