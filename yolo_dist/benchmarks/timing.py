"""Measuring several things in alternation, so that all see the same machine."""
import statistics
import time
from typing import NamedTuple

import numpy as np

_PEAK_SIDE = 1536  # of the matrices whose product stands for the machine's peak
_MIN_SAMPLE_SECONDS = 0.1
_REST_SECONDS = 0.1  # in which the threads of the contestant before give up looking for more work


class Timing(NamedTuple):
    """Times of one contestant, seconds for one call, one value a round.

    Attributes:
        seconds (tuple of float): In order of time.
    """

    seconds: tuple

    @property
    def median(self):
        """Median, seconds."""
        return statistics.median(self.seconds)

    @property
    def best(self):
        """Shortest, seconds."""
        return min(self.seconds)

    @property
    def spread(self):
        """Half the range between the quartiles over the median; 0 for one round."""
        if len(self.seconds) < 2:
            return 0.
        quartiles = np.percentile(self.seconds, (25, 75))
        return float(quartiles[1] - quartiles[0]) / 2 / self.median


def _host_seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternate(contestants, *, repeats, warm_up=1, seconds_of=_host_seconds):
    """Time contestants in turn.

    On a machine shared with others the speed of one moment says little; the ratio
    of two neighbouring moments says more (:func:`ratio`). Short calls are repeated
    until a sample lasts 0.1 s.

    Args:
        contestants (dict of str to callable): What to time.
        repeats (int): Rounds.
        warm_up (int): Calls of each beforehand.
        seconds_of (callable): ``seconds_of(function)`` calls it and says how long it took.

    Returns:
        dict of str to Timing: For each contestant.
    """
    n_calls = {}
    for name, function in contestants.items():
        for _ in range(warm_up):
            function()
        n_calls[name] = max(1, round(_MIN_SAMPLE_SECONDS / _time(function, 1, seconds_of)))
    samples = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, function in contestants.items():
            time.sleep(_REST_SECONDS)
            samples[name].append(_time(function, n_calls[name], seconds_of))
    return {name: Timing(tuple(seconds)) for name, seconds in samples.items()}


def _time(function, n_calls, seconds_of):
    def sample():
        for _ in range(n_calls):
            function()
    return max(seconds_of(sample), 1e-9) / n_calls


def ratio(slower, faster):
    """Median over the rounds of ``slower / faster``: how many times as fast.

    Args:
        slower (Timing): Of the one compared with.
        faster (Timing): Of the one of interest.

    Returns:
        float: Above 1 where ``faster`` is.
    """
    return statistics.median(a / b for a, b in zip(slower.seconds, faster.seconds, strict=True))


def create_sgemm():
    """Make the contestant that stands for the machine's peak.

    Returns:
        tuple: A callable, and the floating-point operations of one call.
    """
    a, b, c = (np.ones((_PEAK_SIDE, _PEAK_SIDE), np.float32) for _ in range(3))
    return lambda: np.matmul(a, b, out=c), 2 * _PEAK_SIDE ** 3
