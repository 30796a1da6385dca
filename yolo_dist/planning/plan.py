"""Iterations, memory and hours of a run, from its experiment file, without MPI, GPU or data."""

import dataclasses
import math
import pathlib
from typing import NamedTuple

import chainer

from yolo_dist.config import RunConfig
from yolo_dist.datasets import is_data_there
from yolo_dist.errors import InputError
from yolo_dist.links import Activations, count_activations, count_operations
from yolo_dist.planning.description import describe_run, format_lines
from yolo_dist.planning.speed_up_model import FORWARD_PASSES_PER_STEP
from yolo_dist.tasks import get_task
from yolo_dist.training.schedules import check_batch_fits, create_schedule, n_training_iterations

# Numbers of images of the public sets, for machines without the data.
_IMAGENET = {'n_class': 1000, 'train': 1_281_167, 'val': 50_000}
VOC = {'VOC2007/trainval': 5_011, 'VOC2012/trainval': 11_540, 'VOC2007/test': 4_952}

_ITEM_BYTES = {'float16': 2, 'float32': 4}


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that one process needs on its device.

    The sum includes parameters, gradients and momentum in float32; running statistics
    of each worker of the process; the two buffers of the all-reduce, and a third that
    gathers gradients if a process has several workers; the feature maps of ``n``
    images that the network keeps for the backward pass; and the two gradients of the
    largest feature map that exist at the same time in the backward pass. It does not
    include CUDA's context, cuDNN's workspace, gaps in the memory pool, the loss, and
    the memory of a device's convolution algorithms.

    The sum was checked on the CPU, whose functions keep the same maps. In a step of
    training, resident memory grew by 0.82 to 1.12 of the sum of gradients, momentum,
    activations and backward (four networks of a quarter and half width, 128 to 224 px,
    16 and 32 images). With Chainer's own convolution, which unfolds its input, it grew
    by 1.3 to 2.1 of that sum. It has not been measured on a GPU.
    """

    parameters: int
    gradients: int
    momentum: int
    batch_statistics: int
    allreduce_buffers: int
    activations: int
    backward: int

    @property
    def total(self):
        return sum(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
class Plan:
    """The numbers of a run before it starts.

    Attributes:
        config: The run.
        n_processes: P, MPI processes, each with ``k / P`` workers.
        data_source: The source of the two numbers of images, in words.
        n_train: Training images.
        n_val: Held-out images.
        n_iterations: Updates in all.
        n_warmup_iterations: How many updates begin before the warm-up is over.
        learning_rates: ``((epoch, rate), ...)`` at a few epochs that show its course.
        n_parameters: Trained numbers of the network.
        n_operations: Operations of a forward pass of one image at ``data.input_size_px``:
            two for each multiplication and addition of its convolutions.
        gradient_bytes: Bytes that each worker adds to the all-reduce of an iteration.
        memory: Memory of one process.
        images_per_second: Assumed speed of the whole job; ``None`` if not known.

    ``str()`` of it is :func:`describe_plan`.
    """

    config: RunConfig
    n_processes: int
    data_source: str
    n_train: int
    n_val: int
    n_iterations: int
    n_warmup_iterations: int
    learning_rates: tuple
    n_parameters: int
    n_operations: int
    gradient_bytes: int
    memory: Memory
    images_per_second: float | None

    @property
    def training_hours(self):
        """Hours of the updates; ``None`` without a speed."""
        return self._hours(self.n_iterations * self.config.global_batch_size)

    @property
    def evaluation_hours(self):
        """Hours of all evaluations: forward passes, by the area of their images."""
        data, run = self.config.data, self.config.run
        if run.measure is not None:
            return self._hours(0)
        n_evaluations = math.ceil(self.config.schedule.epochs / run.evaluate_every_epochs)
        area = (data.evaluation.input_size_px / data.input_size_px) ** 2
        return self._hours(n_evaluations * self.n_val * area / FORWARD_PASSES_PER_STEP)

    @property
    def hours(self):
        """Hours of the whole run; ``None`` without a speed."""
        return self.images_per_second and self.training_hours + self.evaluation_hours

    def __str__(self):
        return describe_plan(self)

    def _hours(self, n_images):
        return self.images_per_second and n_images / self.images_per_second / 3600


def plan(config, *, images_per_second=None, n_processes=None, datasets=None):
    """Compute the plan of a run.

    Args:
        config (~yolo_dist.config.RunConfig): The run.
        images_per_second (float): Speed of the whole job, for its hours; ``None``
            leaves the hours out.
        n_processes (int): P; ``None`` is one process for each worker.
        datasets (tuple): Training and held-out set if they are open; ``None`` opens them if
            they exist.

    Returns:
        Plan: Its numbers.

    Raises:
        InputError: If the data are neither there nor a public set, or a batch is
            larger than the training set.
    """
    source, n_train, n_val = _dataset_sizes(config, datasets)
    check_batch_fits(config, n_train)
    n_iterations = n_training_iterations(config, n_train)
    warmup_images = config.schedule.warmup_epochs * n_train
    multi_scale = getattr(config.data, 'multi_scale', None)
    size = config.data.input_size_px
    network = _measure_network(
        config, size, size if multi_scale is None else max(multi_scale.sizes_px))
    gradient_bytes = _ITEM_BYTES[config.communicator.allreduce_grad_dtype] * network.n_parameters
    n_processes = n_processes or config.workers
    return Plan(
        config=config, n_processes=n_processes, data_source=source, n_train=n_train, n_val=n_val,
        n_iterations=n_iterations,
        n_warmup_iterations=min(
            n_iterations, math.ceil(warmup_images / config.global_batch_size)),
        learning_rates=tuple(create_schedule(config).table()),
        n_parameters=network.n_parameters, n_operations=network.n_operations,
        gradient_bytes=gradient_bytes,
        memory=_estimate_memory(config, network, gradient_bytes,
                                math.ceil(config.workers / n_processes)),
        images_per_second=images_per_second)


def _dataset_sizes(config, datasets):
    """Return the source of the data, and the numbers of training and held-out images."""
    data = config.data
    if data.n_synthetic_examples is not None:
        return 'synthetic images', data.n_synthetic_examples, data.n_synthetic_examples
    # If the file is not a data set, loading it raises an error that says so.
    if is_data_there(data.root) or pathlib.Path(data.root).exists():
        train, val = datasets or get_task(config).load_datasets(config)
        return f'counted in {data.root}', len(train), len(val)
    source = f'published sizes, as there is no {data.root} here'
    if config.task == 'classification' and config.model.n_class == _IMAGENET['n_class']:
        return source, _IMAGENET['train'], _IMAGENET['val']
    splits = {*data.train, *data.val} if config.task == 'detection' else set()
    if splits and splits <= set(VOC) and data.class_names is None:
        return source, *(sum(VOC[split] for split in part) for part in (data.train, data.val))
    raise InputError(
        f'{data.root}: there is no such folder or packed data set, and its number of images is '
        'not known, as it is for ImageNet and Pascal VOC; make or mount the data, or set '
        'data.root')


class _Network(NamedTuple):
    """Count the parameters and operations of a network, once for all runs that have it."""

    n_parameters: int
    n_statistics: int
    n_operations: int
    activations: Activations


_networks = {}


def _measure_network(config, operations_px, activations_px):
    # The network is counted in float32, because a CPU is fast in it.
    config, _ = get_task(config).resolve(config, None)
    section = config.model.model_copy(update={'dtype': 'float32', 'pretrained': None})
    key = section.model_dump_json(), operations_px, activations_px
    if key not in _networks:
        model = get_task(config).build_model(config.model_copy(update={'model': section}))
        statistics = [array for link in model.links()
                      if isinstance(link, chainer.links.BatchNormalization)
                      for array in (link.avg_mean, link.avg_var)]
        _networks[key] = _Network(
            model.count_params(), sum(array.size for array in statistics),
            count_operations(model, input_size=operations_px),
            count_activations(model, input_size=activations_px))
    return _networks[key]


def _estimate_memory(config, network, gradient_bytes, n_local_workers):
    n = config.data.batch_size_per_worker
    is_half = config.model.dtype == 'mixed16'
    map_bytes = n / 2 if is_half else n  # the network was counted in float32
    master = 4 * network.n_parameters
    n_buffers = 0 if config.workers == 1 else 3 if n_local_workers > 1 else 2
    return Memory(
        parameters=master + (master // 2 if is_half else 0), gradients=master, momentum=master,
        batch_statistics=4 * network.n_statistics * n_local_workers,
        allreduce_buffers=n_buffers * gradient_bytes,
        activations=round(map_bytes * network.activations.kept),
        backward=round(2 * map_bytes * network.activations.largest))


def describe_plan(plan):
    """Return a plan as readable text.

    Args:
        plan (Plan): Plan of a run.

    Returns:
        str: Several lines.
    """
    config, memory = plan.config, plan.memory
    data = config.data
    return format_lines([
        *describe_run(config, n_train=plan.n_train, n_val=plan.n_val,
                      data_source=plan.data_source, n_iterations=plan.n_iterations,
                      n_processes=plan.n_processes),
        ('warm-up', f'{plan.n_warmup_iterations:,} iterations'),
        ('parameters', f'{plan.n_parameters:,}'),
        ('forward pass', f'{plan.n_operations / 1e9:.2f} BFLOPs for an image of '
                         f'{data.input_size_px} px (convolutions, 2 for each multiply-add)'),
        ('all-reduce', f'{plan.gradient_bytes / 1e6:.1f} MB of gradients an iteration'),
        ('memory', f'about {_gib(memory.total)} a process, without workspaces: '
                   f'{_gib(memory.activations)} feature maps of {data.batch_size_per_worker} '
                   f'images, {_gib(memory.backward)} their gradients, '
                   f'{_gib(memory.parameters + memory.gradients + memory.momentum)} weights, '
                   'gradients and momentum, '
                   f'{_gib(memory.batch_statistics + memory.allreduce_buffers)} the rest'),
        ('time', _describe_time(plan)),
    ])


def _gib(n_bytes):
    return f'{n_bytes / 2 ** 30:.2f} GiB'


def _describe_time(plan):
    if plan.images_per_second is None:
        return 'not known without a speed: give --images-per-second of all workers together'
    unit, factor = ('hours', 1) if plan.hours >= 0.1 else ('minutes', 60)
    return (f'{factor * plan.hours:.2f} {unit} at {plan.images_per_second:,.1f} images/s: '
            f'{factor * plan.training_hours:.2f} training, '
            f'{factor * plan.evaluation_hours:.2f} evaluation')
