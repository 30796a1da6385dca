"""The way from image files to augmented training examples, on one core."""
import math
import multiprocessing
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from yolo_dist.benchmarks import chainercv_transforms
from yolo_dist.benchmarks.input_files import make_photographs, read_photographs, write_tree
from yolo_dist.benchmarks.timing import alternate, ratio
from yolo_dist.datasets import EncodedImage, VOCDetectionDataset, load_imagenet
from yolo_dist.kernels.cpu.freed_memory import keep_freed_memory
from yolo_dist.training.iterators import LOADER_KEEPS_BYTES, StreamIterator
from yolo_dist.training.sampler import InputSizeSchedule, TrainingStream, example_rng
from yolo_dist.transforms import (
    ClassificationTrainTransform,
    ColourDistortion,
    DetectionTrainTransform,
)

INPUT_SIZE_PX = {'classification': 224, 'detection': 608}
_BATCH_SIZE = 32
_N_BATCHES = 12  # of the loader processes, after those that were read ahead
# Darknet's, as the experiments of the paper have them.
_COLOURS = {'classification': {'hue': 0.1, 'saturation': 0.75, 'exposure': 0.75},
            'detection': {'hue': 0.1, 'saturation': 1.5, 'exposure': 1.5}}
_TRANSFORMS = {
    'classification': ClassificationTrainTransform(
        min_crop_px=128, max_crop_px=448, aspect_ratio=0.75, angle_degrees=7, flip=True,
        **_COLOURS['classification']),
    'detection': DetectionTrainTransform(
        jitter_kind='place', jitter=0.3, flip=True, **_COLOURS['detection'])}


class _StopWatch:
    """An image that adds up the time it takes to be decoded."""

    seconds = 0.

    def __init__(self, image):
        self._image = image
        self.shape = image.shape

    def decode_rgbx(self, *needed):
        start = time.perf_counter()
        try:
            return self._image.decode_rgbx(*needed)
        finally:
            _StopWatch.seconds += time.perf_counter() - start


class Pipeline:
    """Training examples of one task from files.

    Args:
        task ({'classification', 'detection'}): The task.
        dataset: Has ``read_example``.
        input_size_px (int): Side of the result.
    """

    def __init__(self, task, dataset, input_size_px):
        self.dataset = dataset
        self.transform = _Transform(task)
        self._input_size_px = input_size_px
        self._epoch = 0

    def run(self):
        """Make every example once, with new draws each time."""
        self._epoch += 1
        for i in range(len(self.dataset)):
            self._augment(self.dataset.read_example(i), i)

    def stages(self):
        """Seconds of all examples for reading, for decoding, and in all."""
        self._epoch += 1
        _StopWatch.seconds = reading = 0.
        start = time.perf_counter()
        for i in range(len(self.dataset)):
            before = time.perf_counter()
            img, *rest = self.dataset.read_example(i)
            reading += time.perf_counter() - before
            self._augment((_StopWatch(img), *rest), i)
        return reading, _StopWatch.seconds, time.perf_counter() - start

    def _augment(self, example, i):
        self.transform(*example, insize=self._input_size_px, rng=example_rng(0, self._epoch, i))


class _Transform:
    """A training transform; a class, so that loader processes can have it."""

    def __init__(self, task):
        self._transform = _TRANSFORMS[task]

    def __call__(self, img, annotation, *rest, insize, rng):
        # Of detection the last is whether an object is difficult; here none is.
        return self._transform(img, annotation, *rest[:1], insize=insize, rng=rng)


def measure_input(arguments):
    """Time both tasks' pipelines, bare decoding and ChainerCV's transforms on the same files.

    All in this process with one thread, which keeps its memory as loader processes do; bare
    decoding has the files in memory already.

    Args:
        arguments (~argparse.Namespace): Of the command line.

    Returns:
        dict: Figures.

    Raises:
        InputError: If the files are not to be had.
    """
    cv2.setNumThreads(1)
    keep_freed_memory(LOADER_KEEPS_BYTES)
    files = read_photographs(arguments.data) if arguments.data else make_photographs()
    tasks = [arguments.task] if arguments.task else list(INPUT_SIZE_PX)
    figures = {
        'images': 'photographs of scikit-image' if arguments.data is None else arguments.data,
        'n_images': len(files), 'mean_kilobytes': np.mean([len(data) for data in files]) / 1e3,
        'mean_kilopixels': np.mean([math.prod(EncodedImage(data, 'file').shape[1:])
                                    for data in files]) / 1e3}
    with tempfile.TemporaryDirectory() as root:
        write_tree(Path(root), files)
        (Path(root) / 'list.txt').write_text(''.join(
            f'VOC2007/JPEGImages/{i:06d}.jpg {i % 10}\n' for i in range(len(files))),
            encoding='utf-8')
        datasets = {'classification': load_imagenet(root, 'list.txt'),
                    'detection': VOCDetectionDataset(root, ['VOC2007/trainval'])}
        sizes = {task: arguments.input_size or INPUT_SIZE_PX[task] for task in tasks}
        pipelines = {task: Pipeline(task, datasets[task], sizes[task]) for task in tasks}
        figures |= _compare(files, pipelines, datasets, sizes, arguments.repeats)
        if arguments.loader_processes:
            for task, pipeline in pipelines.items():
                figures[f'{task}_images_per_second_of_{arguments.loader_processes}_loaders'] = (
                    _time_loaders(pipeline, sizes[task], arguments.loader_processes))
    return figures


def _compare(files, pipelines, datasets, sizes, repeats):
    contents = [np.frombuffer(data, np.uint8) for data in files]
    contestants = {'imdecode': lambda: [cv2.imdecode(c, cv2.IMREAD_COLOR) for c in contents]}
    for task, pipeline in pipelines.items():
        contestants[task] = pipeline.run
        contestants[f'chainercv_{task}'] = chainercv_transforms.create(
            task, datasets[task], sizes[task])
        contestants[f'{task}_colours'] = _create_colours(task, sizes[task], len(files))
    timings = alternate(contestants, repeats=repeats)

    n = len(files)
    figures = {'imdecode_images_per_second': n / timings['imdecode'].median,
               'imdecode_spread': timings['imdecode'].spread,
               'imdecode_milliseconds': 1e3 / n * timings['imdecode'].median}
    for task, pipeline in pipelines.items():
        ours, theirs = timings[task], timings[f'chainercv_{task}']
        reading, decoding, total = np.median(
            [pipeline.stages() for _ in range(repeats)], axis=0) * 1e3 / n
        colours = 1e3 / n * timings[f'{task}_colours'].median
        figures |= {
            f'{task}_input_size_px': sizes[task],
            f'{task}_images_per_second': n / ours.median,
            f'{task}_spread': ours.spread,
            f'{task}_times_imdecode': ratio(timings['imdecode'], ours),
            f'{task}_images_per_second_of_chainercv': n / theirs.median,
            f'{task}_spread_of_chainercv': theirs.spread,
            f'{task}_times_chainercv': ratio(theirs, ours),
            f'{task}_milliseconds': 1e3 / n * ours.median,
            f'{task}_read_milliseconds': reading,
            f'{task}_decode_milliseconds': decoding,
            f'{task}_colours_milliseconds': colours,
            f'{task}_warp_and_rest_milliseconds': total - reading - decoding - colours}
    return figures


def _create_colours(task, size, n_images):
    distort = ColourDistortion(**_COLOURS[task])
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 4), np.uint8)
    rng = np.random.default_rng(0)
    return lambda: [distort(pixels, rng) for _ in range(n_images)]


def _time_loaders(pipeline, size, n_processes):
    multiprocessing.set_start_method('forkserver', force=True)
    n_ahead = 4
    stream = TrainingStream(
        pipeline.dataset, pipeline.transform, seed=0, workers=[0], n_workers=1,
        batch_size_per_worker=_BATCH_SIZE, n_iterations=n_ahead + _N_BATCHES,
        input_size=InputSizeSchedule([size]))
    iterator = StreamIterator(stream, n_processes)
    try:
        for _ in range(n_ahead):
            next(iterator)
        start = time.perf_counter()
        for _ in range(_N_BATCHES):
            np.stack([example[0] for example in next(iterator)])
        return _BATCH_SIZE * _N_BATCHES / (time.perf_counter() - start)
    finally:
        iterator.finalize()
