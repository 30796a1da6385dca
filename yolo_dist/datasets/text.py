"""Text that editors and tools wrote: lists of images, names."""
import codecs
import re

from yolo_dist.errors import InputError

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, 'utf-8-sig'), (codecs.BOM_UTF16_LE, 'utf-16'),
                     (codecs.BOM_UTF16_BE, 'utf-16'))

# Folders and files that operating systems leave in a data set, besides those that start with '.'.
_LEFT_BY_SYSTEMS = {'__MACOSX', '@eaDir', 'lost+found', '$RECYCLE.BIN',
                    'System Volume Information', 'Thumbs.db', 'desktop.ini'}


# What ends a line, or cannot stand in XML.
_UNWRITABLE = re.compile('[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]')


def is_writable(name):
    """Tell whether a name can stand on a line of a list and in XML, and is read back.

    Args:
        name (str): Of a class or a file.

    Returns:
        bool: Whether it is on one line, of characters that UTF-8 and XML have.
    """
    return not _UNWRITABLE.search(name)


def read_lines(tree, path):
    """Read a list: UTF-8, or UTF-16 as a byte order mark says, with any line ends.

    Args:
        tree (FolderTree or PackedTree): Where it is.
        path (str): Relative to the root of ``tree``.

    Returns:
        list of tuple: Number from 1 and text of each line that is not blank; blanks at the ends
        are taken off.

    Raises:
        OSError: If it cannot be read.
        InputError: If it is in another encoding.
    """
    data = tree.read(path)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), 'utf-8')
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b'\n') + 1
        raise InputError(
            f'{tree.root}/{path}, line {line}: found bytes {data[error.start:error.end + 8]!r}, '
            f'which are not {encoding.upper()}; save the list as UTF-8 text') from error
    # A second mark stands where files were joined.
    lines = [(number, line.strip('\ufeff \t\r\n\f\v\xa0'))
             for number, line in enumerate(text.splitlines(), start=1)]
    return [(number, line) for number, line in lines if line]


def shown(text):
    """Show a name in a message so that what cannot be seen can be seen.

    Args:
        text (str): The name.

    Returns:
        str: Quoted; characters that look like nothing or like others as their codes.
    """
    return repr(text) if text.isascii() else f'{text!r} ({ascii(text)})'


def is_left_by_system(name):
    """Tell whether a folder or file is no part of a data set: hidden, or made by a system.

    Args:
        name (str): Without its folder.

    Returns:
        bool: Whether to pass it over.
    """
    return name.startswith('.') or name.rstrip('/') in _LEFT_BY_SYSTEMS
