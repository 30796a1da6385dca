"""Make text UTF-8 in every locale."""
import os
import sys


def use_utf8():
    """Start this process again in Python's UTF-8 mode if the locale has another encoding.

    Names of classes and files are read from UTF-8 files and appear in file names, files and
    terminals. Only an entry point calls this function, before anything else has started. Text
    that UTF-8 cannot represent, such as an argument with stray bytes, is printed as its code.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, 'reconfigure')]
    encodings = {sys.getfilesystemencoding(), *(stream.encoding for stream in streams)}
    is_utf8 = {name.lower().replace('-', '') for name in encodings} == {'utf8'}
    if not is_utf8 and 'utf8' not in sys._xoptions:
        os.environ.pop('PYTHONIOENCODING', None)  # it overrides the mode
        os.execv(sys.executable, [sys.executable, '-X', 'utf8', *sys.orig_argv[1:]])
    for stream in streams:
        stream.reconfigure(errors='backslashreplace')
