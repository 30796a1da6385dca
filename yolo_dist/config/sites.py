"""The site file: what a run needs to know of the machine that it is run on.

One YAML file a machine, under ``jobs/sites``; nothing else is edited to bring the package to
a new one. Commands and options in it may use these shell variables, which the job script
sets: ``$n_nodes``, ``$n_processes``, ``$processes_per_node``, ``$repository`` (it holds
``jobs/launch.sh``) and ``$environment`` (the Python environment that the job was submitted from).
"""

import pathlib
import string
from typing import Annotated, Literal

import pydantic

from yolo_dist.config.files import read_yaml
from yolo_dist.config.problems import validate
from yolo_dist.config.sections import Count, NonNegative, Positive, Section, Text
from yolo_dist.errors import InputError

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]

# The folder that holds `jobs/`: the checkout, or the copy that setup.py puts into a wheel.
REPOSITORY = next((path for path in (_PACKAGE / 'repository', _PACKAGE.parent)
                   if (path / 'jobs' / 'launch.sh').is_file()), _PACKAGE.parent)
SITES = REPOSITORY / 'jobs' / 'sites'

# What an option of the submission may name; the scheduler does not expand variables.
OPTION_VARIABLES = ('n_nodes', 'n_processes', 'processes_per_node')


def _known_variables(option):
    try:
        string.Template(option).substitute(dict.fromkeys(OPTION_VARIABLES, ''))
    except (KeyError, ValueError) as error:
        found = f'${error.args[0]}' if isinstance(error, KeyError) else 'a lone $'
        raise ValueError(f'{found} is not known here; expected one of '
                         f'{", ".join("$" + name for name in OPTION_VARIABLES)}') from None
    return option


Option = Annotated[Text, pydantic.AfterValidator(_known_variables)]


class Walltime(Section):
    """How long a job may take.

    A job asks for its estimate times ``safety_factor``, at most ``max_hours`` and at most
    ``max_node_hours`` divided by its nodes (``None``: no such limit). ``warning_minutes``
    before that time is over it is told to write a snapshot and is queued again.
    """

    max_hours: Positive
    max_node_hours: Positive | None
    safety_factor: Annotated[float, pydantic.Field(ge=1)]
    warning_minutes: Positive

    @pydantic.model_validator(mode='after')
    def _warning_comes_before_the_end(self):
        if self.warning_minutes >= 60 * self.max_hours:
            raise ValueError(f'warning_minutes {self.warning_minutes:g} leaves nothing of '
                             f'max_hours {self.max_hours:g}')
        return self


class Mpi(Section):
    """Commands that start processes on all nodes of a job, up to the program's name.

    ``run`` starts ``$n_processes``, ``$processes_per_node`` on each node; ``once_per_node``
    starts one on each node, for staging.
    """

    run: Text
    once_per_node: Text


class Staging(Section):
    """Copying of the data to storage inside each node before training.

    ``directory`` may name the job's variables, such as ``$SGE_LOCALDIR``. ``command`` is
    run once on each node; it finds ``$data_root`` and fills ``$target``, an empty folder.
    """

    directory: Text
    command: Text


class Gpu(Section):
    """The accelerator. ``efficiency`` is the assumed share of ``fp32_tflops`` in training."""

    name: Text
    fp32_tflops: Positive
    efficiency: Annotated[float, pydantic.Field(gt=0, le=1)]
    memory_gib: Positive


class Link(Section):
    """One direction of a link: ``latency + bytes / bandwidth``."""

    gigabytes_per_second: Positive
    latency_microseconds: NonNegative


class Links(Section):
    """The network.

    ``intra_node`` is what one GPU sends to its neighbours, ``inter_node`` what a node sends
    to others. Above a rack of ``nodes_per_rack`` (``None``: racks do not matter) only
    ``rack_uplink_fraction`` of full bisection remains.
    """

    intra_node: Link
    inter_node: Link
    nodes_per_rack: Count | None
    rack_uplink_fraction: Annotated[float, pydantic.Field(gt=0, le=1)]


class Site(Section):
    """One machine.

    ``gpus_per_node`` processes run on a node, one a GPU. ``submit_options`` are handed to
    the scheduler's command (``sbatch`` or ``qsub``) for queue, account and nodes; name, log
    and time are added. ``setup`` are shell lines that a job runs first: modules, the
    virtual environment. ``data_roots`` says for a ``data.root`` of the experiment files
    where that data set lies here; a root that is not named stays as it is.
    """

    name: Text
    scheduler: Literal['slurm', 'pbs', 'uge', 'local']
    gpus_per_node: Count
    max_nodes: Count
    submit_options: list[Option]
    walltime: Walltime
    setup: list[Text]
    mpi: Mpi
    data_roots: dict[str, Text]
    results: Text
    staging: Staging | None
    gpu: Gpu
    links: Links

    @pydantic.model_validator(mode='after')
    def _local_is_one_node(self):
        if self.scheduler == 'local' and (self.max_nodes > 1 or self.submit_options):
            raise ValueError('scheduler local runs on this machine: give max_nodes 1 and '
                             'submit_options []')
        return self


def site_names():
    """Names of the site files that come with the package.

    Returns:
        list of str: Sorted; empty where ``jobs/sites`` is not there.
    """
    return sorted(path.stem for path in SITES.glob('*.yaml'))


def load_site(name_or_path):
    """Load a site file.

    Args:
        name_or_path (str): A name of ``jobs/sites``, such as ``abci_2018``, or the path of
            a YAML file.

    Returns:
        Site: The validated site.

    Raises:
        InputError: If there is no such file, or naming each key that is unknown, missing or
            of a wrong type.
    """
    text = str(name_or_path)
    is_name = '/' not in text and not text.endswith(('.yaml', '.yml'))
    path = SITES / f'{text}.yaml' if is_name else pathlib.Path(text)
    if not path.is_file():
        known = ', '.join(site_names()) or f'none, {SITES} is missing'
        raise InputError(f'site {text}: there is no {path}; expected the path of a site file or '
                         f'one of the ready sites: {known}')
    content = read_yaml(path, 'a site file, such as those under jobs/sites')
    return validate(Site, content, path)
