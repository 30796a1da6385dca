"""Float16 by instructions of the processor: the bits of NumPy's."""
import os
import subprocess
import sys

import numpy as np
import pytest

from yolo_dist.kernels.cpu.float16_sum import add_half, from_half, to_half


def all_halves():
    return np.arange(2 ** 16, dtype=np.uint16).view(np.float16)


def same(first, second):
    """Whether two arrays have the same bits, one NaN being as good as another."""
    bits = {2: np.uint16, 4: np.uint32}[first.itemsize]
    return ((first.view(bits) == second.view(bits)) | (np.isnan(first) & np.isnan(second))).all()


@pytest.mark.filterwarnings('ignore:overflow', 'ignore:invalid')
def test_halves_are_rounded_as_numpy_does():
    """Every half, the floats beside it, ties, both infinities and NaN; counts are exact."""
    halves = all_halves().astype(np.float32)
    x = np.concatenate([halves, np.nextafter(halves, np.float32(np.inf)), halves * 1.000244140625,
                        halves * 1.00048828125, [2 ** -26, 65519.996, 65520, -65520, 1e30]])
    x = x.astype(np.float32)
    found = np.empty(x.size, np.float16)
    n_underflowed = to_half(x, found, scale=1)
    assert same(found, x.astype(np.float16))
    assert n_underflowed == np.count_nonzero((x != 0) & (found == 0)) > 0
    back = np.empty(2 ** 16, np.float32)
    n_infinite = from_half(all_halves(), back, scale=1)
    assert same(back, halves)
    assert n_infinite == np.count_nonzero(~np.isfinite(halves)) == 2 * 1024


@pytest.mark.filterwarnings('ignore:overflow', 'ignore:invalid')
def test_halves_are_added_as_numpy_does():
    """A million pairs of any bits."""
    x = np.random.default_rng(0).integers(0, 2 ** 16, 10 ** 6).astype(np.uint16).view(np.float16)
    y = np.random.default_rng(1).integers(0, 2 ** 16, 10 ** 6).astype(np.uint16).view(np.float16)
    expected = x + y
    add_half(x, y)
    assert same(y, expected)


def test_without_instructions_the_same_is_computed(tmp_path):
    """NumPy computes where Numba compiles for a processor that has none, which would end it."""
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-k', 'as_numpy', __file__],
        env={**os.environ, 'NUMBA_CPU_NAME': 'generic', 'NUMBA_CACHE_DIR': str(tmp_path)},
        capture_output=True, text=True)
    assert done.returncode == 0 and '2 passed' in done.stdout, done.stdout + done.stderr
