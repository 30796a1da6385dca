"""A small set in ImageNet's layout: one large handwritten digit on a photograph."""
import numpy as np
from tqdm import tqdm

from yolo_dist.datasets.mini.digits import draw_background, draw_glyph, encode_jpeg, paste_glyph
from yolo_dist.datasets.mini.manifest import write_whole_set
from yolo_dist.datasets.mini.sources import DIGIT_NAMES, load_mini_sources
from yolo_dist.errors import InputError


def make_mini_imagenet(directory, *, seed=0, n_train=2000, n_val=500, size_px=72):
    """Write ``train/<class>/*.JPEG`` and ``val/<class>/*.JPEG`` with ten classes.

    The classes are the digits, named by their words and equally frequent. Digits and photographs
    of ``val`` are never used in ``train``. The same arguments give the same bytes.

    Args:
        directory (str or ~pathlib.Path): Absent, or empty, or the complete set.
        seed (int): Seed of all choices, at least 0.
        n_train (int): Number of training images.
        n_val (int): Number of validation images.
        size_px (int): Side of the square images.

    Returns:
        bool: Whether files were written; ``False`` if the complete set was already there.

    Raises:
        InputError: If the place holds something else, or a needed package is absent.
    """
    if seed < 0:
        raise InputError(f'seed: found {seed}, expected a whole number of at least 0')
    recipe = {'set': 'mini-imagenet', 'version': 2, 'seed': seed,
              'n_train': n_train, 'n_val': n_val, 'size_px': size_px}
    with write_whole_set(directory, recipe) as root:
        if root is None:
            return False
        progress = tqdm(total=n_train + n_val, desc='mini-imagenet', unit='image', disable=None)
        with progress:
            for part_index, (part, n_images) in enumerate((('train', n_train), ('val', n_val))):
                sources = load_mini_sources('train' if part == 'train' else 'test')
                for name in DIGIT_NAMES:
                    (root / part / name).mkdir(parents=True)
                for i in range(n_images):
                    rng = np.random.default_rng([seed, part_index, i])
                    label = i % len(DIGIT_NAMES)
                    scene = _draw(sources, label, size_px, rng)
                    path = root / part / DIGIT_NAMES[label] / f'{part}_{i:05d}.JPEG'
                    path.write_bytes(encode_jpeg(scene))
                    progress.update()
    return True


def _draw(sources, label, size_px, rng):
    scene = draw_background(sources.photographs, (size_px, size_px), rng)
    examples = sources.digits[label]
    digit = examples[rng.integers(len(examples))]
    glyph = draw_glyph(digit, round(size_px * rng.uniform(0.65, 0.8)), rng)
    # The centre of the picture, more or less: the outer tenth is often cropped away.
    room = size_px - np.array(glyph.shape)
    top, left = np.rint(room * rng.uniform(0.35, 0.65, 2)).astype(int)
    paste_glyph(scene, glyph, max(top, 0), max(left, 0), opacity=1.0, rng=rng)
    return scene
