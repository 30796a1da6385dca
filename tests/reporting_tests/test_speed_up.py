"""Speed-ups, their efficiencies, and what may be called a speed of k GPUs."""

import pytest

from yolo_dist.reporting import Prediction, speed_up_csv_lines, speed_up_table
from yolo_dist.reporting.speed_up import measured_points, speed_up_over
from yolo_dist.runs.records import Experiment, Throughput


@pytest.fixture
def create_speed(create_record):
    """A record of k workers on p processes at a number of images a second."""
    def create_speed(k, speed, *, p=None, seed=0, **fields):
        quartiles = {'median': speed, 'lower_quartile': 0.9 * speed, 'upper_quartile': 1.1 * speed}
        throughput = Throughput(
            n_workers=k, n_processes=p or k, images_per_second=quartiles,
            seconds_per_iteration=quartiles,
            phase_seconds=dict.fromkeys(('input', 'forward_backward', 'allreduce', 'update'), 0.1))
        return create_record(f'k{k}', k, seed=seed, state='done', throughput=throughput, **fields)
    return create_speed


def cells(table):
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines()]


def test_speed_up_and_efficiency(create_speed):
    """100, 180, 360 and 600 images/s at 1, 2, 4 and 8: 6 times one GPU, 1.67 times a node of 4."""
    records = [create_speed(k, speed) for k, speed in ((1, 100), (2, 180), (4, 360), (8, 600))]
    points = measured_points(records)
    assert speed_up_over(points, 1) == pytest.approx({1: 1, 2: 1.8, 4: 3.6, 8: 6})
    lines = cells(speed_up_table(records, [], 4))[2:]
    assert [line[5:7] for line in lines] == [
        ['100 %', '-'], ['90 %', '-'], ['90 %', '100 %'], ['75 %', '83 %']]


def test_carried_workers_are_no_speed(create_speed):
    """512 workers on 2 processes stand in no point and no speed-up, and the table says so."""
    records = [create_speed(1, 100), create_speed(512, 90, p=2, paper={'speed_up': 256.0})]
    assert list(measured_points(records)) == [1]
    line = cells(speed_up_table(records, [], 4))[-1]
    assert line[:4] == ['512', '256.0', '-', '-']
    assert line[-1] == 'on 2 processes, no speed of k GPUs'


@pytest.mark.parametrize('has_one', [True, False])
def test_no_speed_up_without_the_speed_of_one(create_speed, has_one):
    """The base is measured, never assumed."""
    records = [create_speed(8, 600), *([create_speed(1, 100)] if has_one else [])]
    assert speed_up_over(measured_points(records), 1) == (
        {1: 1, 8: 6} if has_one else {})


def test_of_several_seeds_the_one_in_the_middle_counts(create_speed):
    """Three runs of the same k are one point."""
    records = [create_speed(4, speed, seed=i) for i, speed in enumerate((300, 500, 350))]
    assert measured_points(records)[4].images_per_second.median == 350


def test_csv_of_speeds(create_speed):
    """Speeds of all runs, speed-ups of those that are one, the model's beside them."""
    records = [create_speed(1, 100), create_speed(2, 180), create_speed(4, 90, p=2)]
    prediction = Prediction('model', 'a model', {1: 10.0, 2: 19.0, 4: 36.0})
    lines = speed_up_csv_lines(Experiment('fig7', records), [prediction])
    assert [line['images_per_second'] for line in lines] == ['100.00', '180.00', '90.00']
    assert [line['n_processes'] for line in lines] == [1, 2, 2]
    assert [line['speed_up'] for line in lines] == ['1.00', '1.80', '']
    assert [line['speed_up_model'] for line in lines] == ['1.00', '1.90', '3.60']
