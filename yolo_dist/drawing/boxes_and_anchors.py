import numpy as np

from yolo_dist.drawing.figures import add_legend, create_figure

_MARKERS = ('x', 'o')
_MAX_POINTS = 5000


def draw_boxes_and_anchors(sizes, anchors, input_size, path):
    """Draw the sizes of boxes with anchors among them, and their aspect ratios.

    Args:
        sizes (ndarray): float ``(R, 2)``, height and width in pixels of the network's input; at
            least one box. Of very many an even choice is drawn.
        anchors (dict): ``{label: sequence of (height, width)}``, at most two sets.
        input_size (int): Side of the network's input, pixels.
        path (str or ~pathlib.Path): PNG file to write.
    """
    from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

    figure, (left, right) = create_figure(10, 4.8, 1, 2)
    shown = sizes[::-(-len(sizes) // _MAX_POINTS)]
    left.plot(shown[:, 1], shown[:, 0], '.', color='0.6', markersize=3, alpha=0.5)
    lines = {}
    for i, (name, one) in enumerate(anchors.items()):
        heights, widths = np.transpose(one)
        lines[name], = left.plot(widths, heights, _MARKERS[i], color=f'C{1 - i}', markersize=8,
                                 markeredgewidth=2, fillstyle='none')
    left.set(xscale='log', yscale='log', xlabel='width [px]', ylabel='height [px]')
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(ScalarFormatter())
    left.set_title(f'{len(sizes):,} boxes at {input_size} px', fontsize=10)
    left.grid(alpha=0.3)
    aspects = np.log2(sizes[:, 0] / sizes[:, 1])
    right.hist(aspects, bins=np.linspace(-4, 4, 49), color='0.6')
    right.set_xticks(range(-4, 5), ['1/16', '1/8', '1/4', '1/2', '1', '2', '4', '8', '16'])
    right.set(xlabel='height / width', ylabel='boxes')
    right.set_title('aspect ratios', fontsize=10)
    right.grid(alpha=0.3)
    add_legend(figure, list(lines.values()), [f'anchors, {name}' for name in lines])
    figure.savefig(path, dpi=100, format='png')
