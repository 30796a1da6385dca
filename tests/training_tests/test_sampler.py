"""The order of examples and their pixels depend on the seed alone."""

import collections

import numpy as np
import pytest

from yolo_dist.training.sampler import InputSizeSchedule, TrainingStream


class Examples(list):
    """Example i is i; the transform below adds what it was given."""

    read_example = list.__getitem__


def draw(example, *, insize, rng):
    return example, insize, rng.integers(1 << 30)


def create_stream(workers, *, n_examples=23, n_workers=4, n=3, n_iterations=20, seed=0,
                  first_iteration=0):
    dataset = Examples((i,) for i in range(n_examples))
    return TrainingStream(dataset, draw, seed=seed, workers=workers, n_workers=n_workers,
                          batch_size_per_worker=n, n_iterations=n_iterations,
                          input_size=lambda iteration: 32 * (1 + iteration % 2),
                          first_iteration=first_iteration)


def batches(stream):
    examples = stream[:]
    return [examples[i:i + stream.batch_size] for i in range(0, len(examples), stream.batch_size)]


@pytest.mark.parametrize('n_processes', [1, 2, 4])
def test_any_number_of_processes_sees_the_same_examples(n_processes):
    """Global batches, pixels and sizes are equal for every split of 4 workers."""
    whole = batches(create_stream(range(4)))
    carried = 4 // n_processes
    parts = [batches(create_stream(range(p * carried, (p + 1) * carried)))
             for p in range(n_processes)]
    assert [sum(slices, []) for slices in zip(*parts)] == whole


def test_each_epoch_is_one_permutation():
    """Goyal's remark 4: within an epoch each image is used exactly once by all workers."""
    seen = [index for batch in batches(create_stream(range(4), n_iterations=23))
            for index, _, _ in batch]
    epochs = [seen[i:i + 23] for i in range(0, len(seen), 23)]
    assert len(epochs) == 12
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_resumed_stream_goes_on():
    """From iteration 7 on it is the end of the uninterrupted stream."""
    assert batches(create_stream((1, 2), first_iteration=7)) == batches(create_stream((1, 2)))[7:]


def test_pixels_differ_between_epochs_and_seeds():
    """The same image is augmented anew in each epoch and for each seed."""
    draws = collections.defaultdict(set)
    for seed in (0, 1):
        for index, _, pixels in create_stream(range(4), seed=seed, n_iterations=23)[:]:
            draws[index].add(pixels)
    assert all(len(pixels) == 24 for pixels in draws.values())


def test_order_depends_on_the_seed():
    """Two seeds give two orders."""
    first, second = (create_stream(range(4), seed=seed)[:] for seed in (0, 1))
    assert [example[0] for example in first] != [example[0] for example in second]


def test_multi_scale_sizes_are_kept_for_a_block_and_end_with_the_largest():
    """A new size every 10 iterations, all sizes occur, the last 20 are the largest."""
    sizes = list(range(320, 609, 32))
    schedule = InputSizeSchedule(sizes, every_iterations=10, final_iterations=20, seed=0,
                                 n_iterations=1000)
    drawn = np.array([schedule(i) for i in range(1000)])
    assert (drawn[:980].reshape(-1, 10) == drawn[:980:10, None]).all()
    assert set(drawn) == set(sizes)
    assert set(drawn[980:]) == {608}
    assert not set(drawn[970:980]) == {608}
