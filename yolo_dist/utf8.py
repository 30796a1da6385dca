"""Text is UTF-8 wherever the package runs, whatever the locale says."""
import os
import sys


def use_utf8():
    """Start this process again in Python's UTF-8 mode if the locale has another encoding.

    Names of classes and files come from files in UTF-8, and go to names, files and terminals.
    Only an entry point calls this, before anything else has started. What cannot be written in
    UTF-8, such as an argument with stray bytes, is printed as its code.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, 'reconfigure')]
    encodings = {sys.getfilesystemencoding(), *(stream.encoding for stream in streams)}
    is_utf8 = {name.lower().replace('-', '') for name in encodings} == {'utf8'}
    if not is_utf8 and 'utf8' not in sys._xoptions:
        os.environ.pop('PYTHONIOENCODING', None)  # stronger than the mode
        os.execv(sys.executable, [sys.executable, '-X', 'utf8', *sys.orig_argv[1:]])
    for stream in streams:
        stream.reconfigure(errors='backslashreplace')
