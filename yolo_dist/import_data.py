"""Brings a COCO or YOLO set into VOC's layout: ``python -m yolo_dist.import_data``."""
import pathlib

import yaml
from tqdm import tqdm

from yolo_dist.command_line import Parser, run_serial
from yolo_dist.datasets import read_coco, read_yolo_labels, write_voc_set
from yolo_dist.errors import InputError


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.import_data', description=(
        "Writes a set that is annotated in COCO's JSON, or in Darknet's (YOLO's) text files, "
        'in the layout of Pascal VOC, which all commands read. Images are linked, not copied. '
        'Everything is checked before anything is written.'))
    parser.add_argument('annotations', metavar='ANNOTATIONS', help=(
        'a JSON file of COCO, or a folder of label files NAME.txt'))
    parser.add_argument('images', metavar='IMAGES', help='folder of the images')
    parser.add_argument('dir', metavar='DIR', help=(
        'where, for example data/mine/train; absent or empty'))
    parser.add_argument('--names', metavar='FILE', help=(
        'class names of a folder of label files: one on each line, or a YAML file with names'))
    arguments = parser.parse_args(argv)
    is_folder = pathlib.Path(arguments.annotations).is_dir()
    if is_folder != (arguments.names is not None):
        parser.error('a folder of label files needs --names' if is_folder else
                     f"{arguments.annotations}: is no folder of label files, and COCO's JSON has "
                     'its class names inside; leave --names out')
    return arguments


def main(argv=None):
    """Import one set.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Raises:
        InputError: If anything is wrong with the set, or the place is taken.
    """
    arguments = parse_arguments(argv)
    directory = pathlib.Path(arguments.dir)
    if directory.is_file() or directory.is_dir() and any(directory.iterdir()):
        raise InputError(f'{directory}: exists already; name another place, or remove it')
    if arguments.names is None:
        class_names, images = read_coco(arguments.annotations, arguments.images)
    else:
        class_names, images = read_yolo_labels(arguments.annotations, arguments.images,
                                               arguments.names)
    with tqdm(total=len(images), desc='written', unit='image', disable=None) as progress:
        write_voc_set(directory, images, progress=progress.update)
    objects = [one for image in images for one in image.objects]
    print(f'{directory}: wrote {len(images):,} images, '
          f'{sum(not image.objects for image in images):,} of them without objects, and '
          f'{len(objects):,} objects, {sum(one.is_crowd for one in objects):,} of them crowds, '
          'marked difficult; for the experiment file:')
    data = {'root': str(directory.parent), 'train': [f'{directory.name}/all'],
            'class_names': class_names}
    print(yaml.safe_dump({'data': data, 'model': {'n_class': len(class_names)}},
                         sort_keys=False, allow_unicode=True, width=100), end='')


if __name__ == '__main__':
    run_serial(main)
