from statistics import median

from yolo_dist.drawing.figures import add_legend, create_figure, distinct_colors, say, write_figure

_PANELS = (
    ('training loss', ('train/loss',)),
    ('accuracy on the held-out set [%]', ('val/top1_accuracy_percent', 'val/map_percent')),
    ('learning rate', ('lr',)),
)
_TERM = 'train/loss_'
_LINE_STYLES = ('-', '--', ':', '-.')
_DWARFS = 5  # a first value as many times the median leaves the rest flat on a linear axis


def learning_curves(logs):
    """Draw loss, held-out metric and learning rate over epochs.

    The loss of a single run is drawn with its terms. Its axis is logarithmic if the first
    value is more than five times the median.

    Args:
        logs (dict): ``{name: entries of log.json}``, one line a name.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    figure, panels = create_figure(12, 3.3, 1, len(_PANELS))
    lines = {}
    for axes, (title, keys) in zip(panels, _PANELS):
        for i, (color, (name, log)) in enumerate(zip(distinct_colors(len(logs)), logs.items())):
            points = _points(log, keys)
            if points:
                marker = 'o' if 'held-out' in title else None
                # More lines than colours that anybody can tell apart have different dashes.
                style = _LINE_STYLES[i % len(_LINE_STYLES)] if len(logs) > 6 else '-'
                lines[name], = axes.plot(*zip(*points), color=color, marker=marker,
                                         markersize=3, linestyle=style)
        if keys == ('train/loss',) and len(logs) == 1:
            lines |= _draw_terms(axes, *logs.values())
        axes.set_title(title, fontsize=10)
        axes.set_xlabel('epoch')
        axes.grid(alpha=0.3)
        if not axes.lines:
            say(axes, 'nothing logged yet')
        elif 'held-out' in title:
            axes.set_ylim(0, 100)
        elif 'loss' in title and any(map(_is_dwarfed, axes.lines)):
            axes.set_yscale('log')
        else:
            axes.set_ylim(bottom=0)
    add_legend(figure, list(lines.values()), list(lines))
    return figure


def _points(log, keys):
    return [(entry['epoch_detail'], entry[key]) for entry in log for key in keys
            if entry.get(key) is not None]


def _draw_terms(axes, log):
    terms = sorted({key for entry in log for key in entry if key.startswith(_TERM)})
    colors = distinct_colors(len(terms) + 1)[1:]
    return {f'loss {key.removeprefix(_TERM)}': axes.plot(
        *zip(*_points(log, (key,))), color=color, linestyle=style, linewidth=1.2)[0]
        for key, color, style in zip(terms, colors, _LINE_STYLES[1:] * len(terms))}


def _is_dwarfed(line):
    values = list(line.get_ydata())
    return min(values) > 0 and values[0] > _DWARFS * median(values)


def draw_curves(logs, path):
    """Write :func:`learning_curves` as a PNG file.

    Args:
        logs (dict): ``{name: entries of log.json}``, one line a name.
        path (str): File to write.
    """
    write_figure(learning_curves(logs), path)
