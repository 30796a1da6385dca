_HEADER = ('run', 'k', 'batch k n', 'metric', 'paper', 'ours', 'difference', 'state')


def _number(value, sign=''):
    return '-' if value is None else f'{value:{sign}.1f}'


def comparison_table(records):
    """The paper's numbers beside ours, as a Markdown table.

    Args:
        records (list): One :class:`~yolo_dist.records.Record` a run.

    Returns:
        str: One line a run and metric, at least one a run. "ours" is ``not run``
        where the run was never started, and ``-`` where it has no result (yet).
        What the paper does not print is ``-`` under "paper".
    """
    lines = ['| ' + ' | '.join(_HEADER) + ' |', '|' + ' --- |' * len(_HEADER)]
    for record in records:
        reported = record.config.paper.reported
        for metric in dict.fromkeys([*reported, *record.metrics]) or ['-']:
            paper, ours = reported.get(metric), record.metrics.get(metric)
            difference = None if None in (paper, ours) else ours - paper
            lines.append('| ' + ' | '.join([
                record.config.name, str(record.config.workers),
                f'{record.config.global_batch_size:,}', metric, _number(paper),
                'not run' if record.state == 'not run' else _number(ours),
                _number(difference, '+'),
                record.state]) + ' |')
    return '\n'.join(lines)
