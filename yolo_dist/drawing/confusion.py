import numpy as np

from yolo_dist.drawing.figures import create_figure, wrapped

_MAX_CLASSES_WITH_COUNTS = 30


def draw_confusion(confusion, class_names, *, note=''):
    """Draw a confusion matrix: colours by the share of a true class, the counts in words.

    Args:
        confusion (list of list of int): Rows true, columns predicted classes.
        class_names (sequence of str): Names of rows and columns.
        note (str): What is said above it.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    from matplotlib.colors import PowerNorm

    counts = np.array(confusion)
    n = len(counts)
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    size = 2.2 + max(0.36 * min(n, _MAX_CLASSES_WITH_COUNTS), 0.14 * n)
    figure, [axes] = create_figure(size + 0.8, size)
    # A mesh, which a vector file holds as cells. Small shares are what there is to see.
    mesh = axes.pcolormesh(share, cmap='Blues', norm=PowerNorm(0.5, 0, 1))
    if n <= _MAX_CLASSES_WITH_COUNTS + 1:
        for row, column in np.argwhere(counts):
            axes.text(column + 0.5, row + 0.5, f'{counts[row, column]}', fontsize=7, ha='center',
                      va='center', color='white' if share[row, column] > 0.35 else 'black')
    names = [name if len(name) <= 20 else f'{name[:19]}…' for name in class_names]
    font_size = 8 if n <= _MAX_CLASSES_WITH_COUNTS + 1 else 6
    places = np.arange(n) + 0.5
    axes.set_xticks(places, names, rotation=90, fontsize=font_size)
    axes.set_yticks(places, names, fontsize=font_size)
    axes.tick_params(length=2)
    axes.set_ylim(n, 0)
    axes.set_aspect('equal')
    axes.set_xlabel('predicted')
    axes.set_ylabel('true')
    axes.set_title(wrapped(note, size - 0.8, 8), fontsize=8)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.7)
    bar.set_label('share of the true class', fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure
