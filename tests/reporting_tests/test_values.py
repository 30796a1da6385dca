"""Means, spreads and states in words."""

import pytest

from yolo_dist.reporting.values import batch_percent, mean_and_spread, ours_in_words

METRIC = 'map_percent'


@pytest.fixture
def create_seeds(create_record):
    """One record a seed, from ``(state, metric or None)``."""
    def create_seeds(*ends):
        return [create_record('row', 8, seed=seed, state=state,
                              metrics={} if value is None else {METRIC: value})
                for seed, (state, value) in enumerate(ends)]
    return create_seeds


@pytest.mark.parametrize('values, expected', [
    ([], (None, None)), ([3.0], (3.0, None)),
    ([1.0, 2.0, 4.5], (2.5, 1.8027756))])  # sqrt((1.5^2 + 0.5^2 + 2^2) / 2)
def test_mean_and_spread(values, expected):
    """The spread is the sample's, and none of a single run."""
    mean, spread = mean_and_spread(values)
    assert (mean, spread) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


@pytest.mark.parametrize('ends, text', [
    ([('not run', None)], 'not run'),
    ([('not run', None)] * 3, 'not run'),
    ([('done', 78.04)], '78.0'),
    ([('done', 0.0)], '0.0'),
    ([('done', 77.0), ('done', 79.0)], '78.0 ± 1.4 (2 seeds)'),
    ([('done', 78.0), ('diverged', None), ('diverged', None)],
     '78.0 (1 of 3 seeds; diverged: 2)'),
    ([('done', 77.0), ('done', 79.0), ('not run', None)], '78.0 ± 1.4 (2 of 3 seeds; not run: 1)'),
    ([('diverged', None), ('not run', None)], 'diverged: 1; not run: 1')])
def test_a_row_in_words(create_seeds, ends, text):
    """A number is a mean of what is done, and what is not done is said beside it."""
    assert ours_in_words(create_seeds(*ends), METRIC) == text


@pytest.mark.parametrize('state, text', [
    ('running', 'running, epoch 4.5 of 18'), ('stopped', 'stopped, epoch 4.5 of 18'),
    ('failed', 'failed')])
def test_a_run_on_its_way_says_where_it_is(create_record, state, text):
    """The position is that of the last log entry."""
    log = [{'epoch_detail': 4.5, 'iteration': 9}]
    assert ours_in_words([create_record('row', 8, state=state, log=log)], METRIC) == text


def test_the_batch_as_a_share_of_the_set(create_record):
    """8 workers x 8 images after 25 iterations and 2 epochs: 64 of 800 images."""
    log = [{'epoch_detail': 2.0, 'iteration': 25}]
    known = create_record('known', 8, log=log)
    unknown = create_record('unknown', 16)
    assert batch_percent(known) == 8
    assert batch_percent(unknown) is None
    assert batch_percent(unknown, [unknown, known]) == 16
