"""The data of an experiment: counts, sizes, faults, anchors, and training pictures."""
import pathlib

import numpy as np
import yaml

from yolo_dist.datasets import box_sizes, fit_anchors, mean_iou
from yolo_dist.drawing import draw_boxes_and_anchors, draw_contact_sheet
from yolo_dist.errors import InputError
from yolo_dist.inspection.survey import survey
from yolo_dist.inspection.table import format_table
from yolo_dist.tasks import HELD_OUT, TRAINING, DataCheck, get_task
from yolo_dist.training.sampler import TrainingStream, create_input_size_schedule
from yolo_dist.training.schedules import n_training_iterations
from yolo_dist.whole_files import check_writable, make_folder

_N_PICTURES = 24
_QUANTILES = (0, 10, 50, 90, 100)
_QUANTILE_HEAD = ['min', '10 %', 'median', '90 %', 'max']


def inspect_data(config, directory):
    """Look at the training and the held-out set of an experiment.

    Writes ``contact_sheet.jpg``, the first pictures of training as the network gets them, and
    for detection ``boxes.png`` and ``anchors.yaml``. A faulty file ends nothing: it is listed,
    and left out of the rest.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        directory (str or ~pathlib.Path): Where the files go; made where it is not there.

    Returns:
        tuple: The findings as text, and how many files are faulty.

    Raises:
        InputError: If a set cannot be opened, or ``directory`` cannot be written.
    """
    directory = pathlib.Path(directory)
    make_folder(directory)
    check_writable(directory / 'contact_sheet.jpg')
    # Once: the classes are counted in all annotations.
    config, notes = get_task(config).find_classes(config)
    train, val = get_task(config).load_datasets(config)
    surveys = {'train': survey(train, 'train'), 'val': survey(val, 'val')}
    lines = _describe_images(surveys)
    if config.task == 'detection':
        lines += ['', *_count_objects(surveys), '', *_describe_boxes(config, surveys['train'],
                                                                     directory)]
    else:
        lines += ['', *_count_labels(surveys)]
    lines += ['', _draw_stream(config, train, directory / 'contact_sheet.jpg')]
    # What the start of a training says of the sets.
    lines += [*notes, *DataCheck(
        {TRAINING: train, HELD_OUT: val},
        {TRAINING: surveys['train'].findings, HELD_OUT: surveys['val'].findings}, 0).lines]
    faults = [fault for one in surveys.values() for fault in one.faults]
    if faults:
        lines += ['', f'{len(faults):,} faulty:', *faults]
    return '\n'.join(lines), len(faults)


def _describe_images(surveys):
    rows = [['set', 'images', 'faulty', 'side', *_QUANTILE_HEAD]]
    for name, found in surveys.items():
        for side, values in zip(('height', 'width'), found.sizes_hw.T):
            first = [name, found.n_examples, len(found.faults)] if side == 'height' else [''] * 3
            rows.append([*first, side, *_quantiles(values, '.0f')])
    return format_table(rows)


def _quantiles(values, form):
    if not len(values):
        return ['-'] * len(_QUANTILES)
    return [format(value, form) for value in np.percentile(values, _QUANTILES)]


def _count_labels(surveys):
    counts = [np.bincount([label for label, in found.annotations],
                          minlength=len(found.class_names)).tolist() for found in surveys.values()]
    class_names = surveys['train'].class_names
    return format_table([['class', *surveys], *zip(class_names, *counts, strict=True),
                         ['all', *map(sum, counts)]])


def _count_objects(surveys):
    """Objects, difficult ones among them, and images that show one, for each class and set."""
    rows = [['class'], *([name] for name in surveys['train'].class_names), ['all']]
    empty = []
    for name, found in surveys.items():
        n_class = len(found.class_names)
        counts = np.zeros((n_class, 3), int)
        for _, label, difficult in found.annotations:
            objects = np.bincount(label, minlength=n_class)
            counts += np.stack([objects, np.bincount(label[difficult], minlength=n_class),
                                objects > 0], axis=1)
        n_empty = sum(not len(label) for _, label, _ in found.annotations)
        n_images = len(found.annotations) - n_empty
        rows[0] += [f'{name}: objects', 'difficult', 'images']
        for row, values in zip(rows[1:], [*counts.tolist(), [*counts[:, :2].sum(0).tolist(),
                                                             n_images]]):
            row += values
        empty.append(f'{name}: {n_empty:,} images without objects')
    return [*format_table(rows), *empty]


def _describe_boxes(config, found, directory):
    size = config.data.input_size_px
    sizes = box_sizes([(*annotation, size_hw) for annotation, size_hw
                       in zip(found.annotations, found.sizes_hw.tolist(), strict=True)], size)
    head = f'boxes of training at {size} px'
    lines = format_table([
        [head, *_QUANTILE_HEAD],
        ['height, px', *_quantiles(sizes[:, 0], '.1f')],
        ['width, px', *_quantiles(sizes[:, 1], '.1f')],
        ['height / width', *_quantiles(sizes[:, 0] / sizes[:, 1], '.2f')]])
    model = _smallest_model(config)
    anchors = {} if config.model.anchors == 'fit' else {'configured': model.anchors_px}
    try:
        anchors['fitted'] = fit_anchors(sizes, model.n_anchors)
    except InputError as error:
        lines += ['', str(error)]
    else:
        text = yaml.safe_dump({'anchors': model.arrange_anchors(anchors['fitted'])},
                              default_flow_style=None)
        (directory / 'anchors.yaml').write_text(text, encoding='utf-8')
        lines += ['', *(f'mean IoU of boxes and {name} anchors: {mean_iou(sizes, one):.3f}'
                        for name, one in anchors.items()), *text.splitlines()]
    if len(sizes):
        draw_boxes_and_anchors(sizes, {
            f'{name}, mean IoU {mean_iou(sizes, one):.3f}': one for name, one in anchors.items()
        }, size, directory / 'boxes.png')
        lines.append(f'{directory}/boxes.png: box sizes, aspect ratios and anchors')
    return lines


def _smallest_model(config):
    """Build a network with the anchors of the experiment and next to no weights."""
    task = get_task(config)
    config, _ = task.resolve(config, None)
    return task.build_model(config.model_copy(
        update={'model': config.model.model_copy(update={'width': 0.001})}))


def _draw_stream(config, train, path):
    """Draw the first pictures of the stream that training reads, of all workers."""
    n_iterations = n_training_iterations(config, len(train))
    stream = TrainingStream(
        train, get_task(config).create_transform(config), seed=config.run.seed,
        workers=range(config.workers), n_workers=config.workers,
        batch_size_per_worker=config.data.batch_size_per_worker, n_iterations=n_iterations,
        input_size=create_input_size_schedule(config, n_iterations))
    examples, captions = [], []
    for i in range(min(len(stream), len(train))):
        if len(examples) == _N_PICTURES:
            break
        try:
            img, *annotation = stream[i]
        except InputError:  # listed among the faults
            continue
        bbox, label = annotation if len(annotation) == 2 else (np.zeros((0, 4)), annotation[0])
        examples.append((img, bbox, np.atleast_1d(label)))
        _, _, index = stream.locate(i)
        captions.append(pathlib.PurePath(train.image_path(index)).name)
    if not examples:
        return 'no training picture can be read, so there is no contact sheet'
    draw_contact_sheet(examples, captions, train.class_names, path)
    return (f'{path}: the first {len(examples)} pictures of training, of all workers, as the '
            'network gets them')
