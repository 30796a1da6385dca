"""Looks at an experiment's data or network: ``python -m yolo_dist.inspect {data,model} FILE``."""
from yolo_dist.command_line import Parser, run_serial
from yolo_dist.config import load_config
from yolo_dist.inspection import describe_model, inspect_data


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.inspect', description=(
        'data: counts of each class, sizes of images and boxes, every faulty file, anchors fitted '
        'to the set beside those of the experiment, and the first pictures of training as the '
        'network gets them. Ends with status 1 if a file is faulty. '
        'model: its layers with shapes, parameters, operations and memory.'))
    parser.add_argument('what', choices=('data', 'model'), help='what to look at')
    parser.add_argument('experiment', metavar='EXPERIMENT.yaml', help='a run or a sweep')
    parser.add_argument('--run', metavar='ROW', help='row of a sweep')
    parser.add_argument('--set', metavar='KEY=VALUE', action='append', default=[],
                        help='change one key, such as --set data.root=/data/voc; repeatable')
    parser.add_argument('--out', metavar='DIR',
                        help='where pictures and anchors of data go (default: inspection/NAME)')
    arguments = parser.parse_args(argv)
    if arguments.what == 'model' and arguments.out is not None:
        parser.error('model writes no files; leave --out out')
    return arguments


def main(argv=None):
    """Look at data or network.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 1 if a file of the data is faulty, else 0.
    """
    arguments = parse_arguments(argv)
    config = load_config(arguments.experiment, row=arguments.run, overrides=arguments.set)
    if arguments.what == 'model':
        print(describe_model(config))
        return 0
    text, n_faults = inspect_data(config, arguments.out or f'inspection/{config.name}')
    print(text)
    return int(n_faults > 0)


if __name__ == '__main__':
    run_serial(main)
