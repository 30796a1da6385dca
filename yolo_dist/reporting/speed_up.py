"""Figs. 5 and 7: images per second, speed-up over one GPU, and the parts of an iteration."""

from typing import NamedTuple

import numpy as np

from yolo_dist.config import load_config, rows
from yolo_dist.drawing import (
    PAPER,
    add_legend,
    create_figure,
    label_worker_axis,
    legend_entries,
    say,
)
from yolo_dist.planning.speed_up_model import PrintedPoint
from yolo_dist.reporting.tables import markdown_table
from yolo_dist.reporting.values import changed_in_words, decimal, number, state_in_words

SPEED_UP = 'speed_up'
_PHASES = {'input': ('input', 'C2'), 'forward_backward': ('forward + backward', 'C0'),
           'allreduce': ('all-reduce', 'C3'), 'update': ('update', 'C4')}
_MODEL_COLORS = ('C1', 'C5')
_REST = ('rest', '0.8')


class Prediction(NamedTuple):
    """Predictions of a speed-up model.

    Attributes:
        key (str): Name of its column in a file.
        label (str): Text of the legend.
        images_per_second (dict): ``{k: images / s}``, with k = 1.
    """

    key: str
    label: str
    images_per_second: dict

    def speed_up(self, n_workers):
        """Speed-up over one worker."""
        return self.images_per_second[n_workers] / self.images_per_second[1]


def printed_points(folder):
    """Speed-ups that the paper prints, read from ``fig5.yaml`` and ``fig7.yaml`` of a folder.

    Args:
        folder (pathlib.Path): The folder of the experiment files.

    Returns:
        list of ~yolo_dist.planning.speed_up_model.PrintedPoint: The points, without those of a
        missing file.
    """
    files = [path for figure in ('fig5', 'fig7') if (path := folder / f'{figure}.yaml').exists()]
    configs = [(path.stem, load_config(path, row=row)) for path in files for row in rows(path)]
    return [PrintedPoint(figure, config.workers, config.reported[SPEED_UP])
            for figure, config in configs if SPEED_UP in config.reported]


def measured_points(records):
    """Measured speeds of k workers on k processes.

    A run of k workers on fewer processes computes the same but does not have the speed
    of k GPUs. Such runs are left out.

    Args:
        records (list): Records of throughput runs.

    Returns:
        dict: ``{k: Throughput}``; with several seeds, the one with the median speed.
    """
    by_k = {}
    for record in records:
        if record.throughput is not None and record.throughput.is_of_whole_machine:
            by_k.setdefault(record.throughput.n_workers, []).append(record.throughput)
    return {k: sorted(runs, key=lambda run: run.images_per_second.median)[len(runs) // 2]
            for k, runs in sorted(by_k.items())}


def speed_up_over(points, n_workers):
    """Speed-up of each point over the point of ``n_workers``.

    Args:
        points (dict): ``{k: Throughput}``.
        n_workers (int): The base, such as 1 GPU or the GPUs of a node.

    Returns:
        dict: ``{k: factor}``; empty if the base was not measured.
    """
    if n_workers not in points:
        return {}
    base = points[n_workers].images_per_second.median
    return {k: point.images_per_second.median / base for k, point in points.items()}


def draw_speed_up(records, predictions):
    """Draw images/s, speed-up and the parts of an iteration over k.

    Args:
        records (list): Records of throughput runs, of all rows and seeds.
        predictions (list): A :class:`Prediction` for each line.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    points = measured_points(records)
    figure, [speed, factor, parts] = create_figure(15, 4.6, 1, 3)
    planned = [record.planned.workers for record in records]
    predicted = [k for prediction in predictions for k in prediction.images_per_second]
    n_workers = _powers_of_two({*planned, *points, *predicted})
    _draw_speed(speed, points, predictions)
    _draw_factor(factor, records, points, predictions, n_workers)
    for axes in (speed, factor):
        axes.set_yscale('log', base=10)
        axes.grid(alpha=0.3)
        label_worker_axis(axes, n_workers)
        axes.tick_params('x', labelsize=8, rotation=45)
        axes.set_xlim(n_workers[0] / 1.2, n_workers[-1] * 1.2)
    _draw_parts(parts, points)
    add_legend(figure, *legend_entries([speed, factor, parts]))
    return figure


def _powers_of_two(values):
    """Ticks from 1 to the largest value."""
    return [2 ** i for i in range(int(np.ceil(np.log2(max(values)))) + 1)]


def _draw_speed(axes, points, predictions):
    for color, prediction in zip(_MODEL_COLORS, predictions):
        axes.plot(list(prediction.images_per_second), list(prediction.images_per_second.values()),
                  color=color, label=prediction.label)
    if points:
        speeds = [point.images_per_second for point in points.values()]
        axes.errorbar(
            list(points), [speed.median for speed in speeds], color='C0', marker='o',
            linestyle='none', capsize=3, label='ours, measured (quartiles)',
            yerr=[[speed.median - speed.lower_quartile for speed in speeds],
                  [speed.upper_quartile - speed.median for speed in speeds]])
    else:
        say(axes, 'ours: not run', x=0.7, y=0.1)
    axes.set_ylabel('images / s')


def _draw_factor(axes, records, points, predictions, n_workers):
    axes.plot([n_workers[0], n_workers[-1]], [n_workers[0], n_workers[-1]], '--', color='0.6',
              linewidth=1, label='ideal')
    for color, prediction in zip(_MODEL_COLORS, predictions):
        axes.plot(list(prediction.images_per_second),
                  [prediction.speed_up(k) for k in prediction.images_per_second],
                  color=color, label=prediction.label)
    paper = {record.planned.workers: record.planned.reported[SPEED_UP]
             for record in records if SPEED_UP in record.planned.reported}
    if paper:
        axes.plot(list(paper), list(paper.values()), **PAPER, label='printed in the paper')
    for k, value in paper.items():
        axes.annotate(f'{value:g} x', (k, value), xytext=(4, -14), textcoords='offset points',
                      fontsize=9)
    ours = speed_up_over(points, 1)
    if ours:
        axes.plot(list(ours), list(ours.values()), 'o', color='C0')
    else:
        say(axes, 'ours: k = 1 not run' if points else 'ours: not run', x=0.7, y=0.1)
    axes.set_ylabel('speed-up over 1 GPU')


def _draw_parts(axes, points):
    axes.set_xlabel('GPUs k')
    axes.set_ylabel('ms an iteration')
    if not points:
        axes.set_xticks([])
        axes.set_yticks([])
        say(axes, 'time split: not run')
        return
    places, bottom = range(len(points)), np.zeros(len(points))
    totals = np.array([point.seconds_per_iteration.median for point in points.values()])
    heights = {key: np.array([point.phase_seconds.get(key, 0.0) for point in points.values()])
               for key in _PHASES}
    # Phases are means over processes. The time of an iteration is that of the slowest process.
    heights['rest'] = np.maximum(0, totals - sum(heights.values()))
    for key, height in heights.items():
        title, color = _PHASES.get(key, _REST)
        axes.bar(places, 1000 * height, bottom=1000 * bottom, color=color, label=title, width=0.6)
        bottom += height
    axes.set_xticks(places, [f'{k:,}' for k in points])
    axes.set_xlim(-0.7, max(len(points), 4) - 0.3)


def speed_up_table(records, predictions, gpus_per_node):
    """Return the figure as a Markdown table, with the efficiencies.

    Args:
        records (list): Records of throughput runs, of all rows and seeds.
        predictions (list): A :class:`Prediction` for each column.
        gpus_per_node (int): GPUs of a node, for the efficiency against one node.

    Returns:
        str: One line for each number of workers.
    """
    points = measured_points(records)
    over_gpu, over_node = speed_up_over(points, 1), speed_up_over(points, gpus_per_node)
    lines = []
    for k, of_k in _by_workers(records).items():
        speed = points[k].images_per_second if k in points else None
        lines.append([
            f'{k:,}', number(of_k[0].planned.reported.get(SPEED_UP)),
            number(over_gpu.get(k)),
            *(number(prediction.speed_up(k)) for prediction in predictions),
            '-' if speed is None else f'{speed.median:,.1f}',
            '-' if speed is None else f'{speed.lower_quartile:,.1f} - {speed.upper_quartile:,.1f}',
            _percent(over_gpu.get(k), k),
            _percent(over_node.get(k) if k >= gpus_per_node else None, k / gpus_per_node),
            '; '.join(dict.fromkeys(_state(record) for record in of_k))])
    return markdown_table(
        ['GPUs k', 'speed-up, paper', 'ours', *(prediction.label for prediction in predictions),
         'images/s, ours', 'quartiles', 'efficiency against 1 GPU',
         f'against 1 node of {gpus_per_node}', 'state'], lines)


def speed_up_csv_lines(experiment, predictions):
    """Return the CSV lines of a throughput experiment, one for each row and seed.

    Args:
        experiment (~yolo_dist.runs.records.Experiment): The experiment with its records.
        predictions (list): A :class:`Prediction` for each column.

    Returns:
        list of dict: Speeds are those of the actual run. ``speed_up`` is given only if each
        worker had its own process and k = 1 was measured.
    """
    over_gpu = speed_up_over(measured_points(experiment.records), 1)
    lines = []
    for record in experiment.records:
        run = record.throughput
        is_speed = run is not None and run.is_of_whole_machine
        k = record.config.workers
        lines.append({
            'experiment': experiment.name, 'row': record.row, 'model': record.planned.model.name,
            'k': k, 'n_processes': run.n_processes if run else '', 'seed': record.seed,
            'images_per_second': decimal(run and run.images_per_second.median),
            'lower_quartile': decimal(run and run.images_per_second.lower_quartile),
            'upper_quartile': decimal(run and run.images_per_second.upper_quartile),
            **{f'{phase}_seconds': decimal(run and run.phase_seconds.get(phase))
               for phase in _PHASES},
            'speed_up_paper': decimal(record.planned.reported.get(SPEED_UP)),
            'speed_up': decimal(over_gpu.get(k) if is_speed else None),
            **{f'speed_up_{prediction.key}': decimal(prediction.speed_up(k))
               for prediction in predictions},
            'state': record.state, 'reason': record.reason,
            'changed_settings': changed_in_words(record)})
    return lines


def _by_workers(records):
    by_k = {}
    for record in records:
        by_k.setdefault(record.config.workers, []).append(record)
    return dict(sorted(by_k.items()))


def _state(record):
    if record.throughput is not None and not record.throughput.is_of_whole_machine:
        return f'on {record.throughput.n_processes} processes, no speed of k GPUs'
    return state_in_words(record)


def _percent(factor, ideal):
    return '-' if factor is None else f'{100 * factor / ideal:.0f} %'
