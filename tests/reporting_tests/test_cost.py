"""The cost of k workers on fewer processes."""
import numpy as np
import pytest

from yolo_dist.reporting.cost import cost_csv_lines, cost_table, draw_cost
from yolo_dist.runs.records import Experiment, Throughput


@pytest.fixture
def create_cost(create_record):
    """A record of k workers on one process; ``None`` for a run that was not started."""
    def create_cost(k, seconds, megabytes=700.):
        quartiles = seconds and {'median': seconds, 'lower_quartile': .9 * seconds,
                                 'upper_quartile': 1.2 * seconds}
        throughput = seconds and Throughput(
            n_workers=k, n_processes=1, seconds_per_iteration=quartiles, phase_seconds={},
            images_per_second=dict.fromkeys(quartiles, 16 * k / seconds),
            peak_memory_megabytes=megabytes)
        return create_record(f'yolo_v3_k{k}', k, state='done' if seconds else 'not run',
                             throughput=throughput)
    return create_cost


def test_table_and_file_of_costs(create_cost):
    """One line for each run, measured or not; records of before had no memory."""
    records = [create_cost(1, .125), create_cost(8, 1., None), create_cost(128, None)]
    lines = cost_table(records).splitlines()[2:]
    assert [[cell.strip() for cell in line.strip('|').split('|')][:6] for line in lines] == [
        ['1', '1', '0.125', '0.113 - 0.150', '128.0', '700'],
        ['8', '1', '1.000', '0.900 - 1.200', '128.0', '-'], ['128', *'-----']]
    lines = cost_csv_lines(Experiment('study_cost', records))
    assert [(line['k'], line['seconds_per_update'], line['peak_memory_megabytes'])
            for line in lines] == [(1, '0.125', '700.00'), (8, '1.00', ''), (128, '', '')]


def test_figure_of_costs(create_cost, assert_readable, assert_filled):
    """Measured times beside k times the smallest one, and memory; in words where nothing was."""
    figure = draw_cost([create_cost(k, .125 * k, 600. + k) for k in (8, 1, 2, 128)])
    times, memory = figure.axes
    measured = times.containers[0].lines[0]
    for line in (times.lines[0], measured):
        np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [1, 2, 8, 128])
        np.testing.assert_allclose(np.asarray(line.get_ydata(), float), [.125, .25, 1, 16])
    np.testing.assert_allclose(memory.lines[0].get_ydata(), [601, 602, 608, 728])
    for drawn in (figure, draw_cost([create_cost(1, None)])):
        assert_readable(drawn)
        assert_filled(drawn)
