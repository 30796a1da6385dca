"""How fast this machine trains and detects: ``python -m yolo_dist.bench``."""
import json
import pathlib
import sys

import threadpoolctl

from yolo_dist.benchmarks import workloads
from yolo_dist.benchmarks.evaluation import measure_evaluation
from yolo_dist.benchmarks.gpu_record import RECORD, record_gpu
from yolo_dist.benchmarks.input_pipeline import INPUT_SIZE_PX, measure_input
from yolo_dist.benchmarks.job import measure_job
from yolo_dist.benchmarks.network import measure_network
from yolo_dist.command_line import Parser, number, positive_count, positive_number, run_serial
from yolo_dist.environment import environment
from yolo_dist.errors import InputError

_gpu_number = number(int, lambda value: value >= 0, '0 for the first GPU, 1 for the second')
_multiple_of_32 = number(int, lambda value: value >= 32 and value % 32 == 0,
                         'a multiple of 32, for example 224, 416 or 608')

_DETECTORS = [name for name in workloads.N_CLASS if workloads.is_detector(name)]


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.bench', description=(
        'Measures in alternation and prints medians; on a machine shared with others trust the '
        'ratios more than the speeds.'))
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, text, models in (
            ('train', 'forward, backward and update', list(workloads.N_CLASS)),
            ('infer', 'forward; for a detector also decoding and suppression',
             list(workloads.N_CLASS)),
            ('loss', "a detector's target assignment, loss and gradient, as a share of its step",
             _DETECTORS),
            ('allreduce', 'the mean of the gradients, and a step of P processes against a step '
             'of one; launch it with mpiexec -n P', list(workloads.N_CLASS)),
            ('virtual-workers', 'an update of k virtual workers of one process, against k updates '
             'of one worker', list(workloads.N_CLASS))):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(against=None)
        _add_network_arguments(
            command, models, 'yolo_v3' if name == 'loss' else 'darknet53',
            size_help='side of the input (default: 224, detectors 416, loss 608)',
            batch_help='images (default: 4, detectors 2, loss 16)')
        command.add_argument('--threads', type=positive_count, metavar='N',
                             help='threads of each process (default: what BLAS would use)')
        _add_common_arguments(command)
        if name == 'allreduce':
            command.add_argument('--dtype', choices=('float32', 'float16'), default='float32',
                                 dest='sum_dtype', help='what gradients are summed in, as '
                                 'communicator.allreduce_grad_dtype (default: float32)')
        if name == 'virtual-workers':
            command.add_argument('--workers', type=positive_count, default=8, metavar='K',
                                 help='workers of the process (default: 8)')
        if name in ('train', 'infer'):
            runtimes = ('onnxruntime', 'openvino') if name == 'infer' else ()
            command.add_argument('--against', choices=('torch', 'chainer', *runtimes),
                                 help='the same in PyTorch, on a CPU the fastest of eager, '
                                 'channels_last and compile, or in Chainer alone: with the CPU '
                                 'backend off, on a GPU without cuDNN'
                                 + '; in ONNX Runtime or OpenVINO, in float32 on a CPU'
                                 * bool(runtimes))
        if name in ('train', 'infer', 'loss'):
            _add_gpu_arguments(command)
    _add_input_command(commands)
    _add_job_command(commands)
    text = "VOC's metric on synthetic detections of as many images as VOC2007 test has"
    _add_common_arguments(commands.add_parser('evaluate', help=text, description=text))
    _add_gpu_command(commands)
    return parser.parse_args(argv)


def _add_network_arguments(command, models, default, *, size_help, batch_help):
    command.add_argument('--model', choices=models, default=default,
                         help=f'network (default: {default})')
    command.add_argument('--input-size', type=_multiple_of_32, metavar='PIXELS', help=size_help)
    command.add_argument('--batch', type=positive_count, metavar='N', help=batch_help)
    command.add_argument('--width', type=positive_number, default=1., metavar='FACTOR',
                         help="factor on the channel counts (default: 1, the paper's)")


def _add_gpu_command(commands):
    text = ('the tests of the GPU, and training, detection and loss at the sizes of the paper, '
            'in one record')
    command = commands.add_parser('gpu', help=text, description=text)
    command.add_argument('--device', type=_gpu_number, default=0, metavar='N',
                         help='number of the GPU (default: 0)')
    _add_common_arguments(command)
    command.set_defaults(json=RECORD)


def _add_gpu_arguments(command):
    command.add_argument('--device', type=_gpu_number, metavar='N', help=(
        'measure on this GPU, 0 for the first (default: the CPU); then --batch is 32, for '
        'detectors 16 at 608 px'))
    command.add_argument('--dtype', choices=('float32', 'tf32', 'mixed16'), default='float32',
                         help='as model.dtype, on a GPU (default: float32)')


def _add_input_command(commands):
    text = ('training examples from image files by one core, against bare decoding and '
            "ChainerCV's transforms")
    command = commands.add_parser('input', help=text, description=text)
    command.add_argument('--task', choices=list(INPUT_SIZE_PX), help='one task (default: both)')
    command.add_argument('--input-size', type=positive_count, metavar='PIXELS', help=(
        'side of the examples (default: 224 for classification, 608 for detection)'))
    command.add_argument('--data', metavar='DIR', help=(
        'JPEGs anywhere below this folder, for example data.root of an experiment (default: '
        'photographs of scikit-image as COCO-like files)'))
    command.add_argument('--loader-processes', type=positive_count, metavar='N',
                         help='also measure the iterator of a training with N of them')
    _add_common_arguments(command)


def _add_job_command(commands):
    text = ('a whole job of a classifier, from JPEG files to moved weights, by processes of one '
            'thread each')
    command = commands.add_parser('job', help=text, description=text)
    _add_network_arguments(
        command, [name for name in workloads.N_CLASS if not workloads.is_detector(name)],
        'darknet53', size_help='side of the input (default: 224)',
        batch_help='images of a process (default: 4)')
    command.add_argument('--processes', type=positive_count, default=2, metavar='P',
                         help='processes that compute, on as many cores (default: 2)')
    command.add_argument('--loader-processes', type=positive_count, default=1, metavar='N',
                         help='processes that read images for each of them (default: 1)')
    command.add_argument('--data', metavar='DIR', help=(
        'JPEGs anywhere below this folder (default: photographs of scikit-image)'))
    command.add_argument('--iterations', type=positive_count, default=10, metavar='N',
                         help='measured iterations of a job, after 5 others (default: 10)')
    command.add_argument('--against', choices=('torch',), help=(
        'the same files and network in PyTorch: DistributedDataParallel over gloo, transforms of '
        'torchvision, as many loader processes'))
    _add_common_arguments(command)
    command.set_defaults(repeats=3)


def _add_common_arguments(command):
    command.add_argument('--repeats', type=positive_count, default=5, metavar='N',
                         help='rounds (default: %(default)s)')
    command.add_argument('--json', metavar='FILE', help='also write the figures there')


def main(argv=None):
    """Measure, print and write.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.
    """
    arguments = parse_arguments(argv)
    if arguments.json and not pathlib.Path(arguments.json).absolute().parent.is_dir():
        raise InputError(f'--json {arguments.json}: its folder does not exist; create it first')
    if arguments.command == 'gpu':
        record_gpu(arguments)
        return
    measure = {'input': measure_input, 'evaluate': measure_evaluation,
               'job': measure_job}.get(arguments.command)
    if measure is None:
        record = measure_network(arguments)
    else:
        with threadpoolctl.threadpool_limits(1):
            record = {'threads': 1, **measure(arguments)}
    if record is None:  # not the root of several processes
        return
    record = {'command': arguments.command, 'repeats': arguments.repeats, 'cpu': _cpu_name(),
              **record}
    width = max(32, *map(len, record))
    for key, value in record.items():
        print(f'{key:{width}} {_format(value)}')
    if arguments.json:
        text = json.dumps({**record, 'environment': environment()}, indent=2, default=str)
        pathlib.Path(arguments.json).write_text(text + '\n', encoding='utf-8')


def _format(value):
    return f'{value:.4g}' if isinstance(value, float) else value


def _cpu_name():
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        return 'unknown'
    return next((line.partition(':')[2].strip() for line in lines
                 if line.startswith('model name')), 'unknown')


if __name__ == '__main__':
    if sys.argv[1:2] in (['allreduce'], ['virtual-workers']):
        from yolo_dist.distributed.launch import run_job
        run_job(main)
    else:
        run_serial(main)
