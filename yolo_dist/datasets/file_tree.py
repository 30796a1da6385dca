"""The files of a data set: in a folder, or all of them packed into one file."""
import contextlib
import errno
import functools
import os
import struct
from pathlib import Path

import lmdb

from yolo_dist.errors import InputError
from yolo_dist.outside_files import open_file, read_file
from yolo_dist.whole_files import write_whole

# Not the name of any file: those do not start with a blank.
_MANIFEST_KEY, _MANIFEST = b' packed_by_yolo_dist', b'1'

_MAX_KEY_BYTES = 511  # of LMDB
_LMDB_START, _LMDB_MAGIC = 16, struct.pack('=I', 0xbeefc0de)
_PAGE_BYTES = 4096
# Small enough for the memory of any machine, large enough that commits do not count.
_BYTES_PER_COMMIT = 64 << 20


def open_file_tree(root):
    """Open what ``data.root`` names: a folder, or a file that :func:`pack_files` wrote.

    Args:
        root (str or ~pathlib.Path): The folder, or the file.

    Returns:
        FolderTree or PackedTree: With the same methods; errors of a folder that is not there
        come from reading.

    Raises:
        InputError: If ``root`` is a file, but not a whole packed data set.
    """
    return PackedTree(root) if Path(root).is_file() else FolderTree(root)


def is_data_there(root):
    """Tell whether ``data.root`` names a folder or a packed data set, not any other file.

    Args:
        root (str or ~pathlib.Path): The folder, or the file.

    Returns:
        bool: Whether :func:`open_file_tree` has something to open, whole or not.
    """
    path = Path(root)
    if not path.is_file():
        return path.is_dir()
    try:
        with open(path, 'rb') as file:
            return file.read(_LMDB_START + len(_LMDB_MAGIC))[_LMDB_START:] == _LMDB_MAGIC
    except OSError:  # not to be read by this user
        return False


class FolderTree:
    """Files in a folder.

    A path with ``..`` in it is refused, as lists come from strangers. Symbolic links are
    followed: whoever made them could write into the folder.

    Args:
        root (str or ~pathlib.Path): The folder.

    Attributes:
        root (str): As given.
    """

    def __init__(self, root):
        self.root = str(root)

    def read(self, path):
        """Read a file.

        Args:
            path (str): Relative to ``root``, with ``/`` between its parts.

        Returns:
            bytes: Its content.

        Raises:
            OSError: If it is not there or cannot be read.
        """
        return read_file(self._place(path))

    def read_ends(self, path, n_bytes):
        """Read the start and the end of a file, or all of it where that is as short.

        Args:
            path (str): See :meth:`read`.
            n_bytes (int): How much of the start, and how much of the end.

        Returns:
            tuple of bytes: The start and the end; the whole of a short file and nothing.

        Raises:
            OSError: If it is not there, is no file, or cannot be read.
        """
        with open_file(self._place(path)) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= 2 * n_bytes:
                return file.read(), b''
            start = file.read(n_bytes)
            file.seek(-n_bytes, os.SEEK_END)
            return start, file.read(n_bytes)

    def is_file(self, path):
        """Whether there is such a file."""
        return os.path.isfile(self._place(path))

    def is_folder(self, path):
        """Whether there is such a folder."""
        return os.path.isdir(self._place(path))

    def list(self, path):
        """List a folder.

        Args:
            path (str): Relative to ``root``.

        Returns:
            list of str: Names in it, in any order; those of folders end with ``/``.

        Raises:
            OSError: If it is not there or cannot be read.
            InputError: If a name in it is in another encoding than UTF-8.
        """
        with os.scandir(self._place(path)) as entries:
            names = [entry.name + '/' * _is_folder(entry) for entry in entries]
        for name in names:
            if not name.isascii() and not _is_utf8(name):
                raise InputError(f'{self.root}/{path}: found the file name {os.fsencode(name)!r}, '
                                 'which is not UTF-8; rename it')
        return names

    def size(self, path):
        """Size of a file in bytes; :class:`OSError` if it is not there."""
        return os.stat(self._place(path)).st_size

    def _place(self, path):
        if '\0' in path:
            raise InputError(f'{self.root}: {path[:100]!r}, which a list or a split names, holds '
                             'a zero, as the name of no file does; is it text?')
        if '..' in path and '..' in path.split('/'):
            raise InputError(
                f'{self.root}: {path!r}, which a list or a split names, leads out of the folder; '
                'name files inside it, or link the folder that holds them into it')
        return f'{self.root}/{path}'


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_utf8(name):
    # What could not be decoded stands in it as half a surrogate pair.
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class PackedTree:
    """Files packed into one LMDB file, for file systems that dislike a million small ones.

    The key is the path of a file relative to the folder that was packed, the value its content;
    a folder without files is a key that ends with ``/``. Any number of processes read the file
    at once, each through its own map of it, which is opened when first needed.

    Args:
        root (str or ~pathlib.Path): The file.

    Attributes:
        root (str): As given.

    Raises:
        InputError: If it is no packed data set, or a cut one.
    """

    def __init__(self, root):
        self.root = str(root)
        _open_environment(os.path.realpath(root))

    def read(self, path):
        """See :meth:`FolderTree.read`."""
        key = path.encode()
        content = None
        if len(key) <= _MAX_KEY_BYTES:
            with self._transaction() as transaction:
                content = transaction.get(key)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return content

    def read_ends(self, path, n_bytes):
        """See :meth:`FolderTree.read_ends`."""
        content = self.read(path)
        if len(content) <= 2 * n_bytes:
            return content, b''
        return content[:n_bytes], content[-n_bytes:]

    def is_file(self, path):
        """See :meth:`FolderTree.is_file`."""
        key = path.encode()
        return self._first_key(key) == key

    def is_folder(self, path):
        """See :meth:`FolderTree.is_folder`."""
        prefix = f'{path}/'.encode()
        return self._first_key(prefix).startswith(prefix)

    def list(self, path):
        """See :meth:`FolderTree.list`; a folder that is not there is empty."""
        prefix = f'{path}/'.encode()
        names = []
        with self._transaction() as transaction, transaction.cursor() as cursor:
            found = cursor.set_range(prefix)
            while found and cursor.key().startswith(prefix):
                name, slash, _ = cursor.key()[len(prefix):].partition(b'/')
                if name:
                    names.append((name + slash).decode())
                # Over all that a folder holds: '0' is the character after '/'.
                found = cursor.set_range(prefix + name + b'0') if slash else cursor.next()
        return names

    def size(self, path):
        """See :meth:`FolderTree.size`."""
        return len(self.read(path))

    @contextlib.contextmanager
    def _transaction(self):
        try:
            with _open_environment(os.path.realpath(self.root)).begin() as transaction:
                yield transaction
        except lmdb.Error as error:
            raise InputError(f'{self.root}: the packed data set is damaged ({error}); copy or '
                             'pack it again') from error

    def _first_key(self, key):
        """Return the first key that is not before the given one; empty if there is none."""
        with self._transaction() as transaction, transaction.cursor() as cursor:
            return cursor.key() if cursor.set_range(key[:_MAX_KEY_BYTES]) else b''


_environments = []  # open in this process; LMDB allows one of a file


@functools.cache
def _open_environment(path):
    environment = None
    try:
        # No lock file: nobody writes. No read-ahead: examples are read in random order.
        environment = lmdb.open(path, subdir=False, readonly=True, lock=False, readahead=False)
        _check(environment, path)
    except BaseException as error:
        if environment is not None:
            environment.close()
        if isinstance(error, lmdb.Error):
            raise InputError(
                f'{path}: neither a folder nor a packed data set ({error}); data.root is a '
                'folder, or a file written by python -m yolo_dist.pack_data') from error
        raise
    _environments.append(environment)
    return environment


def _close_inherited():
    """Close what a fork has copied, which LMDB does not allow to be used; opened anew later."""
    _open_environment.cache_clear()
    while _environments:
        _environments.pop().close()


os.register_at_fork(after_in_child=_close_inherited)


def _check(environment, path):
    # A page behind the end of the file would end the process with SIGBUS.
    needed = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    found = os.path.getsize(path)
    if found < needed:
        raise InputError(f'{path}: the packed data set is cut: found {found:,} bytes, expected '
                         f'{needed:,}; copy or pack it again')
    with environment.begin() as transaction:
        manifest = transaction.get(_MANIFEST_KEY)
    if manifest != _MANIFEST:
        raise InputError(f'{path}: an LMDB file, but not one that this version packed; pack the '
                         'data set again with python -m yolo_dist.pack_data')


def pack_files(tree, paths, destination, *, progress):
    """Pack files of a tree into one file, which appears when it is complete.

    Args:
        tree (FolderTree): Where they are read from.
        paths (iterable of str): Relative to the root of ``tree``; those that end with ``/`` are
            folders, which are kept even without files.
        destination (str or ~pathlib.Path): The file; must not exist.
        progress (callable): Called with the bytes of each file as it is written.

    Returns:
        int: Size of the file in bytes.

    Raises:
        InputError: If ``destination`` exists or cannot be written, or a file cannot be read or
            has too long a name.
    """
    # LMDB keeps keys in this order, and is densest when they come so.
    paths = sorted(set(paths), key=str.encode)
    destination = Path(os.path.abspath(destination))
    if destination.exists():
        raise InputError(f'{destination}: exists already; name another file, or remove this one')
    for path in paths:
        if len(path.encode()) > _MAX_KEY_BYTES:
            raise InputError(f'{tree.root}/{path}: the name has {len(path.encode())} bytes, '
                             f'which is more than the {_MAX_KEY_BYTES} that can be packed')
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(destination) as partial:
            _write(tree, paths, str(partial), progress)
    except (OSError, lmdb.Error) as error:
        raise InputError(f'{destination}: cannot be packed ({error}); nothing was left '
                         'behind') from error
    return destination.stat().st_size


def _write(tree, paths, partial, progress):
    environment = lmdb.open(partial, subdir=False, lock=False, sync=False, mode=0o644,
                            map_size=1 << 20)
    try:
        batch, n_bytes = [(_MANIFEST_KEY, _MANIFEST)], 0
        for path in paths:
            content = b'' if path.endswith('/') else tree.read(path)
            batch.append((path.encode(), content))
            n_bytes += len(content) + 2 * _PAGE_BYTES
            progress(len(content))
            if n_bytes >= _BYTES_PER_COMMIT:
                _commit(environment, batch, n_bytes)
                batch, n_bytes = [], 0
        _commit(environment, batch, n_bytes)
        environment.sync(True)
    finally:
        environment.close()


def _commit(environment, batch, n_bytes):
    # That of the address space; the file grows as it is written.
    environment.set_mapsize(environment.info()['map_size'] + 2 * n_bytes)
    with environment.begin(write=True) as transaction:
        for key, content in batch:
            transaction.put(key, content, append=True)
