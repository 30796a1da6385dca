"""Records of the runs of experiments, read from result directories."""

import dataclasses
import pathlib
import re

import pydantic

from yolo_dist.config import RunConfig, differences, load_config, rows, seeds
from yolo_dist.errors import InputError
from yolo_dist.runs.heartbeat import is_dead
from yolo_dist.runs.run_directory import (
    is_computed,
    read_json,
    read_status,
    run_directory,
    take_resolved,
)


class Quartiles(pydantic.BaseModel):
    median: pydantic.PositiveFloat
    lower_quartile: pydantic.PositiveFloat
    upper_quartile: pydantic.PositiveFloat


class Throughput(pydantic.BaseModel):
    """Content of ``throughput.json``.

    ``phase_seconds`` maps input, forward_backward, allreduce and update to their
    seconds in an iteration.
    """

    n_workers: pydantic.PositiveInt
    n_processes: pydantic.PositiveInt
    images_per_second: Quartiles
    seconds_per_iteration: Quartiles
    phase_seconds: dict[str, pydantic.NonNegativeFloat]
    peak_memory_megabytes: pydantic.NonNegativeFloat | None = None  # older records have none

    @property
    def is_of_whole_machine(self):
        """Whether each worker had its own process. Only then this is the speed of k GPUs."""
        return self.n_processes == self.n_workers


@dataclasses.dataclass(frozen=True)
class Record:
    """One run, whether or not it has been started.

    Attributes:
        row (str): Row of the experiment, or the name of a single run.
        seed (int): Seed of the run.
        planned: The run in the experiment file.
        config: The actual run (resolved); ``planned`` before it is started.
        directory: Its result directory, which may not exist yet.
        state: ``'not run'``, the state of ``status.json``, ``'dead'`` if that is
            ``running`` and the job is gone, or ``'half written'`` if it cannot be read.
        reason: Why the run diverged or failed; else empty.
        metrics: Final ``{metric: value}``; empty until the run is done. A run
            that diverged has none.
        log: Entries of ``log.json``.
        details: Detailed results of its last evaluation; empty without one.
        throughput (Throughput): Result of a throughput run that has ended, else ``None``.
        device: The last device of the run, in words; empty if it is not recorded.
        problems: Faults of its directory, one sentence each.
    """

    row: str
    seed: int
    planned: RunConfig
    config: RunConfig
    directory: pathlib.Path
    state: str = 'not run'
    reason: str = ''
    metrics: dict = dataclasses.field(default_factory=dict)
    log: list = dataclasses.field(default_factory=list)
    details: dict = dataclasses.field(default_factory=dict)
    throughput: Throughput | None = None
    device: str = ''
    problems: tuple = ()

    @property
    def is_started(self):
        return self.state != 'not run'

    @property
    def epoch(self):
        """Position of the last log entry, epochs; ``None`` before the first."""
        return self.log[-1].get('epoch_detail') if self.log else None

    @property
    def n_training_images(self):
        """Size of the training set, computed from the log; ``None`` without log entries."""
        for entry in self.log:
            if entry.get('iteration') and entry.get('epoch_detail'):
                return round(self.config.global_batch_size * entry['iteration']
                             / entry['epoch_detail'])
        return None

    @property
    def changed(self):
        """Settings that differ from the experiment: ``{key: (as planned, as run)}``."""
        planned = take_resolved(self.planned, self.config)
        found = {key: values for key, values in differences(planned, self.config).items()
                 if is_computed(key)}
        if None not in found.get('model.pretrained', (None,)):
            del found['model.pretrained']  # the same weights may lie elsewhere
        return found


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The runs that one command-line argument stands for.

    Attributes:
        name: Stem of the experiment file, or name of the run in a run directory.
        records: One :class:`Record` for each row and seed, in the order of the file.
        path: The experiment file; ``None`` for a run directory.
    """

    name: str
    records: list
    path: pathlib.Path | None = None

    def rows(self):
        """Return the records of each row, ``{row: list of Record}``, one for each seed."""
        by_row = {}
        for record in self.records:
            by_row.setdefault(record.row, []).append(record)
        return by_row


def read_record(directory, planned=None, *, row=None):
    """Read one run directory, also while the run is running.

    Args:
        directory (pathlib.Path): The run directory.
        planned (~yolo_dist.config.RunConfig): The run in the experiment file;
            ``None`` takes the run in the directory.
        row (str): Row of the experiment; ``None`` takes the name of the run.

    Returns:
        Record: Content of the directory. ``problems`` names broken files.

    Raises:
        InputError: If there is neither a run nor ``planned``.
    """
    directory = pathlib.Path(directory)
    is_begun = any((directory / name).exists()
                   for name in ('config.yaml', 'status.json', 'log.json', 'throughput.json'))
    if planned is None:
        if not (directory / 'config.yaml').exists():
            raise InputError(
                f'{directory}: is not a run directory (it has no config.yaml); expected one that '
                '`python -m yolo_dist.train` wrote, or an experiment file')
        planned = load_config(directory / 'config.yaml')
    row = row or planned.name
    if not is_begun:
        return Record(row, planned.run.seed, planned, planned, directory)
    problems = []

    def tolerated(read, path, default):
        try:
            return read(path)
        except InputError as error:
            problems.append(str(error))
            return default

    config = tolerated(load_config, directory / 'config.yaml', planned)
    log = tolerated(_read_log, directory / 'log.json', [])
    details = tolerated(read_json, directory / 'evaluation/details.json', None)
    throughput = tolerated(_read_throughput, directory / 'throughput.json', None)
    status = tolerated(_read_status, directory, {})
    state = status.get('state', 'half written')
    if state == 'running' and is_dead(directory):
        state = 'dead'
    metrics = {key.removeprefix('val/'): value
               for key, value in status.get('metrics', {}).items()}
    return Record(
        row, config.run.seed, planned, config, directory, state=state,
        reason=status.get('reason', ''), metrics=metrics if state == 'done' else {}, log=log,
        details=details or {},
        throughput=throughput if state == 'done' else None,
        device=tolerated(_read_device, directory / 'environment.json', ''),
        problems=tuple(problems))


def _read_log(path):
    log = read_json(path)
    if log is None:
        return []
    if not isinstance(log, list) or not all(
            isinstance(entry, dict) and _is_count(entry.get('iteration', 0))
            and _is_count(entry.get('epoch_detail', 0)) for entry in log):
        raise InputError(f'{path}: is not a list of log entries')
    return log


def _is_count(value):
    return isinstance(value, int | float) and 0 <= value < 1 << 63


def _read_status(directory):
    status = read_status(directory)
    if status is None:
        raise InputError(f'{directory}/status.json: is missing; the run is starting just now, or '
                         'it ended before it wrote this file')
    return status


def _read_throughput(path):
    content = read_json(path)
    if content is None:
        return None
    try:
        return Throughput.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = '.'.join(map(str, first['loc'])) or 'the file'
        raise InputError(f'{path}: {where}: {first["msg"]}') from None


def _read_device(path):
    sessions = read_json(path)
    if not sessions:
        return ''
    try:
        last = sessions[-1]
        names = dict.fromkeys(device['name'] for device in last['devices'])
        cores = last['cores']
        return ', '.join(names) or f'CPU, {cores} core{"s"[:cores > 1]} a process'
    except (KeyError, TypeError) as error:
        raise InputError(f'{path}: does not say what the run ran on ({error})') from None


def find_experiment(experiment_or_run, results):
    """Read all runs that a command-line argument stands for.

    For a sweep these are its rows with the seeds of the sweep, and all other seeds
    that were run.

    Args:
        experiment_or_run (str): A run directory or an experiment file.
        results (str): Folder of the result directories of experiment files.

    Returns:
        Experiment: Its name and records.

    Raises:
        InputError: If the argument is neither.
    """
    path = pathlib.Path(experiment_or_run)
    if path.is_dir():
        record = read_record(path)
        return Experiment(record.config.name, [record])
    records = []
    for row in rows(path):
        for seed in _seeds_of(path, row, results):
            planned = load_config(path, row=row, overrides=[f'run.seed={seed}'], results=results)
            records.append(read_record(run_directory(results, planned), planned, row=row))
    if not records:
        planned = load_config(path, results=results)
        records.append(read_record(run_directory(results, planned), planned))
    return Experiment(path.stem, records, path)


def _seeds_of(path, row, results):
    declared = seeds(path)
    runs = run_directory(results, load_config(path, row=row, results=results)).parent
    found = {int(match[1]) for place in runs.glob('seed_*')
             if (match := re.fullmatch(r'seed_(\d+)', place.name))}
    return declared + sorted(found - set(declared))
