"""Steps of a network: training, inference, loss, and the mean of gradients."""
import threadpoolctl

from yolo_dist.benchmarks import workloads
from yolo_dist.benchmarks.allreduce import measure_allreduce
from yolo_dist.benchmarks.gpu import measure_gpu
from yolo_dist.benchmarks.peers import check_peer, create_peers
from yolo_dist.benchmarks.roofline import Roofline
from yolo_dist.benchmarks.timing import alternate, ratio
from yolo_dist.benchmarks.virtual_workers import measure_virtual_workers
from yolo_dist.errors import InputError
from yolo_dist.kernels.cpu import fixed_weights, is_cpu_backend_on
from yolo_dist.kernels.cpu.threads import n_threads


def measure_network(arguments):
    """Measure steps of a network on the CPU, or on a GPU where ``--device`` names one.

    Args:
        arguments (argparse.Namespace): Command line of ``bench`` with a network; what was left
            out of its sizes and threads is filled in.

    Returns:
        dict: Figures by name; ``None`` in all but the root of several processes.

    Raises:
        InputError: If the command line asks for what is not there.
    """
    has_device = getattr(arguments, 'device', None) is not None
    if has_device and arguments.against not in (None, 'torch', 'chainer'):
        raise InputError(f'--against {arguments.against} is for the CPU: leave --device out')
    check_peer(arguments.against)
    if has_device:
        return measure_gpu(arguments)
    if getattr(arguments, 'dtype', 'float32') != 'float32':
        raise InputError(f'--dtype {arguments.dtype} is for a GPU: give its number by --device, '
                         '0 for the first')
    input_size, batch = workloads.default_size(arguments.model)
    if arguments.command == 'loss':
        input_size, batch = 608, 16
    arguments.input_size = arguments.input_size or input_size
    arguments.batch = arguments.batch or batch
    arguments.threads = arguments.threads or n_threads()
    with threadpoolctl.threadpool_limits(arguments.threads):
        measure = {'train': _measure_steps, 'infer': _measure_steps, 'loss': _measure_loss,
                   'allreduce': measure_allreduce,
                   'virtual-workers': measure_virtual_workers}[arguments.command]
        figures = measure(arguments)
    if figures is None:
        return None
    return {'model': arguments.model, 'input_size_px': arguments.input_size,
            'batch_size': arguments.batch, 'width': arguments.width,
            'threads': arguments.threads, 'cpu_backend': is_cpu_backend_on(), **figures}


def _size(arguments):
    return {'input_size': arguments.input_size, 'batch': arguments.batch,
            'width': arguments.width}


def _measure_steps(arguments):
    is_training = arguments.command == 'train'
    create = workloads.create_training_step if is_training else workloads.create_inference
    step, link = create(arguments.model, **_size(arguments))
    model = link.model if is_training else link
    roofline = Roofline(model, input_size=arguments.input_size, batch=arguments.batch,
                        training=is_training)
    peers = {f'{arguments.against}_{way}'.rstrip('_'): peer for way, peer in create_peers(
        arguments.against, arguments.model, step, model, training=is_training,
        threads=arguments.threads, **_size(arguments)).items()}
    contestants = {**roofline.contestants, 'ours': step, **peers}
    if not is_training and workloads.is_detector(arguments.model):
        contestants['selection'] = workloads.create_selection(
            arguments.model, input_size=arguments.input_size, width=arguments.width)
    with fixed_weights():  # as in evaluation; a step of training changes them and keeps nothing
        timings = alternate(contestants, repeats=arguments.repeats)

    ours = timings['ours']
    figures = {
        'milliseconds': 1e3 * ours.median, 'spread': ours.spread,
        'images_per_second': arguments.batch / ours.median,
        'best_images_per_second': arguments.batch / ours.best, **roofline.figures(timings)}
    if peers:
        figures |= _compare(arguments, ours, {name: timings[name] for name in peers})
    if 'selection' in timings:
        # Of one image; the forward pass is one of the whole batch.
        selection = timings['selection']
        figures |= {'selection_milliseconds': 1e3 * selection.median,
                    'selection_share_of_forward': ratio(selection, ours) * arguments.batch}
    return figures


def _compare(arguments, ours, peers):
    """Figures of a program in the fastest of the ways in which it was used."""
    fastest = min(peers, key=lambda name: peers[name].median)
    other, against = peers[fastest], arguments.against
    figures = {f'{name}_milliseconds': 1e3 * timing.median for name, timing in peers.items()}
    if len(peers) > 1:
        figures[f'{against}_fastest'] = fastest.removeprefix(f'{against}_')
    return figures | {
        f'{against}_milliseconds': 1e3 * other.median,
        f'{against}_spread': other.spread,
        f'{against}_images_per_second': arguments.batch / other.median,
        f'times_as_fast_as_{against}': ratio(other, ours),
        f'times_as_fast_as_{against}_at_best': other.best / ours.best,
    }


def _measure_loss(arguments):
    # A step of the whole batch may not fit into memory; one image stands for all.
    step, _ = workloads.create_training_step(
        arguments.model, input_size=arguments.input_size, batch=1, width=arguments.width)
    loss = workloads.create_loss(
        arguments.model, input_size=arguments.input_size, batch=arguments.batch)
    timings = alternate({'loss': loss, 'step': step}, repeats=arguments.repeats)
    return {
        'loss_milliseconds': 1e3 * timings['loss'].median, 'spread': timings['loss'].spread,
        'milliseconds_of_a_step_per_image': 1e3 * timings['step'].median,
        'share_of_step': ratio(timings['loss'], timings['step']) / arguments.batch,
    }
