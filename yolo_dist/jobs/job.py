"""One run as a job: its processes, nodes and time."""

import dataclasses
import math

from yolo_dist.config import RunConfig, Site, load_config
from yolo_dist.errors import InputError
from yolo_dist.planning.plan import plan
from yolo_dist.planning.speed_up_model import assumed_workload
from yolo_dist.runs.run_directory import run_directory

# A small run also needs time to start and to read and check its data. A quarter of an hour more
# costs nothing, because a job that ends early is charged only for the time that it used.
_MIN_HOURS = 0.25


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of an experiment on a site.

    Attributes:
        config (~yolo_dist.config.RunConfig): The run as it will be trained.
        site (~yolo_dist.config.sites.Site): The machine.
        arguments (tuple of str): Arguments of ``yolo_dist.train``, without ``--resume``.
        submission (tuple of str): Arguments of ``yolo_dist.submit`` to submit this run again.
        results (str): The folder of all result directories.
        n_nodes (int): Nodes.
        processes_per_node (int): Processes on each of them.
        estimated_hours (float): Time that the run is expected to take; ``None`` without a
            scheduler, because such a job has no time limit.
        seconds (int): Time that the job asks for, a whole number of minutes, or ``None``.
    """

    config: RunConfig
    site: Site
    arguments: tuple
    submission: tuple
    results: str
    n_nodes: int
    processes_per_node: int
    estimated_hours: float | None
    seconds: int | None

    @property
    def n_processes(self):
        return self.n_nodes * self.processes_per_node

    @property
    def directory(self):
        """Result directory of the run."""
        return run_directory(self.results, self.config)

    @property
    def script(self):
        """Path of the script that the scheduler starts."""
        return self.directory / 'job.sh'

    @property
    def job_name(self):
        """Name of the run in a form that schedulers accept."""
        return self.config.name.replace('/', '-')

    @property
    def variables(self):
        """Variables that the options and commands of a site file may use."""
        return {'n_nodes': self.n_nodes, 'n_processes': self.n_processes,
                'processes_per_node': self.processes_per_node}


def create_job(experiment, site, *, row, seed, overrides, results, site_source):
    """Plan the job of one run.

    Args:
        experiment (str): An experiment file.
        site (~yolo_dist.config.sites.Site): The machine.
        row (str): Row of a sweep, ``None`` for a run.
        seed (int): ``run.seed``.
        overrides (sequence of str): ``key=value`` changes.
        results (str): The folder of all result directories.
        site_source (str): Name or path of the site file.

    Returns:
        Job: The job. Nothing is written or queued.

    Raises:
        InputError: If the experiment is wrong or its workers do not fit the site.
    """
    root = load_config(experiment, row=row).data.root
    moved = [f'data.root={site.data_roots[root]}'] if root in site.data_roots else []
    settings = [*moved, *overrides, f'run.seed={seed}']
    config = load_config(experiment, row=row, results=results, overrides=settings)
    n_nodes, processes_per_node = _place(config, site)
    hours = seconds = None
    if site.scheduler != 'local':
        hours = _estimate_hours(config, site)
        seconds = _walltime(hours, n_nodes, site)
    chosen = [str(experiment)] + (['--run', row] if row is not None else [])
    return Job(
        config=config, site=site, results=str(results), n_nodes=n_nodes,
        processes_per_node=processes_per_node, estimated_hours=hours, seconds=seconds,
        arguments=(*chosen, *_set(settings), '--results', str(results)),
        submission=(*chosen, '--seed', str(seed), *_set(overrides), '--site', str(site_source),
                    '--results', str(results)))


def _set(overrides):
    return [text for override in overrides for text in ('--set', override)]


def _place(config, site):
    """Nodes, and processes on each node: one process for each of the paper's GPUs.

    On a machine without a scheduler fewer processes carry the workers. Their number is the
    largest that divides k.
    """
    k, per_node = config.workers, site.gpus_per_node
    if site.scheduler == 'local':
        return 1, max(p for p in range(1, per_node + 1) if k % p == 0)
    if k < per_node:
        return 1, k
    if k % per_node:
        raise InputError(
            f'{config.name}: k = {k} workers cannot be divided among nodes of {site.name}, which '
            f'have {per_node} GPUs each; choose a multiple of {per_node} or fewer than {per_node} '
            'by --set workers=... (this also scales the learning rate)')
    if k // per_node > site.max_nodes:
        raise InputError(
            f'{config.name}: k = {k} workers need {k // per_node} nodes with {per_node} GPUs '
            f'each, but a job of {site.name} gets at most {site.max_nodes}; choose another site')
    return k // per_node, per_node


def _estimate_hours(config, site):
    """Hours of a run, only from its operations and the assumed efficiency of the site's GPU."""
    planned = plan(config)
    worker = assumed_workload(
        planned.n_operations, batch_size=config.data.batch_size_per_worker,
        gradient_bytes=planned.gradient_bytes, gpu=site.gpu)
    images_per_second = config.global_batch_size / worker.seconds
    return dataclasses.replace(planned, images_per_second=images_per_second).hours


def _walltime(hours, n_nodes, site):
    """Seconds to ask for: the estimate with a reserve, within the limits of the site."""
    walltime = site.walltime
    limit = walltime.max_hours
    if walltime.max_node_hours is not None:
        limit = min(limit, walltime.max_node_hours / n_nodes)
    warning_hours = walltime.warning_minutes / 60
    if limit <= warning_hours:
        raise InputError(
            f'{site.name}: {n_nodes} nodes get {60 * limit:.0f} minutes at most (max_hours, '
            'max_node_hours), but warning_minutes is '
            f'{walltime.warning_minutes:g}; choose fewer workers or smaller warning_minutes')
    wanted = max(hours * walltime.safety_factor, _MIN_HOURS) + warning_hours
    return 60 * min(math.ceil(60 * wanted), math.floor(60 * limit))
