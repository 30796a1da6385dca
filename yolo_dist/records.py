"""What result directories say about the runs of experiments."""

import dataclasses
import pathlib

from yolo_dist.config import RunConfig, load_config, rows
from yolo_dist.errors import InputError
from yolo_dist.results import read_json, run_directory


@dataclasses.dataclass(frozen=True)
class Record:
    """One run, whether or not it has been started.

    Attributes:
        config: The run as it was (resolved) or as it would be.
        directory: Where its results are or would be.
        state: ``'not run'``, or the state of ``status.json``.
        metrics: Final ``{metric: value}``; empty until the run is done. A run
            that diverged has none.
        log: Entries of ``log.json``.
    """

    config: RunConfig
    directory: pathlib.Path
    state: str
    metrics: dict
    log: list


def read_record(directory, config=None):
    """Reads one run directory; works while the run is going on.

    Args:
        directory (pathlib.Path): The run directory.
        config (~yolo_dist.config.RunConfig): The run to report as not run where
            there is no such directory.

    Returns:
        Record: What the directory says.

    Raises:
        InputError: If there is neither a run nor a ``config``.
    """
    directory = pathlib.Path(directory)
    if (directory / 'config.yaml').exists():
        config = load_config(directory / 'config.yaml')
    elif config is None:
        raise InputError(f'{directory}: is not a run directory (it has no config.yaml); expected '
                         'one that `python -m yolo_dist.train` wrote, or an experiment file')
    status = read_json(directory / 'status.json') or {'state': 'not run'}
    metrics = {key.removeprefix('val/'): value
               for key, value in status.get('metrics', {}).items()}
    return Record(config, directory, status['state'],
                  metrics if status['state'] == 'done' else {},
                  read_json(directory / 'log.json') or [])


def find_records(experiment_or_run, results):
    """Reads all runs that a command-line argument stands for.

    Args:
        experiment_or_run (str): A run directory or an experiment file.
        results (str): Folder of the result directories of experiment files.

    Returns:
        list of Record: One a run, in the order of the file.

    Raises:
        InputError: If the argument is neither.
    """
    path = pathlib.Path(experiment_or_run)
    if path.is_dir():
        return [read_record(path)]
    records = []
    for row in rows(path) or [None]:
        config = load_config(path, row=row, results=results)
        records.append(read_record(run_directory(results, config), config))
    return records
