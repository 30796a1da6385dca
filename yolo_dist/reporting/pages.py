"""The pages of the report: tables, figures and notes for each experiment.

:data:`PAGES` gives an experiment its page by the stem of its file. Any other experiment, and each
run directory, gets the comparison of numbers and the curves.
"""

import dataclasses

from yolo_dist.config import load_config, rows
from yolo_dist.drawing import add_caveat, learning_curves
from yolo_dist.planning.speed_up_model import (
    SpeedUpModel,
    fit_error,
    fit_link_share,
    paper_workloads,
)
from yolo_dist.reporting.accuracy_curves import draw_accuracy_curves
from yolo_dist.reporting.batch_size import draw_batch_size
from yolo_dist.reporting.by_class import class_blocks
from yolo_dist.reporting.cost import cost_csv_lines, cost_table, draw_cost
from yolo_dist.reporting.loss_curves import draw_loss_curves, loss_csv_lines, loss_table
from yolo_dist.reporting.outcome_grid import draw_outcome_grid, outcome_table
from yolo_dist.reporting.speed_up import (
    Prediction,
    draw_speed_up,
    measured_points,
    printed_points,
    speed_up_csv_lines,
    speed_up_table,
)
from yolo_dist.reporting.tables import (
    changed_settings_table,
    comparison_table,
    metric_lines,
    table_2,
)
from yolo_dist.reporting.values import reported_values

# The machine of the paper. The speed-up model is fitted to its printed speed-ups.
PAPER_SITE = 'abci_2018'

_LARGEST_PREDICTED = 4096
_MAP = 'map_percent'


@dataclasses.dataclass(frozen=True)
class Page:
    """One part of the report.

    Attributes:
        title: Its heading.
        blocks: Markdown: tables and paragraphs.
        figures: ``{name: matplotlib.figure.Figure}``.
        csv: ``{name: list of dict}``, one dict for each line.
    """

    title: str
    blocks: list
    figures: dict
    csv: dict


def general_page(experiments):
    """Compare all experiments that have no page of their own in one table.

    Args:
        experiments (list of ~yolo_dist.runs.records.Experiment): The experiments.

    Returns:
        Page: The page, with one figure of curves for each task that has a log.
    """
    records = [record for experiment in experiments for record in experiment.records]
    figures = {}
    for task in dict.fromkeys(record.config.task for record in records if record.log):
        figures[f'curves_{task}'] = learning_curves({
            record.config.name: record.log for record in records
            if record.log and record.config.task == task})
    by_class = [block for record in records for block in class_blocks(record)]
    return Page('Runs', [comparison_table(records), *_notes(records), *by_class], figures,
                {experiment.name.replace('/', '_'): metric_lines(experiment)
                 for experiment in experiments})


def create_page(experiment, site):
    """Return the page of an experiment of :data:`PAGES`.

    Args:
        experiment (~yolo_dist.runs.records.Experiment): The experiment with its records.
        site (~yolo_dist.config.sites.Site): The machine of the speed-up model.

    Returns:
        Page: Tables and figures.
    """
    title, fill = PAGES[experiment.name]
    blocks, figures, lines = fill(experiment, site)
    if any(record.changed for record in experiment.records):
        for figure in figures.values():
            add_caveat(figure, 'ours: with other settings than those of the experiment file')
    return Page(title, [*blocks, *_notes(experiment.records)],
                {experiment.name + suffix: figure for suffix, figure in figures.items()},
                {experiment.name: lines})


def _table_2(experiment, site):
    rows = experiment.rows()
    return _table_2_beside(rows, experiment, {
        row: (rows[row][0].planned.workers, value)
        for row, value in reported_values(rows, _MAP).items()})


def _table_2_scaled_down(experiment, site):
    # The values of the paper belong to another set and stand in table2.yaml. A row here stands for
    # the row there with the same eta and the same ratio of workers to the smallest number of them.
    ours, whole = experiment.rows(), experiment.path.with_name('table2.yaml')
    theirs = {(config.model.name, config.optimizer.base_lr, config.workers): config.reported
              for config in (load_config(whole, row=row) for row in rows(whole))}
    scale = (min(n_workers for *_, n_workers in theirs)
             / min(records[0].planned.workers for records in ours.values()))
    paper = {}
    for row, records in ours.items():
        planned = records[0].planned
        n_workers = planned.workers * scale
        key = planned.model.name, planned.optimizer.base_lr, n_workers
        value = theirs.get(key, {}).get(_MAP)
        if value is not None:
            paper[row] = n_workers, value
    return _table_2_beside(ours, experiment, paper)


def _table_2_beside(rows, experiment, paper):
    values = {row: value for row, (_, value) in paper.items()}
    return ([table_2(rows, _MAP, values)], {'': draw_batch_size(rows, _MAP, paper)},
            metric_lines(experiment))


def _accuracy(experiment, site):
    by_eta = {}
    for row, records in experiment.rows().items():
        by_eta.setdefault(records[0].planned.optimizer.base_lr, {})[row] = records
    return ([comparison_table(experiment.records)],
            {'' if len(by_eta) == 1 else f'_eta_{eta:g}': draw_accuracy_curves(rows)
             for eta, rows in by_eta.items()}, metric_lines(experiment))


def _loss(experiment, site):
    return ([loss_table(experiment.records)], {'': draw_loss_curves(experiment.rows())},
            loss_csv_lines(experiment))


def _outcomes(experiment, site):
    rows = experiment.rows()
    return ([outcome_table(rows, _MAP)], {'': draw_outcome_grid(rows, _MAP)},
            metric_lines(experiment))


def _overflows(experiment, site):
    rows = experiment.rows()
    return ([outcome_table(rows, None)], {'': draw_outcome_grid(rows, None)},
            metric_lines(experiment))


def _cost(experiment, site):
    records = experiment.records
    return [cost_table(records)], {'': draw_cost(records)}, cost_csv_lines(experiment)


def _speed_up(experiment, site):
    predictions, notes = _predictions(experiment, site)
    records = experiment.records
    return ([speed_up_table(records, predictions, site.gpus_per_node), *notes],
            {'': draw_speed_up(records, predictions)},
            speed_up_csv_lines(experiment, predictions))


PAGES = {
    'table2': ('Table 2: mAP on Pascal VOC', _table_2),
    'fig3': ('Fig. 3: Darknet53 on ImageNet', _accuracy),
    'fig4': ('Fig. 4: Darknet19 and Darknet53 on ImageNet', _accuracy),
    'fig5': ('Fig. 5: speed-up of Darknet53 on ImageNet', _speed_up),
    'fig6': ('Fig. 6: training loss of YOLOv3 on Pascal VOC', _loss),
    'fig7': ('Fig. 7: speed-up of YOLOv3 on Pascal VOC', _speed_up),
    'mini_table2': ('Table 2 scaled down', _table_2_scaled_down),
    'mini_fig3': ('Fig. 3 scaled down', _accuracy),
    'mini_fig4': ('Fig. 4 scaled down', _accuracy),
    'imagenette_fig3': ('Fig. 3 and 4 on 10 classes of ImageNet', _accuracy),
    'study_cost': ('Cost of k workers on fewer processes', _cost),
    'study_lr_rule': ('Learning rate, loss normalisation and workers', _outcomes),
    'study_fp16_sum': ('Sums of gradients in float16', _overflows),
}

# The experiments that the speed-up model is drawn for.
SPEED_UPS = [name for name, (_, fill) in PAGES.items() if fill is _speed_up]


def _predictions(experiment, site):
    """Lines of the speed-up model, and notes on them."""
    workload = paper_workloads(site.gpu)[experiment.name]
    # Runs on synthetic images have the same network and batch. Only reading costs less.
    same_work = [record for record in experiment.records
                 if set(record.changed) <= {'data.n_synthetic_examples'}]
    one = measured_points(same_work).get(1)
    if one is None:
        origin = (f'assumed: {100 * site.gpu.efficiency:.0f} % of the '
                  f'{site.gpu.fp32_tflops:g} TFLOP/s of one {site.gpu.name}')
    else:
        workload = dataclasses.replace(workload, seconds=one.seconds_per_iteration.median)
        origin = 'the measured one of k = 1'
    model = SpeedUpModel(site)
    models = {('links_as_stated', f'model, links of {site.name}'): model}
    notes = [f'Speed-up model: T(k) = T(1) + A(k), a ring all-reduce of '
             f'{workload.gradient_bytes / 1e6:.1f} MB over the links of {site.name}; T(1) = '
             f'{workload.seconds:.3g} s is {origin}. Formulas: '
             '`yolo_dist/planning/speed_up_model.py`.']
    if site.name == PAPER_SITE:
        workloads, points = paper_workloads(site.gpu), printed_points(experiment.path.parent)
        fitted = fit_link_share(model, workloads, points)
        models['links_fitted', f'model, {fitted.link_share:.3f} of the links'] = fitted
        notes.append(
            'Distance from the speed-ups that the paper prints (root mean square of the '
            f'logarithm, with assumed T(1)): {fit_error(model, workloads, points):.2f} with the '
            f'links as their makers state them; {fit_error(fitted, workloads, points):.2f} where '
            f'the share of the links between nodes, {fitted.link_share:.3f}, is fitted to those '
            'very numbers. A share so small is no property of the links: it stands for all that '
            'the model leaves out.')
    n_workers = sorted({2 ** i for i in range(_LARGEST_PREDICTED.bit_length())}
                       | {record.config.workers for record in experiment.records})
    predictions = [
        Prediction(key, label, {k: each.images_per_second(workload, k) for k in n_workers})
        for (key, label), each in models.items()]
    return predictions, notes


def _notes(records):
    """Return notes on the runs: other settings, bad ends, broken directories."""
    blocks = []
    changed = changed_settings_table(records)
    if changed:
        blocks += ['**Not the experiment of the file.** Runs had other settings, so that their '
                   "numbers do not belong beside the paper's:", changed]
    ends = [f'- {record.config.name}: {record.state}: {record.reason or "no reason recorded"}'
            for record in records if record.state in ('diverged', 'failed')]
    if ends:
        blocks.append('\n'.join(ends))
    problems = [f'- {problem}' for record in records for problem in record.problems]
    if problems:
        blocks.append('\n'.join(['Half-written result directories:', '', *problems]))
    devices = dict.fromkeys(record.device for record in records if record.device)
    if devices:
        blocks.append('Run on: ' + '; '.join(devices) + '.')
    return blocks
