"""The mean of the gradients of k workers on P processes, in float32 and in float16."""

import json

import numpy as np
import pytest

from yolo_dist.kernels.cpu.float16_sum import add_half, from_half, to_half

# Each worker's gradients are drawn from its number, so that any P can make its share.
MEAN = """
import json, sys
import numpy as np
import yolo_dist
from yolo_dist.distributed import communicator, launch

def gradient(worker, shape, scale):
    return (scale * np.random.default_rng(worker).normal(size=shape)).astype(np.float32)

def main():
    from yolo_dist.distributed import naive
    naive._MESSAGE_BYTES = 1200  # so that 2,010 elements are several messages
    for settings in json.loads(sys.argv[1]):
        print_mean(settings)

def print_mean(settings):
    import chainer
    scale, n_workers = settings.pop('scale'), settings['n_workers']
    comm = communicator.create_communicator('naive', **settings)
    model = chainer.Chain()
    with model.init_scope():
        model.a = chainer.Parameter(np.zeros((40, 50), np.float32))
        model.b = chainer.Parameter(np.zeros(7, np.float32))
        model.unused = chainer.Parameter(np.zeros(3, np.float32))
    workers = communicator.local_workers(n_workers)
    messages = []
    for step in range(2):
        for worker in workers:
            model.cleargrads()
            model.a.grad = gradient((step, worker), (40, 50), scale)
            model.b.grad = gradient((step, worker, 1), 7, 1e-9)
            if worker != workers[-1]:
                comm.accumulate(model)
        try:
            comm.multi_node_mean_grad(model)
        except ArithmeticError as error:
            messages.append(str(error))
    result = [model.a.grad.tolist(), model.b.grad.tolist(), model.unused.grad.tolist(),
              int(comm.allreduce_obj(int(comm.n_underflowed))), comm.n_overflowed, messages]
    everyone = comm.gather_obj(json.dumps(result))
    if comm.rank == 0:
        assert len(set(everyone)) == 1
        print(everyone[0])

if __name__ == '__main__':
    launch.run_job(main)
"""


@pytest.fixture
def mean(mpiexec, tmp_path):
    """Runs ``MEAN`` with P processes: ``mean(P, k, dtype, scale=1., prescale=False)``.

    Of several dtypes in a row it returns a list.
    """
    (tmp_path / 'mean.py').write_text(MEAN)

    def mean(n, n_workers, dtype, *, scale=1., prescale=False):
        settings = {'n_workers': n_workers, 'prescale_gradients': prescale, 'scale': scale}
        done = mpiexec(n, tmp_path / 'mean.py', json.dumps([
            {**settings, 'allreduce_grad_dtype': one} for one in dtype.split()]))
        assert done.returncode == 0, done.stderr
        results = [json.loads(line) for line in done.stdout.splitlines() if line[0] == '[']
        return results if ' ' in dtype else results[0]
    return mean


def gradient(worker, shape, scale=1.):
    return (scale * np.random.default_rng(worker).normal(size=shape)).astype(np.float32)


def test_float32_mean_is_the_mean(mean):
    """k = 6 workers on 2 processes; missing gradients count as zero."""
    a, b, unused, n_underflowed, n_overflowed, messages = mean(2, 6, 'float32')
    expected = np.mean([gradient((1, i), (40, 50)) for i in range(6)], axis=0, dtype=np.float64)
    np.testing.assert_allclose(a, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        b, np.mean([gradient((1, i, 1), 7, 1e-9) for i in range(6)], axis=0), rtol=1e-5)
    assert unused == [0, 0, 0]
    assert (n_underflowed, n_overflowed, messages) == (0, 0, [])


def test_the_number_of_processes_changes_no_bit(mean):
    """k = 8 on 1, 2, 4 and 8 processes: the order of the sum is that of worker numbers."""
    results = [mean(n, 8, 'float16 float32') for n in (1, 2, 4, 8)]
    assert results[0][0] != results[0][1]
    assert results[1:] == results[:1] * 3


@pytest.mark.parametrize('n', [1, 3])
def test_float16_is_summed_in_float16(mean, n):
    """k = 6: cast, sum and division are NumPy's own float16; 1e-9 becomes zero and is counted."""
    a, b, _, n_underflowed, n_overflowed, _ = mean(n, 6, 'float16')
    halves = [gradient((1, i), (40, 50)).astype(np.float16) for i in range(6)]
    pairs = [halves[i] + halves[i + 1] for i in (0, 2, 4)]
    orders = [(pairs[0] + pairs[1]) + pairs[2], pairs[0] + (pairs[1] + pairs[2]),
              (pairs[0] + pairs[2]) + pairs[1]]
    expected = [(total.astype(np.float32) * np.float32(1 / 6)).astype(np.float16)
                for total in orders]
    assert any((np.float32(a) == one.astype(np.float32)).all() for one in expected)
    in_float32 = np.mean([gradient((1, i), (40, 50)) for i in range(6)], axis=0)
    assert (np.float32(a) != in_float32).any()
    assert b == [0] * 7
    assert n_underflowed == 2 * 6 * 7 + sum(
        np.count_nonzero((values != 0) & (values.astype(np.float16) == 0))
        for step in range(2) for values in (gradient((step, i), (40, 50)) for i in range(6)))
    assert n_overflowed == 0


def test_an_overflowing_sum_names_the_parameter_and_prescaling_mends_it(mean):
    """Gradients of 10,000 fit into float16; the sum of 32 does not, their mean does."""
    *_, n_overflowed, messages = mean(2, 32, 'float16', scale=1e4)
    assert n_overflowed > 0
    assert '/a' in messages[0] and 'prescale_gradients: true' in messages[0]
    a, *_, n_overflowed, messages = mean(2, 32, 'float16', scale=1e4, prescale=True)
    assert (n_overflowed, messages) == (0, [])
    expected = np.mean([gradient((1, i), (40, 50), 1e4) for i in range(32)], axis=0)
    np.testing.assert_allclose(a, expected, atol=8)  # halves near 4,000 are 2 or 4 apart
    for prescale in (True, False):  # one worker: there is nothing to divide
        *_, messages = mean(1, 1, 'float16', scale=1e5, prescale=prescale)
        assert "a worker's own gradient is too large" in messages[0]


@pytest.mark.parametrize('n_workers, overflows', [(22, False), (23, True), (32, True)])
def test_the_objectness_bias_of_608_px_overflows_from_23_workers_on(n_workers, overflows):
    """A bias seen by 76 x 76 background cells has the gradient 5,776 / 2 = 2,888 at the start.

    The half nearest to 2,888 is itself; 22 of them are 63,536, 23 exceed 65,504.
    """
    one, total = np.empty(1, np.float16), np.zeros(1, np.float16)
    to_half(np.array([76 * 76 * .5], np.float32), one, scale=1)
    for _ in range(n_workers):
        add_half(one, total)
    mean = np.empty(1, np.float32)
    assert from_half(total, mean, scale=1 / n_workers) == overflows
    assert np.isinf(mean[0]) == overflows
    to_half(np.array([76 * 76 * .5], np.float32), one, scale=1 / n_workers)
    total[:] = 0
    for _ in range(n_workers):
        add_half(one, total)
    assert from_half(total, mean, scale=1) == 0
    np.testing.assert_allclose(mean, 2888, rtol=5e-3)  # a float16 sum of up to 32 terms
