import re
import textwrap

import matplotlib
import numpy as np

from yolo_dist.drawing import create_figure
from yolo_dist.reporting.tables import markdown_table
from yolo_dist.reporting.values import (
    METRIC_TITLES,
    mean_and_spread,
    metric_values,
    number,
    state_in_words,
)

_CELL_CHARACTERS = 18
_DIVERGED = '#d9a6a6'
_DONE = '#b9d8b9'
_NO_RESULT = '#e6e6e6'


def outcome(records, metric):
    """Outcome of one cell of a study.

    Args:
        records (list): One record for each seed.
        metric (str): The metric; ``None`` if the study does not use one.

    Returns:
        tuple: Mean of the metric, ``None`` if no seed has a value, and the text of the
        cell: the number, ``overflow`` or ``diverged`` with the iteration, or a state.
    """
    mean, _ = mean_and_spread(metric_values(records, metric))
    texts = [number(mean)] if mean is not None else []
    for text in dict.fromkeys(_ending(record) for record in records
                              if metric not in record.metrics):
        texts.append(text)
    for record in records:
        first = _first_overflow(record)
        if first is not None and metric in record.metrics:
            texts.append(f'overflow at iteration {first}')
            break
    return mean, '; '.join(texts)


def _ending(record):
    if record.state != 'diverged':
        return state_in_words(record)
    iteration = re.search(r'iteration (\d+)', record.reason)
    kind = 'overflow' if 'float16 sum' in record.reason else 'diverged'
    return f'{kind} at iteration {iteration[1]}' if iteration else kind


def _first_overflow(record):
    """Return the iteration of the first log entry with overflowed elements, or ``None``."""
    return next((entry['iteration'] for entry in record.log
                 if entry.get('overflowed_elements')), None)


def split_rows(rows):
    """Group rows named ``SETTING_kK``.

    Args:
        rows (dict): ``{row: list of Record}``; ``_kK`` may stand anywhere in a name.

    Returns:
        tuple: Settings, numbers of workers, and ``{(setting, k): records}``.
    """
    cells = {(re.sub(r'_k\d+', '', row), records[0].planned.workers): records
             for row, records in rows.items()}
    return (list(dict.fromkeys(setting for setting, _ in cells)),
            sorted({n_workers for _, n_workers in cells}), cells)


def outcome_table(rows, metric):
    """Return the grid as a Markdown table: a setting and its outcome at each k."""
    settings, n_workers, cells = split_rows(rows)
    return markdown_table(
        ['setting', *(f'k = {k}' for k in n_workers)],
        [[setting, *(outcome(cells[setting, k], metric)[1]
                     if (setting, k) in cells else '-' for k in n_workers)]
         for setting in settings])


def draw_outcome_grid(rows, metric):
    """Draw a grid of settings and numbers of workers, coloured by the metric.

    Args:
        rows (dict): ``{row: list of Record}``, rows named ``SETTING_kK``.
        metric (str): The metric, %; ``None`` shows only which runs are done.

    Returns:
        matplotlib.figure.Figure: The figure. Cells that diverged are red, cells without a
        result (yet) grey, cells that are done without a metric green.
    """
    settings, n_workers, cells = split_rows(rows)
    figure, [axes] = create_figure(2.6 + 1.35 * len(n_workers), 1.5 + 0.55 * len(settings))
    values = np.full((len(settings), len(n_workers)), np.nan)
    outcomes = {cell: outcome(records, metric) for cell, records in cells.items()}
    # Small sets do not reach 100 %. The colours span the values that occur.
    highest = max((mean for mean, _ in outcomes.values() if mean), default=100)
    for (setting, k), records in cells.items():
        i, j = settings.index(setting), n_workers.index(k)
        mean, text = outcomes[setting, k]
        values[i, j] = np.nan if mean is None else mean
        is_dark = mean is not None and mean < highest / 2
        axes.text(j, i, textwrap.fill(text, _CELL_CHARACTERS), ha='center', va='center',
                  fontsize=8, color='white' if is_dark else 'black')
        if mean is None:
            states = {record.state for record in records}
            color = (_DIVERGED if 'diverged' in states else
                     _DONE if states == {'done'} else _NO_RESULT)
            axes.add_patch(matplotlib.patches.Rectangle((j - 0.5, i - 0.5), 1, 1, color=color))
    image = axes.imshow(values, cmap='viridis', vmin=0, vmax=highest, aspect='auto')
    if metric is not None:
        figure.colorbar(image, ax=axes, label=METRIC_TITLES[metric])
    axes.set_xticks(range(len(n_workers)), [f'{k}' for k in n_workers])
    axes.set_yticks(range(len(settings)), [setting.replace('_', ', ') for setting in settings],
                    fontsize=9)
    axes.set_xlabel('workers k')
    axes.set_xticks(np.arange(len(n_workers) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(settings) - 1) + 0.5, minor=True)
    axes.grid(which='minor', color='white', linewidth=2)
    axes.tick_params(which='both', length=0)
    return figure
