"""The order of training examples, as a pure function of the seed.

All workers read one stream. Epoch ``e`` of the stream is one random permutation of
the whole training set [Goyal et al. 2017, remark 4]. Iteration ``i`` takes the next
``k n`` positions. Worker ``w`` takes the ``w``-th block of ``n`` among them. The order
does not depend on the process that carries a worker. :func:`example_rng` depends only
on the example. A run therefore sees the same examples and the same pixels for any
number of processes and after a resume.
"""

import functools

import chainer
import numpy as np

from yolo_dist.errors import InputError

# Numbers of independent random streams.
_ORDER, _PIXELS, _SIZE, _REPLACEMENT = range(4)

# This many unreadable examples in a row are not chance but an error.
_MAX_REPLACEMENTS = 100


@functools.lru_cache(maxsize=2)
def epoch_permutation(n_examples, seed, epoch):
    """Order of the training set in one epoch.

    Args:
        n_examples (int): Size of the training set.
        seed (int): Seed of the run.
        epoch (int): Epoch, from 0.

    Returns:
        ndarray of shape (n_examples,): int64 indices.
    """
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(n_examples)


def example_rng(seed, epoch, index):
    """Random state of the augmentation of one example in one epoch.

    Returns:
        numpy.random.Generator: A new generator, the same for the same arguments.
    """
    return np.random.default_rng((seed, _PIXELS, epoch, index))


class InputSizeSchedule:
    """Network input size of each iteration, the same for all workers.

    Darknet (``examples/detector.c``), YOLO9000 and the recipe in sec. 2.3 draw a new
    size every 10 iterations. The last iterations of a run use the largest size, as in
    Darknet. Batch-normalisation statistics settle at that size.

    Args:
        sizes_px (sequence of int): Sizes to draw from; one size means no
            multi-scale training.
        every_iterations (int): Iterations for which a size is kept.
        seed (int): Seed of the run.
        final_iterations (int): Number of last iterations with the largest size.
        n_iterations (int): Length of the run.
    """

    def __init__(self, sizes_px, *, every_iterations=1, seed=0, final_iterations=0,
                 n_iterations=0):
        self._sizes_px = tuple(sizes_px)
        self._every_iterations = every_iterations
        self._seed = seed
        self._first_final = n_iterations - final_iterations

    @property
    def largest_px(self):
        """The largest of the sizes."""
        return max(self._sizes_px)

    def __call__(self, iteration):
        """Size in px for iteration ``iteration``, from 0."""
        if len(self._sizes_px) == 1:
            return self._sizes_px[0]
        if iteration >= self._first_final:
            return self.largest_px
        block = iteration // self._every_iterations
        draw = np.random.default_rng((self._seed, _SIZE, block)).integers(len(self._sizes_px))
        return self._sizes_px[draw]


def create_input_size_schedule(config, n_iterations):
    """Make the :class:`InputSizeSchedule` of an experiment.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        n_iterations (int): Length of the run.

    Returns:
        InputSizeSchedule: Constant, unless ``data.multi_scale`` is given.
    """
    multi_scale = getattr(config.data, 'multi_scale', None)
    if multi_scale is None:
        return InputSizeSchedule([config.data.input_size_px])
    return InputSizeSchedule(
        multi_scale.sizes_px, every_iterations=multi_scale.every_iterations,
        final_iterations=multi_scale.final_iterations, seed=config.run.seed,
        n_iterations=n_iterations)


class TrainingStream(chainer.dataset.DatasetMixin):
    """The examples that some workers see, in the order in which they see them.

    Example ``j`` of this dataset is the ``j``-th that the given workers use together.
    The blocks of all workers in iteration 0 come first, then those of iteration 1, ...

    Args:
        dataset: Training set; ``read_example(i)`` is ``(img, ...)``, where ``img`` may be
            encoded.
        transform (callable): ``transform(*example, insize=, rng=)`` returns the
            augmented example.
        seed (int): Seed of the run.
        workers (sequence of int): Numbers of the workers of this process.
        n_workers (int): k.
        batch_size_per_worker (int): n.
        n_iterations (int): Length of the run.
        input_size (callable): ``iteration -> px``.
        first_iteration (int): Iteration at which the stream begins, after a resume.
        note_skipped (callable): Called with the fault of an example that cannot be read. Another
            example, drawn from (seed, epoch, index), then takes its place. With ``None`` such an
            example is an error.
    """

    def __init__(self, dataset, transform, *, seed, workers, n_workers,
                 batch_size_per_worker, n_iterations, input_size, first_iteration=0,
                 note_skipped=None):
        self.dataset = dataset
        self.transform = transform
        self.seed = seed
        self.workers = tuple(workers)
        self.n_workers = n_workers
        self.batch_size_per_worker = batch_size_per_worker
        self.n_iterations = n_iterations
        self.input_size = input_size
        self.first_iteration = first_iteration
        self.note_skipped = note_skipped

    @property
    def batch_size(self):
        """Images that this process uses in one iteration."""
        return len(self.workers) * self.batch_size_per_worker

    @property
    def example_bytes(self):
        """Upper bound of an example: the image, and room for 2,700 objects."""
        return 3 * self.input_size.largest_px ** 2 + 2 ** 16

    def __len__(self):
        return (self.n_iterations - self.first_iteration) * self.batch_size

    def locate(self, i):
        """Origin of example ``i``.

        Returns:
            tuple of int: ``(iteration, epoch, index in the training set)``.
        """
        iterations, slot = divmod(i, self.batch_size)
        iteration = self.first_iteration + iterations
        carried, within = divmod(slot, self.batch_size_per_worker)
        position = ((iteration * self.n_workers + self.workers[carried])
                    * self.batch_size_per_worker + within)
        epoch, place = divmod(position, len(self.dataset))
        order = epoch_permutation(len(self.dataset), self.seed, epoch)
        return iteration, epoch, int(order[place])

    def get_example(self, i):
        iteration, epoch, index = self.locate(i)
        insize = self.input_size(iteration)
        rng = example_rng(self.seed, epoch, index)
        if self.note_skipped is None:
            return self.transform(*self.dataset.read_example(index), insize=insize, rng=rng)
        replacement = np.random.default_rng((self.seed, _REPLACEMENT, epoch, index))
        at = index
        for _ in range(_MAX_REPLACEMENTS):
            try:
                # Some damage shows only when the transform decodes the image.
                return self.transform(*self.dataset.read_example(at), insize=insize, rng=rng)
            except InputError as error:
                self.note_skipped(str(error))
            at = int(replacement.integers(len(self.dataset)))
            rng = example_rng(self.seed, epoch, index)
        raise InputError(f'{_MAX_REPLACEMENTS} examples drawn one after the other cannot be read; '
                         'the last is the image of example '
                         f'{at}; check data.root')
