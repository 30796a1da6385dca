"""Convolutions of any geometry stay inside their memory and agree with Chainer's."""
import pathlib

import pytest


@pytest.mark.parametrize('seed', [0, 1])
def test_random_geometries(python, seed):
    """Values and gradients agree, padding beyond the kernel included, and nothing crashes.

    In a process of its own, as a write past the end of an array may end the process, or may
    show only in another test.
    """
    script = pathlib.Path(__file__).with_name('compare_random_geometries.py')
    done = python(str(script), str(seed), '400')
    assert done.returncode == 0, done.stderr
    assert done.stdout == '400 geometries agree\n'
