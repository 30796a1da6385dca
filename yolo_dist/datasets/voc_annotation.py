"""One annotation file of a Pascal VOC tree."""
import math
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import defusedxml
import defusedxml.ElementTree
import numpy as np

from yolo_dist.errors import InputError

_CORNERS = ('ymin', 'xmin', 'ymax', 'xmax')


class VOCAnnotation(NamedTuple):
    """What one annotation file says.

    Attributes:
        bbox (ndarray): float32 ``(R, 4)``, ``(y_min, x_min, y_max, x_max)`` in pixels; not yet
            compared with the image.
        label (ndarray): int32 ``(R,)``.
        difficult (ndarray): bool ``(R,)``.
        size_hw (tuple of int): Height and width that the file states; ``None`` if it does not.
    """

    bbox: np.ndarray
    label: np.ndarray
    difficult: np.ndarray
    size_hw: tuple | None


def parse_voc_annotation(data, name, class_names):
    """Read the content of an annotation file.

    VOC counts pixels from 1, so 1 is subtracted from all four coordinates, as ChainerCV and
    Darknet's ``voc_label.py`` do. Coordinates with a fraction are taken as they are; a missing or
    empty ``<difficult>`` means 0; blanks around a class name do not count. Anything else out of
    order is an error: nothing is dropped in silence.

    Args:
        data (bytes): The XML file.
        name (str): What an error message calls it.
        class_names (sequence of str): Classes in label order.

    Returns:
        VOCAnnotation: Its objects, perhaps none.

    Raises:
        InputError: If it is no well-formed XML, declares entities, or an object lacks a part, is
            of an unknown class, or has a box without area.
    """
    root = _parse_xml(data, name)
    objects = [_parse_object(element, f'{name}, object {number}', class_names)
               for number, element in enumerate(root.findall('object'), start=1)]
    return VOCAnnotation(
        np.array([bb for bb, _, _ in objects], np.float32).reshape(-1, 4),
        np.array([label for _, label, _ in objects], np.int32),
        np.array([difficult for _, _, difficult in objects], bool),
        _stated_size(root))


def _parse_xml(data, name):
    # Entities need a declaration, `<!`, in an encoding that XML calls one of ASCII's kind or
    # that has zeros. Without it the standard parser is as safe, and ten times as fast.
    is_plain = b'<!' not in data and b'\0' not in data
    parser = ElementTree if is_plain else defusedxml.ElementTree
    try:
        return parser.fromstring(data)
    except defusedxml.DefusedXmlException as error:
        raise InputError(f'{name}: the annotation declares XML entities, which are not read; '
                         'remove its DOCTYPE') from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f'{name}: not well-formed XML ({error}); mend or replace the '
                         'file') from error


def _parse_object(element, where, class_names):
    name = (element.findtext('name') or '').strip()
    if name not in class_names:
        raise InputError(f'{where}: found class {name!r}, expected one of '
                         f'{", ".join(class_names)}; set data.class_names to the classes of '
                         'this set')
    difficult = (element.findtext('difficult') or '').strip() or '0'
    if difficult not in ('0', '1'):
        raise InputError(f'{where}: <difficult> is {difficult!r}, expected 0 or 1')

    corners = {tag: (element.findtext(f'bndbox/{tag}') or '').strip() for tag in _CORNERS}
    try:
        bb = [float(corners[tag]) - 1 for tag in _CORNERS]
    except ValueError:
        bb = [math.nan]
    if not all(map(math.isfinite, bb)):
        raise InputError(f'{where}: the box is {_in_words(corners)}, expected four numbers')
    y_min, x_min, y_max, x_max = bb
    if y_max <= y_min or x_max <= x_min:
        raise InputError(f'{where}: the box {_in_words(corners)} has no area; xmax must be '
                         'larger than xmin, and ymax than ymin')
    return bb, class_names.index(name), difficult == '1'


def _stated_size(root):
    try:
        size_hw = tuple(int(float(root.findtext(f'size/{tag}'))) for tag in ('height', 'width'))
    except (TypeError, ValueError, OverflowError):
        return None
    # Some tools write zeros when they do not know.
    return size_hw if min(size_hw) > 0 else None


def _in_words(corners):
    return ', '.join(f'{tag} {value!r}' for tag, value in corners.items())


def format_voc_annotation(filename, shape, objects):
    """Write the content of an annotation file.

    Args:
        filename (str): File name of the image.
        shape (tuple of int): Height, width and number of channels of the image.
        objects (list of tuple): ``(class name, (y_min, x_min, y_max, x_max), is_difficult)`` of
            each object; coordinates are numbers, in pixels from 0, the maxima exclusive.

    Returns:
        bytes: XML.
    """
    root = ElementTree.Element('annotation')
    _add(root, 'folder', 'VOC2007')
    _add(root, 'filename', filename)
    size = _add(root, 'size')
    for tag, value in zip(('height', 'width', 'depth'), shape):
        _add(size, tag, value)
    _add(root, 'segmented', 0)
    for name, (y_min, x_min, y_max, x_max), is_difficult in objects:
        element = _add(root, 'object')
        _add(element, 'name', name)
        _add(element, 'truncated', 0)
        _add(element, 'difficult', int(is_difficult))
        bndbox = _add(element, 'bndbox')
        # VOC counts pixels from 1 and includes the last: only the minima move.
        for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'),
                              (x_min + 1, y_min + 1, x_max, y_max)):
            _add(bndbox, tag, value)
    ElementTree.indent(root)
    return ElementTree.tostring(root) + b'\n'


def _add(parent, tag, text=None):
    element = ElementTree.SubElement(parent, tag)
    if text is not None:
        element.text = str(text)
    return element
