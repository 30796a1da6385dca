"""Packs an experiment's data set into one file: ``python -m yolo_dist.pack_data``."""
import pathlib

from tqdm import tqdm

from yolo_dist.command_line import Parser, run_serial
from yolo_dist.config import load_config
from yolo_dist.datasets import pack_files
from yolo_dist.errors import InputError
from yolo_dist.tasks import HELD_OUT, TRAINING, check_data, get_task


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.pack_data', description=(
        'Writes all files of the training and the held-out set of an experiment into one file, '
        'for file systems that are slow with a million small files. Set data.root to that file, '
        'and the experiment reads the same examples in the same order. All annotations and '
        'pictures are checked before the file is written.'))
    parser.add_argument('experiment', metavar='EXPERIMENT.yaml', help='a run or a sweep')
    parser.add_argument('file', metavar='FILE', help=(
        'file to write, for example data/imagenet.lmdb; it must not exist'))
    parser.add_argument('--run', metavar='ROW', help='row of a sweep')
    parser.add_argument('--set', metavar='KEY=VALUE', action='append', default=[],
                        help='change one key, such as --set data.root=/data/imagenet; repeatable')
    return parser.parse_args(argv)


def main(argv=None):
    """Pack one data set.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.
    """
    arguments = parse_arguments(argv)
    config = load_config(arguments.experiment, row=arguments.run, overrides=arguments.set)
    if config.data.n_synthetic_examples is not None:
        raise InputError(f'{arguments.experiment}: data.n_synthetic_examples is '
                         f'{config.data.n_synthetic_examples}, but synthetic images have no '
                         'files to pack; set it to null')
    datasets = dict(zip((TRAINING, HELD_OUT), get_task(config).load_datasets(config)))
    data_check = check_data(datasets, decodes=False)
    data_check.settle(config, datasets, pathlib.Path(arguments.file).parent, writes=True)
    paths = set()
    for name, dataset in datasets.items():
        # Skipped bad examples are left out of the packed set, and are skipped there again.
        paths.update(dataset.without(data_check.bad(name)).files())
    for line in data_check.lines:
        print(line)
    with tqdm(desc='packed', unit='B', unit_scale=True, disable=None) as progress:
        size = pack_files(datasets[TRAINING].tree, paths, arguments.file, progress=progress.update)
    n_files = sum(not path.endswith('/') for path in paths)
    print(f'{arguments.file}: packed {n_files:,} files of {config.data.root}, '
          f'{size / 1e6:,.1f} MB; use it with --set data.root={arguments.file}')


if __name__ == '__main__':
    run_serial(main)
