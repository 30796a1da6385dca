"""Writes the small data sets: ``python -m yolo_dist.make_data {mini-imagenet,mini-voc} DIR``."""
from yolo_dist.command_line import Parser, positive_count, run_serial
from yolo_dist.datasets import make_mini_imagenet, make_mini_voc

_SIZES = {'mini-imagenet': 'n_train', 'mini-voc': 'n_trainval'}
_MAKERS = {'mini-imagenet': make_mini_imagenet, 'mini-voc': make_mini_voc}


def main(arguments=None):
    """Make one data set.

    Args:
        arguments (list of str): Command line; ``None`` means that of the process.
    """
    parser = Parser(prog='python -m yolo_dist.make_data', description=(
        'Writes a small data set in the layout of the real one. It shows handwritten digits on '
        'photographs. Both come from installed packages.'))
    parser.add_argument('set', choices=sorted(_MAKERS), help='the set to make')
    parser.add_argument('dir', metavar='DIR', help='folder to write; absent or empty')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='another number draws another set (default: 0)')
    parser.add_argument('--n-train', type=positive_count, metavar='N', help=(
        'number of training images (default: 2,000 for mini-imagenet and 800 for mini-voc)'))
    args = parser.parse_args(arguments)
    size = {} if args.n_train is None else {_SIZES[args.set]: args.n_train}

    if _MAKERS[args.set](args.dir, seed=args.seed, **size):
        print(f'{args.dir}: wrote {args.set}, seed {args.seed}')
    else:
        print(f'{args.dir}: already holds {args.set}, seed {args.seed}; nothing to do')


if __name__ == '__main__':
    run_serial(main)
