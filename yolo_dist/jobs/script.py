"""The shell script that a scheduler starts: the values of one job, then the launcher."""

import pathlib
import shlex
import sys

from yolo_dist.config import REPOSITORY
from yolo_dist.errors import InputError
from yolo_dist.jobs.schedulers import format_seconds
from yolo_dist.whole_files import write_whole


def job_script(job, *, work_directory):
    """Describe one job for ``jobs/launch.sh``.

    Args:
        job (~yolo_dist.jobs.Job): The job.
        work_directory (str): The folder that relative paths of the job start from.

    Returns:
        str: A bash script.

    Raises:
        InputError: If the launcher is missing, from the checkout or from the installed package.
    """
    if not (REPOSITORY / 'jobs' / 'launch.sh').is_file():
        raise InputError(f'there is no {REPOSITORY / "jobs" / "launch.sh"}, which runs inside '
                         'each job; install the package again, or submit from a checkout')
    site = job.site
    lines = [
        '#!/bin/bash',
        *(f'# {line}' for line in _comments(job)),
        '',
        _assign('repository', REPOSITORY),
        _assign('environment', sys.prefix),
        _assign('work_directory', pathlib.Path(work_directory).resolve()),
        _assign('run_directory', job.directory),
        _assign('scheduler', site.scheduler),
        *(f'{name}={value}' for name, value in job.variables.items()),
    ]
    if job.seconds is not None:
        lines += [f'seconds={job.seconds}',
                  f'warning_seconds={round(60 * site.walltime.warning_minutes)}']
    lines += [
        '',
        'arguments=(',
        *(f'    {line}' for line in _pairs(job.arguments)),
        ')',
        'submission=(',
        *(f'    {line}' for line in _pairs(job.submission)),
        ')',
        '',
        *_function('set_up', site.setup or [':']),
        *_function('start_processes', [f'exec {site.mpi.run} "$@"']),
    ]
    if site.staging is not None:
        lines += [
            *_function('start_once_per_node', [f'{site.mpi.once_per_node} "$@"']),
            _assign('data_root', pathlib.Path(work_directory, job.config.data.root)),
            f'staging_directory="{site.staging.directory}"',
            _assign('staging_command', site.staging.command),
        ]
    return '\n'.join([*lines, '', 'source "$repository/jobs/launch.sh"', ''])


def write_script(job, *, work_directory):
    """Write the script of a job into its run directory; make the directory if it is missing.

    Args:
        job (~yolo_dist.jobs.Job): The job.
        work_directory (str): The folder that relative paths of the job start from.

    Returns:
        pathlib.Path: The script.
    """
    text = job_script(job, work_directory=work_directory)
    job.directory.mkdir(parents=True, exist_ok=True)
    with write_whole(job.script) as partial:
        partial.write_text(text, encoding='utf-8')
    return job.script


def _comments(job):
    k = job.config.workers
    yield (f'{job.config.name} on {job.site.name}: k = {k}; nodes: {job.n_nodes}, processes on '
           f'each: {job.processes_per_node}.')
    if job.n_processes != k:
        yield (f'Each process carries {k // job.n_processes} workers: the mathematics of {k} '
               'GPUs, not their speed.')
    if job.seconds is not None:
        hours = job.estimated_hours
        estimate = f'{hours:.2f} hours' if hours >= 0.1 else f'{60 * hours:.1f} minutes'
        asked = f'Estimated {estimate}, asks for '
        asked += format_seconds(job.seconds)
        is_cut = job.seconds < 3600 * job.estimated_hours
        yield asked + (' and goes on in further jobs.' if is_cut else '.')
    yield 'Written by jobs/submit.sh; what happens next is in jobs/launch.sh.'


def _assign(name, value):
    return f'{name}={shlex.quote(str(value))}'


def _function(name, lines):
    return [f'{name}() {{', *(f'    {line}' for line in lines), '}']


def _pairs(arguments):
    """Quote shell words, each option and its value on one line."""
    words = [shlex.quote(argument) for argument in arguments]
    while words:
        length = 2 if words[0].startswith('--') else 1
        yield ' '.join(words[:length])
        del words[:length]
