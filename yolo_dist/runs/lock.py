"""One job at a time in a run directory, on one host or on several."""

import errno
import fcntl
import json
import os
import pathlib
import platform
import threading
import time

from yolo_dist.errors import InputError
from yolo_dist.runs.heartbeat import boot_id
from yolo_dist.whole_files import cannot_write

_SECONDS_BETWEEN_BEATS = 5
_SECONDS_UNTIL_DEAD = 30
# Errors of file systems without locks.
_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


class RunLock:
    """The right to write into a run directory. It ends when its owner ends.

    The kernel holds a lock on a file as long as the owner lives. This always works within a
    host. Between hosts it works on NFS, GPFS, and Lustre mounted with ``flock``. On other file
    systems a host does not see the locks of other hosts. The owner therefore touches the file
    every 5 seconds. A process that gets the lock of an owner on another host watches the file
    for 30 seconds to see whether it is touched.

    Args:
        directory (pathlib.Path): The run directory.
    """

    def __init__(self, directory):
        self._directory = pathlib.Path(directory)
        self._path = self._directory / '.lock'
        self._file = None
        self._made = []
        self._is_released = threading.Event()

    def acquire(self):
        """Take the lock and make the directory. :meth:`release` removes an empty directory.

        Raises:
            InputError: If another job has the lock (the message names its host and process), or
                if the directory cannot be written.
        """
        self._made = [path for path in (self._directory, *self._directory.parents)
                      if not path.exists()]
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            file, is_supported = self._open_locked()
            self._check_owner_is_dead(file, is_supported)
            self._file = file
            file.truncate(0)
            file.write(json.dumps(_this_process()))
            file.flush()
        except OSError as error:
            self.release()
            raise cannot_write(self._directory, error) from error
        threading.Thread(target=self._beat, daemon=True).start()

    def release(self):
        """Release the lock if it was taken."""
        self._is_released.set()
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
        for path in self._made:
            try:
                path.rmdir()
            except OSError:  # the directory is not empty
                break

    def _open_locked(self):
        while True:
            file = open(self._path, 'a+', encoding='utf-8')
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_supported = True
            except BlockingIOError:
                raise self._taken(_read(file)) from None
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                is_supported = False
            # The previous owner may have removed the file while this process opened it.
            if self._path.exists() and os.fstat(file.fileno()).st_ino == self._path.stat().st_ino:
                return file, is_supported
            file.close()

    def _check_owner_is_dead(self, file, is_supported):
        owner = _read(file)
        if not owner or is_supported and owner.get('boot') == _this_process()['boot']:
            return
        print(f'{self._directory}: checking for {_SECONDS_UNTIL_DEAD} s whether the job of '
              f'{owner.get("host")} is alive', flush=True)
        began_at, touched_at = time.monotonic(), self._path.stat().st_mtime_ns
        while time.monotonic() - began_at < _SECONDS_UNTIL_DEAD:
            time.sleep(_SECONDS_UNTIL_DEAD / 30)
            with open(self._path, 'rb') as seen:  # opening reads from the server, not from a cache
                if os.fstat(seen.fileno()).st_mtime_ns != touched_at:
                    raise self._taken(owner)

    def _taken(self, owner):
        return InputError(
            f'{self._directory}: another job writes here: process {owner.get("process")} on '
            f'{owner.get("host")}, since {owner.get("since")}; wait until it ends, end it, or '
            'name another place with --results')

    def _beat(self):
        while not self._is_released.wait(_SECONDS_BETWEEN_BEATS):
            try:
                os.utime(self._path)
            except OSError:
                pass  # just released, or the disk is gone, which training reports


def _this_process():
    return {'host': platform.node(), 'boot': boot_id(), 'process': os.getpid(),
            'since': time.strftime('%Y-%m-%d %H:%M:%S %z')}


def _read(file):
    file.seek(0)
    try:
        owner = json.loads(file.read())
    except (ValueError, RecursionError):  # empty: its owner is writing it at this moment
        return {}
    return owner if isinstance(owner, dict) else {}
