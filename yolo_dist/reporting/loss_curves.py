from yolo_dist.drawing import add_legend, create_figure, legend_entries, say, shades
from yolo_dist.reporting.tables import markdown_table
from yolo_dist.reporting.values import changed_in_words, decimal, state_in_words

_LINE_STYLES = ('-', '--', ':', '-.')


def loss_table(records):
    """Last training loss of each run, as a Markdown table."""
    lines = []
    for record in records:
        epoch, loss = _last(record)
        lines.append([record.config.name, str(record.config.workers),
                      f'{record.config.global_batch_size:,}',
                      decimal(epoch) or '-', decimal(loss) or '-', state_in_words(record)])
    return markdown_table(['run', 'k', 'batch k n', 'epoch', 'training loss', 'state'], lines)


def loss_csv_lines(experiment):
    """Return the last training losses for :func:`~yolo_dist.reporting.tables.write_csv`.

    Args:
        experiment (~yolo_dist.runs.records.Experiment): The experiment with its records.

    Returns:
        list of dict: One line for each row and seed.
    """
    lines = []
    for record in experiment.records:
        epoch, loss = _last(record)
        lines.append({
            'experiment': experiment.name, 'row': record.row, 'model': record.planned.model.name,
            'k': record.planned.workers, 'batch': record.planned.global_batch_size,
            'seed': record.seed, 'epoch': decimal(epoch), 'training_loss': decimal(loss),
            'state': record.state, 'reason': record.reason,
            'changed_settings': changed_in_words(record)})
    return lines


def _points(record):
    """``(epoch, loss)`` of all log entries."""
    return [(entry['epoch_detail'], entry['train/loss']) for entry in record.log
            if entry.get('epoch_detail') is not None and entry.get('train/loss') is not None]


def _last(record):
    points = _points(record)
    return points[-1] if points else (None, None)


def draw_loss_curves(rows):
    """Draw the training loss over epochs, one colour for each row, as in fig. 6.

    The loss is the mean over all workers and over the iterations since the previous entry.
    Several seeds have different line styles.

    Args:
        rows (dict): ``{row: list of Record}``, one record for each seed.

    Returns:
        matplotlib.figure.Figure: The figure.
    """
    figure, [axes] = create_figure(10, 4.4)
    everything = [record for records in rows.values() for record in records]
    started = [record for record in everything if record.is_started]
    epochs = max(record.config.schedule.epochs for record in started or everything)
    for color, records in zip(shades(len(rows)), rows.values()):
        for i, record in enumerate(records):
            points = _points(record)
            if points:
                axes.plot(*zip(*points), color=color, label=_label(record),
                          linestyle=_LINE_STYLES[i % len(_LINE_STYLES)], linewidth=1.2,
                          marker='o' if len(points) == 1 else None, markersize=4)
    axes.set_xlabel('epoch')
    axes.set_ylabel('training loss')
    axes.set_xlim(0, epochs)
    axes.grid(alpha=0.3, which='both')
    if axes.lines:
        axes.set_yscale('log')
    else:
        axes.set_yticks([])
        say(axes, 'not run; the paper prints curves without numbers')
    add_legend(figure, *legend_entries([axes]))
    return figure


def _label(record):
    label = f'k = {record.config.workers}, batch {record.config.global_batch_size:,}'
    if record.seed:
        label += f', seed {record.seed}'
    return label if record.state == 'done' else f'{label} ({state_in_words(record)})'
