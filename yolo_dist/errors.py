"""What entry points and training report instead of a traceback."""


class InputError(ValueError):
    """Something that the user gave cannot be used as it is.

    The message says what was found, what was expected and what to do. Entry
    points print it once for the whole job and exit with status 2; any other
    exception is a defect of this package and keeps its traceback.
    """


class TrainingDiverged(RuntimeError):
    """The loss or a gradient is no longer a finite number; every process knows."""


class GradientOverflow(ArithmeticError):
    """A sum of gradients in float16 is not finite; every process knows."""


class ProcessLost(RuntimeError):
    """A process that this one depends on was killed or crashed."""
