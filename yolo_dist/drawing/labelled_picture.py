"""One picture at its own resolution with what was found in it."""
import colorsys
import functools
import math
import re

import numpy as np
from PIL import Image, ImageDraw

from yolo_dist.drawing.fonts import find_font

# Smaller pictures are enlarged by a whole factor: a label would not fit into them.
_LEAST_LONG_SIDE_PX = 480
_LEAST_SHORT_SIDE_PX = 96
_MAX_ENLARGED_SIDE_PX = 1 << 14  # viewers and JPEG have limits

_LEAST_FONT_PX = 12
_FONT_SHARE = 0.025  # of the square root of the picture's area
_MAX_FONT_SHARE = 0.125  # of the shorter side, which is what labels of a strip have to fit
_N_UNCROWDED = 12  # objects; labels of more are smaller
_MAX_HIDDEN_SHARE = 0.02  # of a label; one that would be hidden more is left out


def draw_boxes(img, bbox, label, score, class_names):
    """Draw boxes with the names of their classes and their scores.

    Labels keep clear of each other; where there is no room the better score keeps its label.

    Args:
        img (ndarray): uint8 ``(3, H, W)``, RGB.
        bbox (ndarray): float ``(R, 4)``, ``(y_min, x_min, y_max, x_max)`` in pixels.
        label (ndarray): int ``(R,)``.
        score (ndarray): float ``(R,)``, 0 to 1.
        class_names (sequence of str): Names of the labels. One that no font of this machine can
            draw is drawn as ``class 7``.

    Returns:
        ndarray: uint8 ``(3, H', W')``: the size of ``img``, or a whole multiple of it if it is
        small.
    """
    canvas = _Canvas(img, n_objects=len(bbox))
    best_first = np.argsort(-np.asarray(score), kind='stable')
    boxes = np.asarray(bbox, np.float64).reshape(-1, 4)[:, [1, 0, 3, 2]] * canvas.factor
    for i in best_first[::-1]:
        canvas.add_box(boxes[i], class_color(label[i]))
    for i in best_first:
        name = drawable_name(class_names, label[i])
        canvas.place_label(boxes[i], f'{name} {score[i]:.2f}', class_color(label[i]))
    canvas.write_labels()
    return canvas.planes()


def draw_lines(img, lines):
    """Write lines of text over the upper left corner of a picture.

    Args:
        img (ndarray): uint8 ``(3, H, W)``, RGB.
        lines (sequence of str): The lines.

    Returns:
        ndarray: uint8 ``(3, H', W')``, see :func:`draw_boxes`.
    """
    canvas = _Canvas(img)
    top = 0
    for line in lines:
        top += canvas.write(line, 0, top, (32, 32, 32))
    return canvas.planes()


def drawable_name(class_names, label):
    """Return the name of a class, or ``class 7`` where no font of this machine can draw it.

    Args:
        class_names (sequence of str): Names of the labels.
        label (int): Which of them.

    Returns:
        str: On one line.
    """
    name = ' '.join(class_names[label].split())
    return name if name and find_font(name, _LEAST_FONT_PX) else f'class {label}'


@functools.cache
def class_color(label):
    """Colour of a class; neighbours differ much, whatever the number of classes.

    Args:
        label (int): The class.

    Returns:
        tuple of int: RGB, 0 to 255.
    """
    hue = label * 0.618034 % 1  # the golden section keeps any number of hues apart
    value, saturation = ((1.0, 0.95), (0.75, 1.0), (1.0, 0.55))[label // 7 % 3]
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))


class _Canvas:
    """A picture, the pen for it, and where its labels lie."""

    def __init__(self, img, *, n_objects=0):
        self.factor = _factor(img.shape[1:])
        pixels = img.transpose(1, 2, 0).repeat(self.factor, axis=0).repeat(self.factor, axis=1)
        self._image = Image.fromarray(np.ascontiguousarray(pixels))
        self._pen = ImageDraw.Draw(self._image)
        self.width, self.height = self._image.size
        size = min(_FONT_SHARE * math.sqrt(self.width * self.height),
                   _MAX_FONT_SHARE * min(self.width, self.height))
        crowding = max(0.5, min(1, math.sqrt(_N_UNCROWDED / max(1, n_objects))))
        self._font_px = max(_LEAST_FONT_PX, round(size * crowding))
        self._line_px = max(2, round(self._font_px / 8))
        self._corners = np.zeros((0, 4))  # of the labels so far
        self._labels = []

    def planes(self):
        return np.asarray(self._image).transpose(2, 0, 1)

    def add_box(self, box, color):
        """Draw the outline of a box, dark beside the colour, so that it shows on any ground."""
        left, top, right, bottom = np.clip(np.rint(box), 0, (
            self.width - 1, self.height - 1, self.width - 1, self.height - 1)).tolist()
        edge = max(1, self._line_px // 3)
        for shrink, width, ink in ((-edge, self._line_px + 2 * edge, (0, 0, 0)),
                                   (0, self._line_px, color)):
            corners = (left + shrink, top + shrink, right - shrink, bottom - shrink)
            if corners[2] >= corners[0] and corners[3] >= corners[1]:
                self._pen.rectangle(corners, outline=ink, width=width)

    def place_label(self, box, text, color):
        """Find the corner of a box where its label hides least of the labels so far."""
        _, _, width, height = self._fit(text)
        left, top, right, bottom = box
        places = np.array([(x, y) for y in (top - height, bottom, top, bottom - height)
                           for x in (left, right - width)])
        places = np.clip(np.rint(places), 0, (max(0, self.width - width),
                                              max(0, self.height - height)))
        corners = np.hstack((places, places + (width, height)))
        shared = np.clip(np.minimum(corners[:, None, 2:], self._corners[:, 2:])
                         - np.maximum(corners[:, None, :2], self._corners[:, :2]), 0, None)
        hidden = shared.prod(axis=2).sum(axis=1) / (width * height)
        best = int(hidden.argmin())
        if hidden[best] <= _MAX_HIDDEN_SHARE:
            self._corners = np.vstack((self._corners, corners[best]))
            self._labels.append((text, *places[best].tolist(), color))

    def write_labels(self):
        """Write the labels, the first one last, so that none hides it."""
        for label in reversed(self._labels):
            self.write(*label)

    def write(self, text, left, top, color):
        """Write a line of text on a ground of its own; return its height."""
        text, font, width, height = self._fit(text)
        self._pen.rectangle((left, top, left + width - 1, top + height - 1), fill=color)
        red, green, blue = color
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 140
        self._pen.text((left + self._line_px, top), text, font=font,
                       fill=(0, 0, 0) if is_light else (255, 255, 255))
        return height

    def _fit(self, text):
        """Cut a text's middle out until it is no wider than the picture."""
        font = find_font(text, self._font_px) or find_font('?', self._font_px)
        width_px, kept = font.getlength(text), text
        while width_px + 2 * self._line_px > self.width and len(kept) > 2:
            kept = kept[:-1]
            shown = _shortened(text, len(kept))
            width_px = font.getlength(shown)
        shown = text if kept is text else _shortened(text, len(kept))
        return shown, font, math.ceil(width_px) + 2 * self._line_px, sum(font.getmetrics())


def _shortened(text, n_characters):
    """Cut characters out of a name, never out of the score that ends the text."""
    score = re.search(r'( [\d.]+( %)?)?$', text).group()
    return f'{text[:max(0, n_characters - len(score))]}…{score}'


def _factor(size_hw):
    wanted = max(-(-_LEAST_LONG_SIDE_PX // max(size_hw)),
                 -(-_LEAST_SHORT_SIDE_PX // min(size_hw)))
    return max(1, min(wanted, _MAX_ENLARGED_SIDE_PX // max(size_hw)))
