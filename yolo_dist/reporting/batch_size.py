import collections

from yolo_dist.drawing import PAPER, add_legend, create_figure, legend_entries, say
from yolo_dist.planning.plan import VOC
from yolo_dist.reporting.values import (
    METRIC_TITLES,
    MODEL_TITLES,
    batch_percent,
    lines_of_table_2,
    mean_and_spread,
    metric_values,
)

# The batch of the paper at k workers as a share of its training set (secs. 4.2, 4.3, 5.3.1).
_PAPER_BATCH_SIZE_PER_WORKER = 16
_PAPER_TRAINING_IMAGES = VOC['VOC2007/trainval'] + VOC['VOC2012/trainval']

_COLORS = {'yolo_v2': 'C1', 'yolo_v3': 'C0'}
_STYLES = [('-', 'o'), ('-.', 's'), (':', '^')]  # one for each eta
_VALUES = ['*', *(marker for _, marker in _STYLES)]


def paper_batch_percent(n_workers):
    """Return the paper's batch at ``n_workers`` GPUs on Pascal VOC, % of its training set."""
    return 100 * n_workers * _PAPER_BATCH_SIZE_PER_WORKER / _PAPER_TRAINING_IMAGES


def draw_batch_size(rows, metric, paper):
    """Draw the content of Table 2: the metric over the batch as a share of the training set.

    Rows of one model and one eta are a line. The left panel has the values. The right panel has
    the values divided by the value at the smallest batch of the line, if that row has a value.
    There, sets and networks of different sizes can be compared. Rows that diverged are crosses
    at 0.

    Args:
        rows (dict): ``{row: list of Record}``, one record for each seed.
        metric (str): The metric.
        paper (dict): ``{row: (GPUs, value)}`` of the row of the paper that each row repeats or
            stands for.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    everything = [record for records in rows.values() for record in records]
    figure, panels = create_figure(10.5, 4.2, 1, 2)
    n_drawn = collections.Counter()
    for (model, eta), line in lines_of_table_2(rows).items():
        title, color = MODEL_TITLES[model], _COLORS.get(model)
        ours_title = f'{title}, ours' if eta is None else f'{title}, ours, eta = {eta:g}'
        style, marker = _STYLES[n_drawn[model] % len(_STYLES)]
        n_drawn[model] += 1
        theirs = [(paper_batch_percent(n_workers), value, None)
                  for row in line if row in paper for n_workers, value in [paper[row]]]
        ours = [(batch_percent(rows[row][0], everything), *mean_and_spread(values))
                for row in line if (values := metric_values(rows[row], metric))]
        _draw_line(panels, theirs, theirs[0][1] if theirs else None, label=f'{title}, paper',
                   linestyle='--', marker='*', color=color,
                   markersize=PAPER['markersize'] - 2, mfc='white')
        at_smallest, _ = mean_and_spread(metric_values(rows[line[0]], metric))
        _draw_line(panels, ours, at_smallest, label=ours_title, linestyle=style, marker=marker,
                   color=color, capsize=3)
        diverged = [percent for row in line for record in rows[row]
                    if record.state == 'diverged'
                    and (percent := batch_percent(record, everything))]
        for axes in panels if diverged else []:
            axes.plot(diverged, [0] * len(diverged), 'x', color=color, markersize=9, zorder=3,
                      clip_on=False, label=f'{title}, ours diverged')
    if not any(record.metrics or record.state == 'diverged' for record in everything):
        is_started = any(record.is_started for record in everything)
        for axes in panels:
            say(axes, f'ours: {"no result yet" if is_started else "not run"}', y=0.3)
    for axes, label in zip(panels, (METRIC_TITLES.get(metric, metric),
                                    'share of the value at the smallest batch [%]')):
        axes.set_ylabel(label)
        axes.set_xlabel('batch k n, % of the training set')
        axes.set_ylim(0, max([100, *(value for line in axes.lines if line.get_marker() in _VALUES
                                     for value in line.get_ydata())]) * 1.05)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    handles, labels = legend_entries(panels)
    by_label = dict(sorted(zip(labels, handles)))
    add_legend(figure, list(by_label.values()), list(by_label))
    return figure


def _draw_line(panels, points, at_smallest, **style):
    """Draw ``(percent, value, spread)`` in the left panel, relative values in the right one.

    ``at_smallest`` is the value at the smallest batch. Without it the right panel stays as it is.
    """
    if not points:
        return
    x, y, spread = zip(*points)
    spread = [value or 0 for value in spread]
    for axes, unit in zip(panels, (1, at_smallest and at_smallest / 100)):
        if unit:
            line, _, _ = axes.errorbar(
                x, [value / unit for value in y],
                yerr=[value / unit for value in spread] if any(spread) else None, **style)
            line.set_clip_on(False)  # show the whole marker at 0, but end error bars at the border
