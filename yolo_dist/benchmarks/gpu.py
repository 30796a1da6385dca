"""Training and detection on a GPU, timed by its own events."""
import importlib

import chainer
import numpy as np

from yolo_dist.benchmarks import workloads
from yolo_dist.benchmarks.timing import alternate, ratio
from yolo_dist.benchmarks.torch_workloads import create_torch_step
from yolo_dist.distributed.device import set_precision, use_gpu
from yolo_dist.links import count_operations
from yolo_dist.planning.speed_up_model import FORWARD_PASSES_PER_STEP

_PEAK_SIDE = 8192  # of the matrices whose product stands for the GPU's peak
_WARM_UP = 3  # steps: plans are tuned, kernels compiled and memory pools filled then
_AHEAD_SECONDS = 1.0  # by which the host may run ahead of the GPU to fill its queue

_SPIN = """
extern "C" __global__ void spin(long long n_nanoseconds) {
    long long begin, now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(begin));
    do {
        asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    } while (now - begin < n_nanoseconds);
}
"""


def default_size(name):
    """Input size and batch that the paper trained with on one GPU, pixels and images."""
    return (608, 16) if workloads.is_detector(name) else (224, 32)


def _cupy():
    return chainer.backends.cuda.cupy


def seconds_of(function):
    """Seconds between events before and after a function, and all that it launches."""
    event = _cupy().cuda.Event
    begin, end = event(), event()
    begin.record()
    function()
    end.record()
    end.synchronize()
    return _cupy().cuda.get_elapsed_time(begin, end) / 1e3


def busy_seconds_of(function):
    """Seconds that the GPU needs for a function when it need not wait for the host.

    A kernel that only passes time keeps the GPU while the host fills its queue.
    """
    spin = _cupy().RawKernel(_SPIN, 'spin')

    def after_spinning():
        spin((1,), (1,), (int(_AHEAD_SECONDS * 1e9),))
        begin.record()
        function()
        end.record()
    begin, end = _cupy().cuda.Event(), _cupy().cuda.Event()
    after_spinning()
    end.synchronize()
    return _cupy().cuda.get_elapsed_time(begin, end) / 1e3


def create_peak(dtype):
    """Make the matrix product that stands for the GPU's peak in a precision.

    Args:
        dtype ({'float32', 'tf32', 'mixed16'}): As in ``model.dtype``.

    Returns:
        tuple: A callable, and the floating-point operations of one call.
    """
    cupy = _cupy()
    element = cupy.float16 if dtype == 'mixed16' else cupy.float32
    a, b, c = (cupy.ones((_PEAK_SIDE, _PEAK_SIDE), element) for _ in range(3))
    if dtype == 'tf32':
        linalg = importlib.import_module('cupy._core._routines_linalg')
        linalg.set_compute_type(cupy.float32, linalg.COMPUTE_TYPE_TF32)
    return lambda: cupy.matmul(a, b, out=c), 2 * _PEAK_SIDE ** 3


def _without_cudnn(step):
    def step_without():
        with chainer.using_config('use_cudnn', 'never'):
            step()
    return step_without


def _free_memory():
    _cupy().get_default_memory_pool().free_all_blocks()


def _memory_of(step):
    """Device memory, GiB, that CuPy holds after a few steps."""
    _free_memory()
    for _ in range(_WARM_UP):
        step()
    return _cupy().get_default_memory_pool().total_bytes() / 2 ** 30


def _describe(arguments):
    properties = _cupy().cuda.runtime.getDeviceProperties(arguments.device)
    return {'model': arguments.model, 'input_size_px': arguments.input_size,
            'batch_size': arguments.batch, 'width': arguments.width, 'dtype': arguments.dtype,
            'gpu': properties['name'].decode()}


def measure_gpu(arguments):
    """Measure ``train``, ``infer`` or ``loss`` on a GPU.

    Args:
        arguments (~argparse.Namespace): Of the command line; ``device`` is the GPU's number.

    Returns:
        dict: Figures; ``busy_share`` is the share of a step in which the GPU works.

    Raises:
        InputError: If there is no such GPU, or no cuDNN.
    """
    device = use_gpu(arguments.device)
    set_precision(arguments.dtype)
    input_size, batch = default_size(arguments.model)
    arguments.input_size = arguments.input_size or input_size
    arguments.batch = arguments.batch or batch
    measure = _measure_loss if arguments.command == 'loss' else _measure_steps
    return {**_describe(arguments), **measure(arguments, device)}


def _alternate(contestants, arguments):
    return alternate(contestants, repeats=arguments.repeats, warm_up=_WARM_UP,
                     seconds_of=seconds_of)


def _measure_steps(arguments, device):
    is_training = arguments.command == 'train'
    size = {'input_size': arguments.input_size, 'batch': arguments.batch,
            'width': arguments.width}
    create = workloads.create_training_step if is_training else workloads.create_inference
    step, _ = create(arguments.model, **size, device=device)
    memory_gib = _memory_of(step)
    peak, peak_operations = create_peak(arguments.dtype)
    contestants = {'peak': peak, 'ours': step}
    if arguments.against == 'torch':
        contestants['torch'] = create_torch_step(
            arguments.model, **size, threads=1, training=is_training, gpu=arguments.device,
            dtype=arguments.dtype)
    elif arguments.against == 'chainer':
        contestants['chainer'] = _without_cudnn(step)
    timings = _alternate(contestants, arguments)
    busy_seconds = busy_seconds_of(step)

    with chainer.using_config('dtype', np.dtype(np.float32)):
        operations = arguments.batch * count_operations(
            workloads.build_model(arguments.model, width=arguments.width),
            input_size=arguments.input_size)
    if is_training:
        operations *= FORWARD_PASSES_PER_STEP
    ours = timings['ours']
    figures = {
        'milliseconds': 1e3 * ours.median, 'spread': ours.spread,
        'images_per_second': arguments.batch / ours.median,
        'tflop_per_second': operations / ours.median / 1e12,
        'peak_tflop_per_second': peak_operations / timings['peak'].median / 1e12,
        'share_of_peak': ratio(timings['peak'], ours) * operations / peak_operations,
        'busy_share': min(1., busy_seconds / ours.median), 'memory_gib': memory_gib,
    }
    if arguments.against is not None:
        other = timings[arguments.against]
        figures |= {
            f'{arguments.against}_milliseconds': 1e3 * other.median,
            f'{arguments.against}_spread': other.spread,
            f'{arguments.against}_images_per_second': arguments.batch / other.median,
            f'times_as_fast_as_{arguments.against}': ratio(other, ours),
        }
    return figures


def _measure_loss(arguments, device):
    step, _ = workloads.create_training_step(
        arguments.model, input_size=arguments.input_size, batch=arguments.batch,
        width=arguments.width, device=device)
    loss = workloads.create_loss(arguments.model, input_size=arguments.input_size,
                                 batch=arguments.batch, device=device)
    timings = _alternate({'loss': loss, 'step': step}, arguments)
    return {'loss_milliseconds': 1e3 * timings['loss'].median, 'spread': timings['loss'].spread,
            'milliseconds': 1e3 * timings['step'].median,
            'share_of_step': ratio(timings['loss'], timings['step'])}
