"""The one exception that entry points show without a traceback."""


class InputError(ValueError):
    """Something that the user gave cannot be used as it is.

    The message says what was found, what was expected and what to do. Entry
    points print it once for the whole job and exit with status 2; any other
    exception is a defect of this package and keeps its traceback.
    """
