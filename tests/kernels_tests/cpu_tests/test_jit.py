"""The machine code that processes share is a function's own, and is made once."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]

PROGRAM = """
import sys
import numpy as np
import yolo_dist
from numba.core import caching
from yolo_dist.kernels.cpu import jit

when, dtype, jit._digest_of_kernels = sys.argv[1:]
if when == 'together':  # each waits until both are there
    print('ready', flush=True)
    sys.stdin.readline()

@jit.kernel
def half(x):
    return x[0] / 2

if when == 'at once':  # it looked into the cache before the other one had written to it
    caching.IndexDataCacheFile._load_index = lambda self: {}
print(half(np.array([3.], dtype)), sum(half.stats.cache_hits.values()))
"""


def run(python, tmp_path, *arguments):
    script = tmp_path / 'script.py'
    if not script.exists():  # its time is a part of what Numba compares
        script.write_text(PROGRAM)
    done = python(script, *arguments, env={'NUMBA_CACHE_DIR': str(tmp_path / 'cache')})
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_processes_that_compile_at_once_keep_their_own_code(python, tmp_path):
    """Of two that write to an empty cache, neither puts its code under the other's name."""
    run(python, tmp_path, 'first', 'float32', 'a')
    first = {path: path.read_bytes() for path in (tmp_path / 'cache').rglob('*.nbc')}
    run(python, tmp_path, 'at once', 'float64', 'a')
    for path, code in first.items():  # which is the last of the four writes
        path.write_bytes(code)
    assert run(python, tmp_path, 'later', 'float64', 'a') == ['1.5', '1']


def test_of_processes_that_come_at_once_one_compiles(tmp_path):
    """The other one takes its code."""
    script = tmp_path / 'script.py'
    script.write_text(PROGRAM)
    both = [subprocess.Popen(
        [sys.executable, script, 'together', 'float32', 'a'], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, 'NUMBA_CACHE_DIR': str(tmp_path / 'cache'),
             'PYTHONPATH': str(ROOT)}) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ['ready\n', 'ready\n']
    for process in both:
        process.stdin.write('\n')
        process.stdin.flush()
    answers = [process.communicate()[0].split() for process in both]
    assert sorted(answers) == [['1.5', '0'], ['1.5', '1']]


def test_a_change_of_any_kernel_is_noticed(python, tmp_path):
    """Code that another kernel may have been compiled into is compiled anew."""
    assert run(python, tmp_path, 'first', 'float32', 'a') == ['1.5', '0']
    assert run(python, tmp_path, 'again', 'float32', 'a') == ['1.5', '1']
    assert run(python, tmp_path, 'changed', 'float32', 'b') == ['1.5', '0']


TILES = """
import sys
import numpy as np
import yolo_dist
from yolo_dist.kernels.cpu import winograd_kernels

x = np.ones((1, 4, 4, 8), np.float32)
for name in sys.argv[1:]:
    planes = np.zeros((36, 8), np.float32)
    if name == 'input':
        winograd_kernels.transform_input(4, x, planes, 0, 0, 1, 1, 1, 1)
    else:
        winograd_kernels.transform_output_gradient(4, x, planes, 0, 0, 1, 1, 1)
    print(planes.tobytes().hex())
"""


def test_code_of_several_processes_runs_together(python, tmp_path):
    """Functions of one name, made by one function, were compiled by two processes in one order."""
    def planes(*names):
        return python('-c', TILES, *names, env={'NUMBA_CACHE_DIR': str(tmp_path)}).stdout.split()

    alone = [*planes('input'), *planes('gradient')]
    assert len({*alone}) == 2
    assert planes('input', 'gradient') == alone
