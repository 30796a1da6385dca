"""Predicts on pictures: ``python -m yolo_dist.predict RUN_OR_WEIGHTS PICTURE...``."""
import sys

import tqdm

from yolo_dist.command_line import Parser, fraction, printable, run_serial
from yolo_dist.distributed.device import n_gpus, use_gpu
from yolo_dist.errors import InputError
from yolo_dist.kernels.cpu import fixed_weights
from yolo_dist.prediction import Outputs, find_pictures, open_model, read_batches
from yolo_dist.tasks import get_task

_BATCH_SIZE = 8


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.predict', description=(
        'Detects objects in pictures, or classifies them, with a trained network, and prints a '
        'line for each picture. Exit status: 0; 1 if pictures could not be read, which are '
        'named; 2 if the command is not right or an output cannot be written.'))
    parser.add_argument('run', metavar='RUN_OR_WEIGHTS', help=(
        'a run directory (its weights_final.npz, else its latest snapshot is taken), a weights or '
        'snapshot file inside one, or weights of Darknet, with their .cfg and .names beside '
        'them'))
    parser.add_argument('pictures', metavar='IMAGE_OR_DIR_OR_VIDEO', nargs='+', help=(
        'picture files, videos, of which every frame is taken, or folders, which are searched '
        'with all folders in them'))
    parser.add_argument('--out', metavar='DIR', help=(
        'write the pictures with what was found, and for a detector comp4_det_test_CLASS.txt of '
        'Pascal VOC, to DIR, a new or empty folder'))
    parser.add_argument('--json', metavar='FILE', help='write everything found to FILE')
    parser.add_argument('--score', type=fraction, metavar='S', help=(
        'of a detector: leave out boxes of a score below S (0 to 1; default: 0.5)'))
    parser.add_argument('--nms', type=fraction, metavar='T', help=(
        'of a detector: of two boxes of one class that overlap by more than T (intersection '
        'over union, 0 to 1) leave out the worse (default: that of the run)'))
    parser.add_argument('--classes', metavar='FILE', help=(
        'names of the classes, one a line in label order (default: those of the run)'))
    return parser.parse_args(argv)


def main(argv=None):
    """Predict on pictures.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0, or 1 if pictures could not be read.
    """
    arguments = parse_arguments(argv)
    sources = find_pictures(arguments.pictures)
    model = open_model(arguments.run, class_names=arguments.classes)
    _set_thresholds(model, arguments)
    outputs = Outputs(arguments.out, arguments.json)
    model.link.to_device(use_gpu(0) if n_gpus() else '@numpy')

    task, records, skipped = get_task(model), [], []
    is_video = any(source.is_video for source in sources)
    with fixed_weights(), tqdm.tqdm(
            total=None if is_video else len(sources), unit='picture', dynamic_ncols=True,
            leave=False, disable=not sys.stderr.isatty()) as bar:
        def say(line, file):
            bar.clear()
            print(printable(line), file=file, flush=True)
            bar.update()
            bar.refresh()

        def skip(path, reason):
            skipped.append({'path': path, 'reason': reason})
            say(f'skipped: {reason}', sys.stderr)

        for batch in read_batches(sources, _BATCH_SIZE, skip):
            found = task.predict(model.link, [picture.img for picture in batch],
                                 model.class_names)
            for picture, one in zip(batch, found):
                records.append(_record(picture, one))
                if outputs.wants_pictures:
                    outputs.write_picture(
                        picture.name, task.draw_prediction(picture.img, one, model.class_names))
                say(f'{_place(picture)}: {task.format_prediction(one)}', sys.stdout)
    if outputs.wants_pictures and model.task == 'detection':
        outputs.write_voc(records, model.class_names)
    if arguments.json:
        outputs.write_json(_content(model, records, skipped))
    if skipped:
        print(f'{len(skipped):,} of {len(sources):,} files could not be read in full',
              file=sys.stderr)
    return 1 if skipped else 0


def _set_thresholds(model, arguments):
    given = {'score_thresh': arguments.score, 'nms_thresh': arguments.nms}
    for name, value in given.items():
        if value is None:
            continue
        if model.task != 'detection':
            raise InputError(f'--{name.removesuffix("_thresh")} is for detectors, but '
                             f'{model.weights} is a classifier; leave it out')
        setattr(model.link, name, value)


def _place(picture):
    path = picture.source.path
    return path if picture.frame is None else f'{path}, frame {picture.frame}'


def _record(picture, found):
    _, height, width = picture.img.shape
    return {'path': picture.source.path, 'frame': picture.frame, 'image_id': picture.image_id,
            'height': height, 'width': width, **found}


def _content(model, records, skipped):
    thresholds = {name: getattr(model.link, name) for name in ('score_thresh', 'nms_thresh')
                  if model.task == 'detection'}
    return {'weights': str(model.weights), 'task': model.task,
            'input_size_px': model.input_size_px, **thresholds,
            'class_names': model.class_names, 'pictures': records, 'skipped': skipped}


if __name__ == '__main__':
    run_serial(main)
