"""How the C library hands memory back to the system."""
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 256 << 20
_MMAP_BYTES = 32 << 20  # the largest that glibc takes


def keep_freed_memory():
    """Let this process keep what it frees, up to 256 MB, for the next array of that size.

    By default glibc returns arrays of more than some hundred kilobytes to the system when they are
    freed. The system must then provide new pages for the next image, which takes up to half of the
    time of decoding and augmenting. Other C libraries are not changed.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
