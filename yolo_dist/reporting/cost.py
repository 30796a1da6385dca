"""What k workers cost on fewer processes: the time of an update, and memory."""
from yolo_dist.drawing import add_legend, create_figure, label_worker_axis, legend_entries, say
from yolo_dist.reporting.tables import markdown_table
from yolo_dist.reporting.values import decimal, number, state_in_words


def _measured(records):
    return sorted(((record.throughput.n_workers, record.throughput) for record in records
                   if record.throughput is not None), key=lambda point: point[0])


def draw_cost(records):
    """Draw seconds of an update and peak memory over k.

    Args:
        records (list): Records of throughput runs, of all rows and seeds.

    Returns:
        matplotlib.figure.Figure: The figure. A dashed line is k times the time of the smallest k.
    """
    figure, [times, memory] = create_figure(10.5, 4.2, 1, 2)
    points = _measured(records)
    if not points:
        say(times, 'not run')
        say(memory, 'not run')
        return figure
    n_workers = [k for k, _ in points]
    seconds = [point.seconds_per_iteration for _, point in points]
    times.plot(n_workers, [seconds[0].median * k / n_workers[0] for k in n_workers], '--',
               color='0.6', label=f'k times the time at k = {n_workers[0]}')
    times.errorbar(
        n_workers, [value.median for value in seconds], color='C0', marker='o', linestyle='none',
        capsize=3, label='measured (quartiles)',
        yerr=[[value.median - value.lower_quartile for value in seconds],
              [value.upper_quartile - value.median for value in seconds]])
    times.set_yscale('log')
    times.set_ylabel('seconds an update')
    memory.plot(n_workers, [point.peak_memory_megabytes for _, point in points], 'o-', color='C0')
    memory.set_ylim(0, 1.1 * max(point.peak_memory_megabytes or 0 for _, point in points) or 1)
    memory.set_ylabel('peak memory of a process [MB]')
    for axes in (times, memory):
        label_worker_axis(axes, n_workers)
        axes.set_xlabel('workers k')
        axes.grid(alpha=0.3)
    add_legend(figure, *legend_entries([times]))
    return figure


def cost_table(records):
    """Return the figure as a Markdown table, one line for each run."""
    return markdown_table(
        ['workers k', 'processes', 'seconds an update', 'quartiles', 'images/s', 'peak memory, MB',
         'state'],
        [[f'{record.planned.workers:,}', *_figures(record.throughput), state_in_words(record)]
         for record in records])


def _figures(point):
    if point is None:
        return ['-'] * 5
    seconds = point.seconds_per_iteration
    return [f'{point.n_processes:,}', f'{seconds.median:.3f}',
            f'{seconds.lower_quartile:.3f} - {seconds.upper_quartile:.3f}',
            number(point.images_per_second.median),
            '-' if point.peak_memory_megabytes is None else f'{point.peak_memory_megabytes:,.0f}']


def cost_csv_lines(experiment):
    """Return the CSV lines of the experiment, one for each run.

    Args:
        experiment (~yolo_dist.runs.records.Experiment): The experiment with its records.

    Returns:
        list of dict: Unknown values are empty.
    """
    lines = []
    for record in experiment.records:
        point = record.throughput
        seconds = point and point.seconds_per_iteration
        lines.append({
            'experiment': experiment.name, 'row': record.row, 'seed': record.seed,
            'k': record.planned.workers, 'n_processes': point.n_processes if point else '',
            'seconds_per_update': decimal(seconds and seconds.median),
            'lower_quartile': decimal(seconds and seconds.lower_quartile),
            'upper_quartile': decimal(seconds and seconds.upper_quartile),
            'images_per_second': decimal(point and point.images_per_second.median),
            'peak_memory_megabytes': decimal(point and point.peak_memory_megabytes),
            'state': record.state})
    return lines
