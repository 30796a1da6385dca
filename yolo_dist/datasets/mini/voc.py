"""A small set in Pascal VOC's layout: handwritten digits on photographs."""
import numpy as np
from tqdm import tqdm

from yolo_dist.datasets.mini.digits import draw_background, draw_glyph, encode_jpeg, paste_glyph
from yolo_dist.datasets.mini.manifest import write_whole_set
from yolo_dist.datasets.mini.sources import DIGIT_NAMES, load_mini_sources
from yolo_dist.datasets.voc_annotation import format_voc_annotation
from yolo_dist.errors import InputError

_DIFFICULT_SHARE = 0.03
_DIFFICULT_OPACITY = 0.3
# Boxes keep this distance, so that no digit hides another.
_GAP_PX = 2


def make_mini_voc(directory, *, seed=0, n_trainval=800, n_test=200, min_side_px=112,
                  max_side_px=160, min_digit_px=28, max_digit_px=72):
    """Write ``VOC2007/{Annotations,JPEGImages,ImageSets/Main/{trainval,test}.txt}``.

    Each image shows one to three digits, whose words are the class names (see
    ``DIGIT_NAMES``). A few are faint and marked difficult. Digits and photographs of ``test``
    are never used in ``trainval``. The same arguments give the same bytes.

    Args:
        directory (str or ~pathlib.Path): Absent, or empty, or the complete set.
        seed (int): Seed of all choices, at least 0.
        n_trainval (int): Number of training images.
        n_test (int): Number of test images.
        min_side_px (int): Smallest height and width of an image.
        max_side_px (int): Largest height and width of an image.
        min_digit_px (int): Smallest height of a digit.
        max_digit_px (int): Largest height of a digit.

    Returns:
        bool: Whether files were written; ``False`` if the complete set was already there.

    Raises:
        InputError: If the place holds something else, or a needed package is absent.
    """
    if seed < 0:
        raise InputError(f'seed: found {seed}, expected a whole number of at least 0')
    recipe = {'set': 'mini-voc', 'version': 2, 'seed': seed,
              'n_trainval': n_trainval, 'n_test': n_test,
              'min_side_px': min_side_px, 'max_side_px': max_side_px,
              'min_digit_px': min_digit_px, 'max_digit_px': max_digit_px}
    with write_whole_set(directory, recipe) as root:
        if root is None:
            return False
        voc = root / 'VOC2007'
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (voc / folder).mkdir(parents=True)
        first_id = 1
        progress = tqdm(total=n_trainval + n_test, desc='mini-voc', unit='image', disable=None)
        with progress:
            for part_index, (split, n_images) in enumerate(
                    (('trainval', n_trainval), ('test', n_test))):
                sources = load_mini_sources('train' if split == 'trainval' else 'test')
                ids = [f'{first_id + i:06d}' for i in range(n_images)]
                first_id += n_images
                for i, id_ in enumerate(ids):
                    rng = np.random.default_rng([seed, part_index, i])
                    size_hw = rng.integers(min_side_px, max_side_px + 1, 2)
                    scene, objects = _draw(
                        sources, size_hw, (min_digit_px, max_digit_px), rng)
                    (voc / 'JPEGImages' / f'{id_}.jpg').write_bytes(encode_jpeg(scene))
                    (voc / 'Annotations' / f'{id_}.xml').write_bytes(
                        format_voc_annotation(f'{id_}.jpg', scene.shape, [
                            (DIGIT_NAMES[label], bb, is_difficult)
                            for label, bb, is_difficult in objects]))
                    progress.update()
                (voc / 'ImageSets' / 'Main' / f'{split}.txt').write_text(
                    ''.join(f'{id_}\n' for id_ in ids), encoding='utf-8')
    return True


def _draw(sources, size_hw, digit_px_range, rng):
    """Return a scene, and its objects as ``(label, box, is_difficult)``."""
    height, width = (int(side) for side in size_hw)
    scene = draw_background(sources.photographs, (height, width), rng)
    objects = []
    for _ in range(rng.integers(1, 4)):
        label = int(rng.integers(len(sources.digits)))
        examples = sources.digits[label]
        glyph = draw_glyph(examples[rng.integers(len(examples))],
                           int(rng.integers(digit_px_range[0], digit_px_range[1] + 1)), rng)
        place = _find_free_place(glyph.shape, (height, width), [o[1] for o in objects], rng)
        if place is None:
            continue
        is_difficult = bool(rng.random() < _DIFFICULT_SHARE)
        box = paste_glyph(scene, glyph, *place, rng=rng,
                          opacity=_DIFFICULT_OPACITY if is_difficult else 1.0)
        objects.append((label, box, is_difficult))
    return scene, objects


def _find_free_place(glyph_hw, scene_hw, boxes, rng, n_trials=30):
    room = np.subtract(scene_hw, glyph_hw) - 2 * _GAP_PX
    if (room < 0).any():
        return None
    for _ in range(n_trials):
        top, left = (int(x) for x in rng.integers(_GAP_PX, _GAP_PX + room + 1))
        bottom, right = top + glyph_hw[0], left + glyph_hw[1]
        if all(top >= b[2] + _GAP_PX or bottom + _GAP_PX <= b[0]
               or left >= b[3] + _GAP_PX or right + _GAP_PX <= b[1] for b in boxes):
            return top, left
    return None
