"""Names of the classes of a network, where they lie."""
import pathlib

from yolo_dist.datasets import VOC_CLASS_NAMES
from yolo_dist.errors import InputError
from yolo_dist.runs.run_directory import CLASS_NAMES


def class_names_of_run(directory, config):
    """Find the names of the classes of a run.

    Args:
        directory (~pathlib.Path): The run directory.
        config (~yolo_dist.config.RunConfig): The run.

    Returns:
        list of str: Those of ``class_names.txt``. Runs of version 0.1 have no such file: a
        detector then has the names of its ``config.yaml``, a classifier ``None``.

    Raises:
        InputError: If there is not one name for each class.
    """
    path = directory / CLASS_NAMES
    if path.exists():
        names = read_class_names(path)
        check_class_names(names, config.model.n_class, path)
        return names
    if config.task == 'detection':
        return list(config.data.class_names or VOC_CLASS_NAMES)
    return None


def read_class_names(path):
    """Read names of classes, as in Darknet's ``.names`` files.

    Args:
        path (str or ~pathlib.Path): Text in UTF-8, one name a line, in label order.

    Returns:
        list of str: The names.

    Raises:
        InputError: If it is no such file, or a line between others is empty.
    """
    try:
        text = pathlib.Path(path).read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read as names of classes ({error}); expected text '
                         'in UTF-8, one name a line') from None
    names = [line.strip() for line in text.rstrip().split('\n')]
    if '' in names:
        raise InputError(f'{path}, line {names.index("") + 1}: is empty; expected the name of '
                         f'class {names.index("")}')
    return names


def check_class_names(names, n_class, source):
    """Check that there is a name for each class.

    Args:
        names (sequence of str): The names.
        n_class (int): Number of classes.
        source (str or ~pathlib.Path): Where they are from, for the message.

    Raises:
        InputError: If there are fewer or more.
    """
    if len(names) != n_class:
        raise InputError(f'{source}: found {len(names)} names of classes, but the network has '
                         f'{n_class} classes; expected one name a line for each')
