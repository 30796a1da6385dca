"""What several virtual workers of one process cost."""
from types import SimpleNamespace

import chainer

from yolo_dist.benchmarks import workloads
from yolo_dist.benchmarks.timing import alternate, ratio
from yolo_dist.distributed import communicator
from yolo_dist.distributed.virtual_workers import LocalWorkers
from yolo_dist.training.optimizers import create_optimizer
from yolo_dist.training.updater import TrainUpdater


class _SameBatch(chainer.dataset.Iterator):
    def __init__(self, batch):
        self._batch = batch

    def __next__(self):
        return self._batch

    next = __next__


_OPTIMIZER = SimpleNamespace(momentum=.9, weight_decay=5e-4, lars=None,
                             weight_decay_on='conv_weights', loss_scale=None)


def _create_update(arguments, n_workers, dtype):
    chain = workloads.create_train_chain(arguments.model, width=arguments.width)
    comm = communicator.create_communicator(
        'naive', n_workers=n_workers, allreduce_grad_dtype=dtype)
    batch = workloads.create_batch(
        arguments.model, input_size=arguments.input_size, batch=arguments.batch)
    optimizer = create_optimizer(_OPTIMIZER, chain, comm)
    optimizer.lr = 1e-6
    updater = TrainUpdater(
        _SameBatch(batch), optimizer, comm=comm,
        workers=LocalWorkers(chain.model, n_workers), converter=lambda batch, device: batch,
        device=chainer.get_device('@numpy'), global_batch_size=n_workers * arguments.batch,
        n_examples=n_workers * arguments.batch)
    reporter = chainer.Reporter()
    reporter.add_observer('main', chain)

    def update():
        with reporter.scope({}):
            updater.update_core()
    return update


def measure_virtual_workers(arguments):
    """Time k updates of one worker, and one update of k workers, with the same images.

    Args:
        arguments (~argparse.Namespace): Of the command line.

    Returns:
        dict: Figures.
    """
    n_workers = arguments.workers
    plain = _create_update(arguments, 1, 'float32')

    def train_plainly():
        for _ in range(n_workers):
            plain()
    contestants = {'plain': train_plainly}
    for dtype in ('float32', 'float16'):
        contestants[dtype] = _create_update(arguments, n_workers, dtype)
    timings = alternate(contestants, repeats=arguments.repeats)
    n_images = n_workers * arguments.batch
    figures = {'workers': n_workers,
               'images_per_second_plain': n_images / timings['plain'].median,
               'spread_plain': timings['plain'].spread}
    for dtype in ('float32', 'float16'):
        figures |= {
            f'images_per_second_{dtype}': n_images / timings[dtype].median,
            f'spread_{dtype}': timings[dtype].spread,
            f'overhead_percent_{dtype}': 100 * (ratio(timings[dtype], timings['plain']) - 1)}
    return figures
