"""One annotation file of a Pascal VOC tree."""
import math
import unicodedata
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple
from xml.parsers import expat

import defusedxml
import defusedxml.ElementTree
import numpy as np

from yolo_dist.datasets.text import shown
from yolo_dist.errors import InputError

_CORNERS = ('ymin', 'xmin', 'ymax', 'xmax')
_INCORRECT_ENCODING = expat.errors.codes[expat.errors.XML_ERROR_INCORRECT_ENCODING]
_HOW_TO_DROP = 'mend the box, or leave such boxes out by data.invalid_boxes: drop'


# What tools write into <difficult>; of an object that says nothing, and of LabelMe's word for it.
_DIFFICULT = {'': False, 'unspecified': False,
              **dict.fromkeys(('0', '0.0', 'false', 'no', 'n', 'f', 'off'), False),
              **dict.fromkeys(('1', '1.0', 'true', 'yes', 'y', 't', 'on'), True)}


class VOCAnnotation(NamedTuple):
    """What one annotation file says.

    Attributes:
        bbox (ndarray): float32 ``(R, 4)``, ``(y_min, x_min, y_max, x_max)`` in pixels; not yet
            compared with the image.
        label (ndarray): int32 ``(R,)``.
        difficult (ndarray): bool ``(R,)``.
        number (ndarray): int64 ``(R,)``, place of each object in the file, from 1.
        size_hw (tuple of int): Height and width that the file states; ``None`` if it does not.
        filename (str): Name of the image that the file states, or nothing.
        counts_from_0 (bool): Whether a box has a minimum of 0, which VOC's counting does not
            have.
        invalid (tuple of str): A message for each box that was left out.
        ignored (tuple of str): The class of each object that was left out.
    """

    bbox: np.ndarray
    label: np.ndarray
    difficult: np.ndarray
    number: np.ndarray
    size_hw: tuple | None
    filename: str
    counts_from_0: bool
    invalid: tuple
    ignored: tuple


class _InvalidBox(InputError):
    """A box that ``data.invalid_boxes: drop`` leaves out."""


def parse_voc_annotation(data, name, class_names, *, ignore_classes=(), drops_invalid=False):
    """Read the content of an annotation file.

    VOC counts pixels from 1, so 1 is subtracted from all four coordinates, as ChainerCV and
    Darknet's ``voc_label.py`` do. Coordinates with a fraction are taken as they are; a missing or
    empty ``<difficult>`` means 0, words such as ``False`` what they say; blanks around a class
    name and namespaces of tags do not count. Anything else out of order is an error: nothing is
    dropped in silence.

    Args:
        data (bytes): The XML file.
        name (str): What an error message calls it.
        class_names (sequence of str): Classes in label order.
        ignore_classes (sequence of str or 'others'): Classes whose objects are left out;
            ``'others'`` means all that are not in ``class_names``.
        drops_invalid (bool): Whether boxes without area or numbers are left out.

    Returns:
        VOCAnnotation: Its objects, perhaps none.

    Raises:
        InputError: If it is no well-formed XML, no annotation, declares entities, or an object
            lacks a part, is of an unknown class, or has a box without area.
    """
    root = _parse_xml(data, name)
    if root.tag.lower() != 'annotation':
        raise InputError(f'{name}: found XML that starts with <{root.tag}>, expected '
                         '<annotation>; replace the file')
    objects, invalid, ignored = [], [], []
    counts_from_0 = False
    for number, element in enumerate(root.iter('object'), start=1):
        where = f'{name}, object {number}'
        class_name = unicodedata.normalize('NFC', (element.findtext('name') or '').strip())
        if class_name and class_name not in class_names and (
                ignore_classes == 'others' or class_name in ignore_classes):
            ignored.append(class_name)
            continue
        counts_from_0 |= any((element.findtext(f'bndbox/{tag}') or '').strip() == '0'
                             for tag in ('xmin', 'ymin'))
        try:
            objects.append((*_parse_object(element, where, class_name, class_names), number))
        except _InvalidBox as error:
            if not drops_invalid:
                raise
            invalid.append(str(error))
    return VOCAnnotation(
        np.array([bb for bb, *_ in objects], np.float32).reshape(-1, 4),
        np.array([label for _, label, _, _ in objects], np.int32),
        np.array([difficult for _, _, difficult, _ in objects], bool),
        np.array([number for *_, number in objects], np.int64),
        _stated_size(root), (root.findtext('filename') or '').strip(), counts_from_0,
        tuple(invalid), tuple(ignored))


def _parse_xml(data, name):
    # Entities need a declaration, `<!`, in an encoding that XML calls one of ASCII's kind or
    # that has zeros. Without it the standard parser is as safe, and ten times as fast.
    is_plain = b'<!' not in data and b'\0' not in data
    parser = ElementTree if is_plain else defusedxml.ElementTree
    try:
        # XML allows no blank before its declaration.
        data = data.lstrip()
        try:
            root = parser.fromstring(data)
        except ElementTree.ParseError as error:
            # Some tools declare UTF-16 in what they then write as UTF-8.
            if not is_plain or error.code != _INCORRECT_ENCODING:
                raise
            root = parser.fromstring(data, ElementTree.XMLParser(encoding='utf-8'))
    except defusedxml.DefusedXmlException as error:
        raise InputError(f'{name}: the annotation declares XML entities, which are not read; '
                         'remove its DOCTYPE') from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f'{name}: not well-formed XML ({error}); found {data[:20]!r}...; mend '
                         'or replace the file') from error
    if root.tag.startswith('{'):
        for element in root.iter():
            if isinstance(element.tag, str):
                element.tag = element.tag.rpartition('}')[2]
    return root


def _parse_object(element, where, class_name, class_names):
    if class_name not in class_names:
        raise InputError(f'{where}: found class {shown(class_name)}, expected one of '
                         f'{", ".join(class_names)}; set data.class_names to the classes of '
                         'this set, or name it in data.ignore_classes to leave it out')
    difficult = (element.findtext('difficult') or '').strip()
    if difficult.lower() not in _DIFFICULT:
        raise InputError(f'{where}: <difficult> is {shown(difficult)}, expected 0 or 1, or a word '
                         'such as true or no')
    if len(element.findall('bndbox')) > 1:
        raise InputError(f'{where}: found {len(element.findall("bndbox"))} boxes in one object, '
                         'expected one; write an object for each')

    corners = {tag: (element.findtext(f'bndbox/{tag}') or '').strip() for tag in _CORNERS}
    try:
        bb = [float(corners[tag]) - 1 for tag in _CORNERS]
    except ValueError:
        bb = [math.nan]
    if not all(map(math.isfinite, bb)):
        raise _InvalidBox(f'{where}: the box is {_in_words(corners)}, expected four numbers; '
                          f'{_HOW_TO_DROP}')
    y_min, x_min, y_max, x_max = bb
    if y_max <= y_min or x_max <= x_min:
        hint = ('; it counts pixels from 0, but VOC from 1 and with the last pixel'
                if '0' in corners.values() else '')
        raise _InvalidBox(f'{where}: the box {_in_words(corners)} has no area{hint}; xmax must '
                          f'be larger than xmin, and ymax than ymin; {_HOW_TO_DROP}')
    return bb, class_names.index(class_name), _DIFFICULT[difficult.lower()]


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
