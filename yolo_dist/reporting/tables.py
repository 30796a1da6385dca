"""Tables as Markdown and as CSV."""

import csv
import re

from yolo_dist.reporting.values import (
    MODEL_TITLES,
    as_yaml,
    batch_percent,
    changed_in_words,
    decimal,
    difference,
    lines_of_table_2,
    mean_and_spread,
    metric_values,
    metrics_of,
    number,
    ours_in_words,
    reported,
    reported_values,
    state_in_words,
)

_COMPARISON = ('run', 'k', 'batch k n', 'metric', 'paper', 'ours', 'difference', 'state')
_FOUND = ('seed', 'ours', 'difference', 'spread', 'n_seeds', 'batch_percent', 'state', 'reason',
          'changed_settings')


def markdown_table(header, rows):
    """Return a Markdown table.

    Args:
        header (sequence of str): Titles of the columns.
        rows (iterable of sequence of str): Cells.

    Returns:
        str: Its lines.
    """
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join('| ' + ' | '.join(cell.replace('|', '\\|') for cell in line) + ' |'
                     for line in lines)


def comparison_table(records):
    """Return the paper's numbers beside ours, as a Markdown table.

    Args:
        records (list): One :class:`~yolo_dist.runs.records.Record` for each run.

    Returns:
        str: One line for each run and metric, at least one for each run, and one for the
        mean of several seeds. "ours" is ``not run`` if the run was never started, and
        ``-`` if it has no result (yet). "paper" is ``-`` for values that the paper does
        not print.
    """
    by_row = {}
    for record in records:
        by_row.setdefault(re.sub(r'/seed_\d+$', '', record.config.name), []).append(record)
    lines = []
    for row, seeds in by_row.items():
        for metric in metrics_of(seeds) or ['-']:
            paper = reported(seeds, metric)
            shape = [str(seeds[0].config.workers), f'{seeds[0].config.global_batch_size:,}',
                     metric, number(paper)]
            for record in seeds:
                ours = record.metrics.get(metric)
                lines.append([
                    record.config.name, *shape, number(ours) if record.is_started else 'not run',
                    number(difference(ours, paper), '+'), state_in_words(record)])
            if len(seeds) > 1:
                mean, _ = mean_and_spread(metric_values(seeds, metric))
                lines.append([f'{row}, mean', *shape, ours_in_words(seeds, metric),
                              number(difference(mean, paper), '+'), ''])
    return markdown_table(_COMPARISON, lines)


def table_2(rows, metric, paper):
    """Return a table in the shape of the paper's Table 2: models down, numbers of GPUs across.

    Args:
        rows (dict): ``{row: list of Record}``, one record for each seed.
        metric (str): The metric to compare.
        paper (dict): ``{row: the paper's value}``.

    Returns:
        str: For each model the lines paper, ours (one for each eta) and difference, with the mean
        and the spread over seeds, or a state such as ``not run`` if there is no result.
        The line of differences is left out if the values of the paper belong to other
        experiments, which is the case for scaled-down sets.
    """
    batches = {}
    for records in rows.values():
        planned = records[0].planned
        batches.setdefault(planned.workers, set()).add(planned.global_batch_size)
    n_workers = sorted(batches)
    lines = [['batch k n', '', *(' / '.join(f'{batch:,}' for batch in sorted(batches[k]))
                                 for k in n_workers)]]
    titles = dict(MODEL_TITLES)
    for (model, eta), line in lines_of_table_2(rows).items():
        row_of = {rows[row][0].planned.workers: row for row in line}
        theirs, ours, differences = [], [], []
        for row in map(row_of.get, n_workers):
            records = rows.get(row, [])
            mean, _ = mean_and_spread(metric_values(records, metric))
            theirs.append(number(paper.get(row)))
            ours.append(ours_in_words(records, metric) if records else '-')
            differences.append(number(difference(mean, paper.get(row)), '+'))
        changed = any(record.changed for row in line for record in rows[row])
        ours_title = 'ours' if eta is None else f'ours, eta = {eta:g}'
        block = [[f'{ours_title}, **other settings**' if changed else ours_title, *ours]]
        if any(row in paper for row in line):
            block.insert(0, ['paper', *theirs])
        if reported_values(rows, metric):
            block.append(['difference', *differences])
        # Its name stands in the first line of a model.
        lines += [[titles.pop(model, ''), *cells] for cells in block]
    return markdown_table(['GPUs k', '', *map(str, n_workers)], lines)


def changed_settings_table(records):
    """Return the settings in which runs differ from the experiment file.

    Args:
        records (list): Records of one experiment.

    Returns:
        str: A Markdown table; empty if all started runs have the settings of the file.
    """
    started = [record for record in records if record.is_started]
    by_key = {}
    for record in started:
        for key, values in record.changed.items():
            by_key.setdefault(key, []).append(values)
    lines = []
    for key, pairs in by_key.items():
        planned, run = (', '.join(dict.fromkeys(map(as_yaml, values))) for values in zip(*pairs))
        n_runs = 'all' if len(pairs) == len(started) else f'{len(pairs)} of {len(started)}'
        lines.append([f'`{key}`', planned, run, n_runs])
    return markdown_table(['setting', 'in the file', 'as run', 'runs'], lines) if lines else ''


def write_csv(path, lines):
    """Write a CSV file.

    Args:
        path (pathlib.Path): The file.
        lines (list of dict): At least one line. The keys of the first line are the columns.
    """
    # Unix line ends make the file the same on all machines.
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(lines)


def metric_lines(experiment):
    """Return the lines of an experiment with metrics for :func:`write_csv`.

    Args:
        experiment (~yolo_dist.runs.records.Experiment): The experiment with its records.

    Returns:
        list of dict: For each metric and row one line for each seed, and one whose ``seed``
        is ``mean``. ``spread`` is the sample standard deviation over the ``n_seeds`` seeds
        that have a result. ``batch_percent`` is the batch as a share of the training set,
        taken from a log. Unknown values are empty.
    """
    metrics = metrics_of(experiment.records) or ['']
    return [line for row, records in experiment.rows().items() for metric in metrics
            for line in _metric_lines_of_row(experiment.name, row, records, metric)]


def _metric_lines_of_row(name, row, records, metric):
    planned, paper = records[0].planned, reported(records, metric)

    def line(**found):
        return {'experiment': name, 'row': row, 'model': planned.model.name,
                'k': planned.workers, 'batch': planned.global_batch_size, 'metric': metric,
                'paper': decimal(paper), **dict.fromkeys(_FOUND, ''), **found}

    for record in records:
        ours = record.metrics.get(metric)
        yield line(
            seed=record.seed, ours=decimal(ours), difference=decimal(difference(ours, paper)),
            batch_percent=decimal(batch_percent(record)), state=record.state,
            reason=record.reason, changed_settings=changed_in_words(record))
    values = metric_values(records, metric)
    mean, spread = mean_and_spread(values)
    yield line(seed='mean', ours=decimal(mean), difference=decimal(difference(mean, paper)),
               spread=decimal(spread), n_seeds=len(values))
