"""The grid of a study: settings down, workers across."""

import pytest

from yolo_dist.reporting import draw_outcome_grid, outcome_table
from yolo_dist.reporting.outcome_grid import outcome

METRIC = 'map_percent'
OVERFLOW = ('the float16 sum of the gradients of 32 workers is not finite in 3 parameters, such '
            'as 1 of the 18 elements of /a/b; at iteration 7 (epoch 0.21)')


@pytest.fixture
def study(create_record):
    """Two settings at two k: done, overflow; diverged, running."""
    def of(row, k, **fields):
        return [create_record(row, k, **fields)]
    return {
        'goyal_image_k2': of('goyal_image_k2', 2, state='done', metrics={METRIC: 61.26}),
        'goyal_image_k32': of('goyal_image_k32', 32, state='diverged', reason=OVERFLOW),
        'literal_cell_k2': of('literal_cell_k2', 2, state='diverged',
                              reason='loss is nan at iteration 12 (epoch 0.3)'),
        'literal_cell_k32': of('literal_cell_k32', 32, state='running', log=[
            {'epoch_detail': 0.5, 'iteration': 4, 'overflowed_elements': 0}])}


def test_what_trains_and_what_does_not(study):
    """A number, or what happened and at which iteration."""
    assert outcome_table(study, METRIC).splitlines()[2:] == [
        '| goyal_image | 61.3 | overflow at iteration 7 |',
        '| literal_cell | diverged at iteration 12 | running, epoch 0.5 of 18 |']


def test_an_overflow_that_a_run_survived_is_named(create_record):
    """Dynamic loss scaling skips such updates: the first log entry that counts one."""
    log = [{'iteration': 5, 'overflowed_elements': 0}, {'iteration': 10, 'overflowed_elements': 3},
           {'iteration': 15, 'overflowed_elements': 9}]
    record = create_record('a_k2', 2, state='done', metrics={METRIC: 50.0}, log=log)
    assert outcome([record], METRIC) == (50.0, '50.0; overflow at iteration 10')


def test_the_grid_is_readable(study, create_record, assert_readable, assert_filled):
    """Small, and with nine settings of long names at five k, none of them run."""
    many = {f'literal_positive_{i}_prescaled_k{k}': [create_record(f'r{i}', k)]
            for i in range(9) for k in (2, 8, 32, 64, 128)}
    for rows in (study, many):
        figure = draw_outcome_grid(rows, METRIC)
        assert_readable(figure)
        assert_filled(figure)
        n_cells = sum(len(text.get_text()) > 0 for text in figure.axes[0].texts)
        assert n_cells == len(rows)
