"""Augmentation of a detection example."""
import cv2
import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.transforms.colour_distortion import ColourDistortion
from yolo_dist.transforms.pixel_layout import height_width, to_rgbx
from yolo_dist.transforms.placement import Placement

# data.c:447-487, relative to the canvas.
_MIN_BOX_SHARE = 0.001


class DetectionTrainTransform:
    """Darknet's random placement or crop, colour and flip (``data.c:1036-1088``).

    ``jitter_kind='place'`` is the method of Darknet at the time of YOLOv3. The aspect of the whole
    image is changed. The image fills the canvas in one direction and lies anywhere in the other.
    ``jitter_kind='crop'`` is the method of YOLO9000 and of later forks. Each edge moves in or out
    by up to ``jitter`` of the side, and the part between the edges fills the canvas.
    The canvas beside the image is grey in both.

    Args:
        jitter_kind ({'place', 'crop'}): See above.
        jitter (float): Relative to the sides of the image; 0.3 in Darknet for YOLOv3.
        hue (float): See :class:`ColourDistortion`; 0.1 in Darknet.
        saturation (float): See :class:`ColourDistortion`; 1.5 in Darknet.
        exposure (float): See :class:`ColourDistortion`; 1.5 in Darknet.
        flip (bool): Whether half of the images are mirrored left to right.

    Raises:
        InputError: If an argument is out of its range.
    """

    def __init__(self, *, jitter_kind, jitter, hue, saturation, exposure, flip):
        limits = {'place': 1, 'crop': 0.5}
        if jitter_kind not in limits:
            raise InputError(f'data.augmentation.jitter_kind: found {jitter_kind!r}, expected '
                             "'place' or 'crop'")
        if not 0 <= jitter < limits[jitter_kind]:
            raise InputError(f'data.augmentation.jitter: found {jitter}, expected at least 0 and '
                             f'less than {limits[jitter_kind]} for jitter_kind {jitter_kind!r}')
        self._draw_placement = {'place': draw_place, 'crop': draw_crop}[jitter_kind]
        self._jitter = jitter
        self._flip = flip
        self._distort_colours = ColourDistortion(
            hue=hue, saturation=saturation, exposure=exposure)

    def __call__(self, img, bbox, label, *, insize, rng):
        """Augment one example.

        Args:
            img (ndarray or ~yolo_dist.datasets.EncodedImage): uint8 ``(3, H, W)`` in [0, 255],
                RGB; only the needed part of a file is decoded.
            bbox (ndarray): float32 ``(R, 4)``, ``(y_min, x_min, y_max, x_max)`` in pixels.
            label (ndarray): int32 ``(R,)``.
            insize (int or tuple of int): Side of the canvas, or its height and width, in pixels.
            rng (numpy.random.Generator): Source of all randomness.

        Returns:
            tuple: ``img``, uint8 ``(3, *insize)``; ``bbox``, float32 ``(R', 4)`` in pixels of the
            canvas, clipped at its edges; ``label``, int32 ``(R',)``. Boxes of less than 0.001 of
            the canvas in height or width are left out.
        """
        canvas_hw = height_width(insize)
        placement = self._draw_placement(img.shape[1:], canvas_hw, self._jitter, rng)
        drawn = placement.resize(*to_rgbx(img, placement.shrink, placement.source[2]))
        top, left, _, right = placement.target
        bbox = placement.map_bbox(bbox)
        if self._flip and rng.random() < 0.5:
            drawn = cv2.flip(drawn, 1)
            left = canvas_hw[1] - right
            bbox[:, [1, 3]] = canvas_hw[1] - bbox[:, [3, 1]]
        img = self._distort_colours(drawn, rng, canvas_hw=canvas_hw, corner=(top, left))

        bbox = np.clip(bbox, 0, np.array([*canvas_hw, *canvas_hw], np.float32))
        share = (bbox[:, 2:] - bbox[:, :2]) / np.array(canvas_hw, np.float32)
        kept = (share >= _MIN_BOX_SHARE).all(axis=1)
        return img, bbox[kept], label[kept]


def draw_place(size_hw, canvas_hw, jitter, rng):
    """Draw the place and the aspect of the whole image.

    Args:
        size_hw (tuple of int): Height and width of the image.
        canvas_hw (tuple of int): Height and width of the canvas.
        jitter (float): Largest relative change of height and of width, less than 1.
        rng (numpy.random.Generator): Source of all randomness.

    Returns:
        Placement: Placement of the whole image. It spans the canvas in at least one direction.
    """
    (height, width), (canvas_h, canvas_w) = size_hw, canvas_hw
    aspect = ((width * (1 + rng.uniform(-jitter, jitter)))
              / (height * (1 + rng.uniform(-jitter, jitter))))
    if aspect < canvas_w / canvas_h:
        drawn_h, drawn_w = canvas_h, max(1, int(canvas_h * aspect))
    else:
        drawn_h, drawn_w = max(1, int(canvas_w / aspect)), canvas_w
    left = int(rng.uniform(0, canvas_w - drawn_w))
    top = int(rng.uniform(0, canvas_h - drawn_h))
    return Placement((0, 0, height, width), (top, left, top + drawn_h, left + drawn_w), canvas_hw)


def draw_crop(size_hw, canvas_hw, jitter, rng):
    """Draw the edges of a crop, inside or outside of the image.

    Args:
        size_hw (tuple of int): Height and width of the image.
        canvas_hw (tuple of int): Height and width of the canvas.
        jitter (float): Largest shift of an edge relative to the side, less than 1/2.
        rng (numpy.random.Generator): Source of all randomness.

    Returns:
        Placement: Placement of the part of the image within the crop.
    """
    sides = []
    for side, canvas in zip(size_hw, canvas_hw):
        first = round(side * rng.uniform(-jitter, jitter))
        last = max(side - round(side * rng.uniform(-jitter, jitter)), first + 1)
        # The part of the image between the two edges, and its place on the canvas.
        source = max(first, 0), min(last, side)
        scale = canvas / (last - first)
        start = min(round((source[0] - first) * scale), canvas - 1)
        stop = max(round((source[1] - first) * scale), start + 1)
        sides.append((*source, start, stop))
    (y_min, y_max, top, bottom), (x_min, x_max, left, right) = sides
    return Placement((y_min, x_min, y_max, x_max), (top, left, bottom, right), canvas_hw)
