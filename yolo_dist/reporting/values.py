"""Words and numbers for records, the same in all tables and figures."""

import collections
import json
import statistics

MODEL_TITLES = {'darknet19': 'Darknet19', 'darknet53': 'Darknet53',
                'yolo_v2': 'YOLOv2', 'yolo_v3': 'YOLOv3'}
METRIC_TITLES = {'map_percent': 'mAP [%]', 'top1_accuracy_percent': 'top-1 accuracy [%]',
                 'top5_accuracy_percent': 'top-5 accuracy [%]'}


def metric_values(records, metric):
    """Return final values of those records that have one."""
    return [record.metrics[metric] for record in records if metric in record.metrics]


def mean_and_spread(values):
    """Mean and sample standard deviation.

    Args:
        values (list of float): One value for each seed.

    Returns:
        tuple: Mean and spread; ``(None, None)`` without values; spread ``None`` with one value.
    """
    if not values:
        return None, None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def reported(records, metric):
    """Return the paper's value for a row; ``None`` if the paper prints none."""
    return records[0].planned.reported.get(metric)


def reported_values(rows, metric):
    """Return the paper's values, ``{row: value}``, without the rows that have none."""
    return {row: value for row, records in rows.items()
            if (value := reported(records, metric)) is not None}


def metrics_of(records):
    """Metrics that the paper or a record has a value for, in a fixed order."""
    return list(dict.fromkeys(
        metric for record in records
        for metric in [*record.planned.reported, *record.metrics]))


def lines_of_table_2(rows):
    """Return the rows of each model and eta, by rising number of workers.

    Args:
        rows (dict): ``{row: list of Record}``.

    Returns:
        dict: ``{(model, eta): list of rows}``, models by name and the largest eta first. ``eta``
        is ``None`` for a model whose rows all have the same.
    """
    lines = {}
    for model, minus_eta, _, row in sorted(
            (planned.model.name, -planned.optimizer.base_lr, planned.workers, row)
            for row, records in rows.items() for planned in [records[0].planned]):
        lines.setdefault((model, -minus_eta), []).append(row)
    n_etas = collections.Counter(model for model, _ in lines)
    return {(model, eta if n_etas[model] > 1 else None): line
            for (model, eta), line in lines.items()}


def batch_percent(record, others=()):
    """Batch of a run as a share of its training set, %; ``None`` if no log has the size.

    Args:
        record (~yolo_dist.runs.records.Record): The run.
        others (iterable): Records of runs on the same set, used if ``record`` has no log.
    """
    sizes = (one.n_training_images for one in [record, *others])
    n_images = next((size for size in sizes if size), None)
    return n_images and 100 * record.config.global_batch_size / n_images


def number(value, sign=''):
    """One decimal, as the paper prints its percentages; ``-`` for none."""
    return '-' if value is None else f'{value:{sign}.1f}'


def decimal(value):
    """Return a number for a file: empty for ``None``, with enough digits for a small number."""
    return '' if value is None else f'{value:.4g}' if abs(value) < 1 else f'{value:.2f}'


def as_yaml(value):
    """Return a setting in the notation of an experiment file, on one line."""
    return json.dumps(value, ensure_ascii=False)


def changed_in_words(record):
    """Return the settings that differ from the experiment file, ``key=value; ...``."""
    return '; '.join(f'{key}={as_yaml(run)}' for key, (_, run) in record.changed.items())


def difference(ours, paper):
    """Our value minus the paper's value; ``None`` if either is missing."""
    return None if None in (ours, paper) else ours - paper


def state_in_words(record):
    """State of a run, with its epoch if the run is not at its end."""
    if record.state in ('running', 'stopped', 'dead') and record.epoch is not None:
        return (f'{record.state}, epoch {record.epoch:.1f} of '
                f'{record.config.schedule.epochs:g}')
    return record.state


def ours_in_words(records, metric):
    """Return the result of a row: mean, spread and seeds, or its state in words.

    Args:
        records (list): One record for each seed.
        metric (str): Name of the metric.

    Returns:
        str: ``78.0``, ``78.0 ± 0.2 (3 seeds)``, ``78.0 (1 of 3 seeds; diverged: 2)``,
        or a state such as ``not run``.
    """
    mean, spread = mean_and_spread(metric_values(records, metric))
    others = collections.Counter(state_in_words(record) for record in records
                                 if metric not in record.metrics)
    if mean is None and len(others) == 1:
        return next(iter(others))
    states = '; '.join(f'{state}: {count}' for state, count in others.items())
    if mean is None:
        return states
    text = number(mean) if spread is None else f'{number(mean)} ± {number(spread)}'
    if others:
        return f'{text} ({len(records) - others.total()} of {len(records)} seeds; {states})'
    return text if len(records) == 1 else f'{text} ({len(records)} seeds)'
