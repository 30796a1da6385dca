"""Pictures from files, folders and videos."""
import os
import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

from yolo_dist.datasets import IMAGE_SUFFIXES, read_image
from yolo_dist.errors import InputError

_PICTURE_SUFFIXES = (*IMAGE_SUFFIXES, '.gif', '.jp2', '.avif', '.ppm', '.pgm', '.pbm')
VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv',
                  '.flv', '.ogv', '.3gp', '.mts', '.m2ts')

# A batch ends where its pictures together have more pixels: 192 MiB as RGB.
_MAX_BATCH_PIXELS = 1 << 26
# A container's number of frames is an estimate; so much less has been cut off.
_LEAST_SHARE_OF_FRAMES = 0.9


class Source(NamedTuple):
    """A file to be read.

    Attributes:
        path (str): The file, as given or found.
        name (str): What its outputs are called, unique: the file's name, of a file in a folder
            its path below the folder, with ``/``.
        image_id (str): ``name`` without its ending where that is unique, with ``_`` for each
            blank; what VOC calls it.
    """

    path: str
    name: str
    image_id: str

    @property
    def is_video(self):
        return self.path.lower().endswith(VIDEO_SUFFIXES)


class Picture(NamedTuple):
    """A picture that was read.

    Attributes:
        source (Source): Its file.
        frame (int): Number of the frame in a video, from 0; else ``None``.
        img (ndarray): uint8 ``(3, H, W)``, RGB, turned as its file says.
    """

    source: Source
    frame: int | None
    img: np.ndarray

    @property
    def name(self):
        """What its output is called; a video is a folder of frames."""
        return self._of_frame(self.source.name)

    @property
    def image_id(self):
        return self._of_frame(self.source.image_id)

    def _of_frame(self, name):
        return name if self.frame is None else f'{name}/{self.frame:06d}'


def find_pictures(paths):
    """Find the pictures and videos that arguments stand for.

    Folders are searched with the folders in them, in the order of names; what starts with a
    point and linked folders are passed over. In folders endings tell pictures and videos from
    other files; a file that is named itself is a video by its ending, else a picture.

    Args:
        paths (iterable of str or ~pathlib.Path): Files and folders.

    Returns:
        list of Source: Each file once.

    Raises:
        InputError: If a path does not exist, or a folder holds nothing to read.
    """
    names = {}  # of each file
    for path in map(os.fspath, paths):
        if os.path.isdir(path):
            found = list(_files_in(path))
            if not found:
                raise InputError(f'{path}: the folder holds neither pictures nor videos; '
                                 f'expected files with endings such as {_PICTURE_SUFFIXES[0]}, '
                                 f'{_PICTURE_SUFFIXES[2]} or {VIDEO_SUFFIXES[0]}')
        elif os.path.exists(path):
            found = [(path, os.path.basename(path))]
        else:
            raise InputError(f'{path}: there is no such file or folder; expected pictures, '
                             'videos or folders of them')
        for file, name in found:
            names.setdefault(os.path.abspath(file), (file, name))
    return _unique_sources(names.values())


def _files_in(folder):
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(files):
            path = os.path.join(place, name)
            if name.lower().endswith(_PICTURE_SUFFIXES + VIDEO_SUFFIXES) and name[0] != '.':
                yield path, Path(path).relative_to(folder).as_posix()


def _unique_sources(files):
    taken, numbered = Counter(), []
    for path, name in files:
        taken[name] += 1
        if taken[name] > 1:  # of another folder
            name = str(PurePosixPath(name).with_stem(f'{PurePosixPath(name).stem}'
                                                     f'_{taken[name]}'))
        numbered.append((path, name))
    stems = [str(PurePosixPath(name).with_suffix('')) for _, name in numbered]
    often = Counter(stems)
    return [Source(path, name, re.sub(r'\s', '_', stem if often[stem] == 1 else name))
            for (path, name), stem in zip(numbered, stems)]


def read_batches(sources, batch_size, skip):
    """Read pictures and frames in order.

    Args:
        sources (iterable of Source): From :func:`find_pictures`.
        batch_size (int): Pictures in a batch at most; fewer where they are huge.
        skip (callable): Called with the path and the message of what cannot be read.

    Yields:
        list of Picture: A batch.
    """
    batch, n_pixels = [], 0
    for picture in _read(sources, skip):
        batch.append(picture)
        n_pixels += picture.img[0].size
        if len(batch) == batch_size or n_pixels > _MAX_BATCH_PIXELS:
            yield batch
            batch, n_pixels = [], 0
    if batch:
        yield batch


def _read(sources, skip):
    for source in sources:
        try:
            if source.is_video:
                for i, img in enumerate(_frames(source.path)):
                    yield Picture(source, i, img)
            else:
                yield Picture(source, None, read_image(source.path))
        except InputError as error:
            skip(source.path, str(error))


def _frames(path):
    """Yield the frames of a video, uint8 ``(3, H, W)``; turned as the file says."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # the error below says it in words
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # An absolute path is never taken for an address.
    video = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    cv2.utils.logging.setLogLevel(level)
    n_read = 0
    try:
        while True:
            is_there, pixels = video.read()
            if not is_there:
                break
            n_read += 1
            yield cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
        n_stated = video.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        video.release()
    if not n_read:
        raise InputError(f'{path}: no frame of this video can be read; expected a video that '
                         'FFmpeg decodes, whole')
    if n_read < _LEAST_SHARE_OF_FRAMES * n_stated:
        raise InputError(f'{path}: only {n_read:,} of {n_stated:,.0f} frames of this video can '
                         'be read; restore the file')
