from yolo_dist.drawing.figures import add_legend, create_figure, distinct_colors, say

_PANELS = (
    ('training loss', ('train/loss',)),
    ('accuracy on the held-out set [%]', ('val/top1_accuracy_percent', 'val/map_percent')),
    ('learning rate', ('lr',)),
)


def learning_curves(logs):
    """Draw loss, held-out metric and learning rate over epochs.

    Args:
        logs (dict): ``{name: entries of log.json}``, one line a name.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    figure, panels = create_figure(12, 3.3, 1, len(_PANELS))
    lines = {}
    for axes, (title, keys) in zip(panels, _PANELS):
        for color, (name, log) in zip(distinct_colors(len(logs)), logs.items()):
            points = [(entry['epoch_detail'], entry[key]) for entry in log for key in keys
                      if entry.get(key) is not None]
            if points:
                marker = 'o' if 'held-out' in title else None
                lines[name], = axes.plot(*zip(*points), color=color, marker=marker,
                                         markersize=3)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel('epoch')
        axes.grid(alpha=0.3)
        if not axes.lines:
            say(axes, 'nothing logged yet')
        elif 'held-out' in title:
            axes.set_ylim(0, 100)
        else:
            axes.set_ylim(bottom=0)
    add_legend(figure, list(lines.values()), list(lines))
    return figure


def draw_curves(logs, path):
    """Write :func:`learning_curves` as a PNG file.

    Args:
        logs (dict): ``{name: entries of log.json}``, one line a name.
        path (str): File to write.
    """
    learning_curves(logs).savefig(path, dpi=110, format='png')
