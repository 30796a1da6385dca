import math

from yolo_dist.drawing import (
    GREY,
    PAPER,
    add_legend,
    create_figure,
    legend_entries,
    say,
)
from yolo_dist.reporting.values import MODEL_TITLES, number, ours_in_words, reported

_METRIC = 'top1_accuracy_percent'
# Key of the log, factor to per cent, colour, as in figs. 3 and 4 of the paper.
_CURVES = {'training': ('train/accuracy', 100, 'C0'), 'validation': (f'val/{_METRIC}', 1, 'C1')}
_N_COLUMNS = 4  # at most


def draw_accuracy_curves(rows):
    """Draw top-1 accuracy over epochs, one panel for each row, as in figs. 3 and 4.

    A star at the end of training is the value that the paper prints. The panel of a row
    that was not run shows only this star. Several seeds are several lines.

    Args:
        rows (dict): ``{row: list of Record}``, one record for each seed.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    n_rows = math.ceil(len(rows) / _N_COLUMNS)
    n_columns = math.ceil(len(rows) / n_rows)
    figure, panels = create_figure(3.5 * n_columns + 0.6, 3.5 * n_rows, n_rows, n_columns)
    for axes in panels[len(rows):]:
        axes.remove()
    panels = panels[:len(rows)]
    for i, (axes, records) in enumerate(zip(panels, rows.values())):
        _draw_panel(axes, records)
        if i % n_columns == 0:
            axes.set_ylabel('top-1 accuracy [%]')
    add_legend(figure, *legend_entries(panels))
    return figure


def _draw_panel(axes, records):
    config = records[0].config
    paper = reported(records, _METRIC)
    epochs = max(record.config.schedule.epochs for record in records)
    for record in records:
        for title, (key, factor, color) in _CURVES.items():
            points = [(entry['epoch_detail'], factor * entry[key]) for entry in record.log
                      if entry.get(key) is not None and entry.get('epoch_detail') is not None]
            if points:
                is_sparse = len(points) == 1 or title == 'validation' and len(points) < 40
                axes.plot(*zip(*points), color=color, label=title, markersize=3,
                          marker='o' if is_sparse else None, linewidth=1)
    if paper is not None:
        axes.axhline(paper, color=GREY, linewidth=0.8, linestyle=':')
        axes.plot([epochs], [paper], **PAPER, clip_on=False, zorder=5,
                  label='printed in the paper')
    ours = ours_in_words(records, _METRIC)
    if not any(record.log for record in records):
        say(axes, ours)
    title = [f'{MODEL_TITLES[config.model.name]}, k = {config.workers}, batch '
             f'{config.global_batch_size:,}, eta = {config.optimizer.base_lr:g}', f'ours: {ours}']
    if paper is not None:
        title.insert(1, f'paper: {number(paper)}')
    axes.set_title('\n'.join(title), fontsize=9, pad=9)
    axes.set_xlim(0, epochs)
    axes.set_ylim(0, 100)
    axes.set_xlabel('epoch')
    axes.grid(alpha=0.3)
