"""Learning rates by hand from the paper."""

import math

import pytest

from yolo_dist.config.sections import Constant, Polynomial, Step
from yolo_dist.training.schedules import Schedule, scale_lr

CONSTANT = Constant(kind='constant')
STEP = Step(kind='step', at_epochs=[60., 90.], factor=0.1)


@pytest.mark.parametrize('k, expected', [(64, 0.8), (128, 1.6), (256, 3.2), (512, 6.4)])
def test_imagenet_rates_are_those_of_section_4_1(k, expected):
    """k n / 256 x 0.1 with n = 32."""
    assert scale_lr(0.1, lr_rule='linear', n_workers=k, batch_size_per_worker=32,
                    base_lr_batch_size=256) == pytest.approx(expected)


@pytest.mark.parametrize('lr_rule, k8, k96', [
    ('literal', 0.128, 1.536), ('linear', 0.008, 0.096), ('darknet', 0.002, 0.024)])
def test_voc_rates_are_those_of_each_reading_of_section_4_2(lr_rule, k8, k96):
    """The three readings of "k n x eta" with n = 16 and eta = 0.001."""
    rates = [scale_lr(0.001, lr_rule=lr_rule, n_workers=k, batch_size_per_worker=16,
                      base_lr_batch_size=16) for k in (8, 96)]
    assert rates == pytest.approx([k8, k96])


def test_unknown_rule_is_an_error():
    """A misspelt rule never falls back to another one."""
    with pytest.raises(ValueError, match='sqrt'):
        scale_lr(0.1, lr_rule='sqrt', n_workers=1, batch_size_per_worker=1)


@pytest.mark.parametrize('epoch, expected', [
    (0, 0.1), (0.99, 0.1), (1, 0.1), (2, 0.1 + 6.3 / 4), (4, 0.1 + 3 * 6.3 / 4),
    (5, 6.4 * (195 / 200) ** 2), (100, 1.6), (150, 0.4), (200, 0)])
def test_fig3_k512_rates(epoch, expected):
    """First epoch at eta, linear to 6.4 by epoch 5, then polynomial of power 2."""
    schedule = Schedule(0.1, 6.4, 200, 'hold_first_epoch', 5,
                        Polynomial(kind='polynomial', power=2.))
    assert schedule(epoch) == pytest.approx(expected)


@pytest.mark.parametrize('epoch, expected', [
    (0, 0.001), (2.5, 0.0485), (5, 0.096), (59.9, 0.096), (60, 0.0096), (90, 0.00096),
    (100, 0.00096)])
def test_table2_k96_rates(epoch, expected):
    """Ramp at each iteration for 5 epochs, then 1/10 at epochs 60 and 90."""
    schedule = Schedule(0.001, 0.096, 100, 'gradual', 5, STEP)
    assert schedule(epoch) == pytest.approx(expected)


def test_rate_below_eta_has_no_warmup():
    """A run that is scaled down starts at its own rate, not at eta."""
    schedule = Schedule(0.1, 0.05, 10, 'gradual', 5, CONSTANT)
    assert {schedule(epoch / 10) for epoch in range(100)} == {0.05}


def test_gradual_warmup_grows_by_a_constant_amount():
    """[Goyal et al. 2017, sec. 2.2]: equal steps at each iteration."""
    schedule = Schedule(0.1, 3.2, 90, 'gradual', 5, CONSTANT)
    rates = [schedule(i / 100) for i in range(501)]
    steps = [later - earlier for earlier, later in zip(rates, rates[1:])]
    assert max(steps) == pytest.approx(min(steps)) == pytest.approx(3.1 / 500)


def test_none_warmup_starts_at_the_scaled_rate():
    """Without warm-up the first update has the scaled rate."""
    assert Schedule(0.1, 3.2, 90, 'none', 0, CONSTANT)(0) == 3.2


def test_past_the_end_the_polynomial_stays_at_zero():
    """Rounding of the last iteration past the last epoch gives no negative or complex rate."""
    rate = Schedule(0.1, 3.2, 10, 'none', 0, Polynomial(kind='polynomial', power=2.5))(10.01)
    assert rate == 0 and not math.isnan(rate)


def test_table_shows_each_change_of_course():
    """The table that a log begins with has the warm-up's end and both steps."""
    table = dict(Schedule(0.001, 0.096, 100, 'gradual', 5, STEP).table())
    assert set(table) >= {0, 5, 60, 90, 100}
    assert table[60] == pytest.approx(0.0096)
