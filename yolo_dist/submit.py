"""Submits an experiment to a scheduler: ``jobs/submit.sh EXPERIMENT.yaml --site SITE``."""

import os
import pathlib
import shlex

from yolo_dist.command_line import Parser, run_serial
from yolo_dist.config import load_config, load_site, rows, seeds, site_names
from yolo_dist.errors import InputError
from yolo_dist.jobs import (
    SCHEDULERS,
    create_job,
    job_script,
    missing_prerequisites,
    record_job,
    run_state,
    write_script,
)
from yolo_dist.runs.run_directory import RunDirectory, run_directory


def parse_arguments(argv=None):
    parser = Parser(prog='python -m yolo_dist.submit', description=(
        'Submits one job for each row and seed of an experiment, or shows the states of the runs. '
        'Runs that are done or diverged are not submitted. A run that was stopped or failed goes '
        'on from its latest snapshot.'))
    parser.add_argument('experiment', metavar='EXPERIMENT.yaml',
                        help='a run or a sweep, such as experiments/table2.yaml')
    parser.add_argument('--run', metavar='ROW', help='only this row of a sweep')
    parser.add_argument('--seed', metavar='S', type=int,
                        help='only this seed (default: the seeds of the experiment)')
    parser.add_argument('--site', metavar='NAME_OR_FILE',
                        help='the machine: a file of jobs/sites, by name or path')
    parser.add_argument('--scheduler', choices=sorted(SCHEDULERS),
                        help='choose the ready site that has this scheduler')
    parser.add_argument('--results', metavar='DIR',
                        help='where result directories lie (default: `results` of the site file)')
    parser.add_argument('--set', metavar='KEY=VALUE', action='append', default=[],
                        help='change one key in all runs; repeatable')
    parser.add_argument('--dry-run', action='store_true',
                        help='print each submission and its script and queue nothing; without '
                             '--site, do so for each ready site')
    parser.add_argument('--status', action='store_true', help='show the state of each run')
    arguments = parser.parse_args(argv)
    if arguments.status and (arguments.dry_run or arguments.scheduler is not None):
        parser.error('--status reads run directories and job records; remove --dry-run and '
                     '--scheduler')
    if any(text.startswith('run.seed=') for text in arguments.set):
        raise InputError('--set run.seed: each seed is a separate run; choose it by --seed')
    return arguments


def main(argv=None):
    """Submit, show what would be submitted, or show states.

    Args:
        argv (list of str): Command line; ``None`` takes the process's own.

    Returns:
        int: 0, or the status of the first job that failed under scheduler local.
    """
    arguments = parse_arguments(argv)
    if arguments.status:
        return show_states(arguments)
    sources = choose_sites(arguments)
    for source in sources:
        jobs = create_jobs(arguments, source)
        if arguments.dry_run:
            print_jobs(jobs)
    if arguments.dry_run:
        return 0
    return submit(check_jobs(jobs))


def choose_sites(arguments):
    """Names or paths of the chosen sites: one, or all for a dry run.

    Raises:
        InputError: If no site is chosen, or site and scheduler contradict each other.
    """
    ready = {name: load_site(name).scheduler for name in site_names()}
    if arguments.site is not None:
        scheduler = load_site(arguments.site).scheduler
        if arguments.scheduler not in (None, scheduler):
            raise InputError(f'--scheduler {arguments.scheduler}: site {arguments.site} has '
                             f'scheduler {scheduler}; remove one of the two options')
        return [arguments.site]
    if arguments.scheduler is None and not arguments.dry_run:
        raise InputError(f'choose a machine by --site: {", ".join(ready)} or a file of your own')
    chosen = [name for name, scheduler in ready.items()
              if arguments.scheduler in (None, scheduler)]
    if arguments.scheduler is not None and len(chosen) != 1:
        raise InputError(f'--scheduler {arguments.scheduler}: '
                         f'{len(chosen) or "no"} sites have it; choose one by --site')
    return chosen


def chosen_runs(arguments):
    """Row and seed of each chosen run, in the order of the file.

    Raises:
        InputError: If the experiment has no such row.
    """
    known = rows(arguments.experiment)
    if arguments.run is not None and arguments.run not in known:
        # Says what is wrong with it.
        load_config(arguments.experiment, row=arguments.run)
    chosen = [arguments.run] if arguments.run is not None else known or [None]
    chosen_seeds = seeds(arguments.experiment) if arguments.seed is None else [arguments.seed]
    return [(row, seed) for row in chosen for seed in chosen_seeds]


def create_jobs(arguments, source):
    """Return the jobs of the chosen runs on one site, each run once."""
    site = load_site(source)
    jobs = {}
    for row, seed in chosen_runs(arguments):
        job = create_job(arguments.experiment, site, row=row, seed=seed, overrides=arguments.set,
                         results=arguments.results or site.results, site_source=source)
        jobs.setdefault(job.directory, job)
    return list(jobs.values())


def print_jobs(jobs):
    """Print what submitting would do as shell commands, and missing files as comments."""
    for job in jobs:
        command = SCHEDULERS[job.site.scheduler].submission(job)
        for problem in missing_prerequisites(job.config, results=job.results):
            print(f'# missing: {problem}')
        print(f'mkdir -p {shlex.quote(str(job.directory))}')
        script, end = job_script(job, work_directory=pathlib.Path.cwd()), 'END_OF_JOB'
        while end in script.splitlines():
            end += '_'
        print(f"cat > {shlex.quote(str(job.script))} <<'{end}'")
        print(f'{script}{end}')
        print(f'{shlex.join(command)}\n')


def check_jobs(jobs):
    """Check all jobs before the first is queued.

    Returns:
        list of Job: Those that are not done yet.

    Raises:
        InputError: One line for each thing that is wrong.
    """
    problems, missing, to_do, active_jobs = [], {}, [], {}
    for job in jobs:
        try:
            found = run_state(job.directory, active_jobs)
            if found.state in ('done', 'diverged'):
                print(f'{job.config.name}: {found.state} already, see {job.directory}')
                continue
            # Under PBS a job submits its successor before it ends.
            if found.is_active and found.job_id != os.environ.get('PBS_JOBID', '').split('.')[0]:
                which = f'job {found.job_id}, ' if found.job_id else ''
                raise InputError(f'{job.config.name}: is {found.state} already ({which}'
                                 f'{found.note}); wait for it, end it, or choose other runs by '
                                 '--run and --seed')
            RunDirectory(job.directory, job.config).check(resume=True)
        except InputError as error:
            problems.append(str(error))
            continue
        for problem in missing_prerequisites(job.config, results=job.results):
            missing.setdefault(problem, []).append(job.config.name)
        to_do.append(job)
    for problem, names in missing.items():
        others = f' and {len(names) - 1} more' if len(names) > 1 else ''
        problems.append(f'{names[0]}{others}: {problem}')
    if problems:
        raise InputError('nothing was submitted:\n' + '\n'.join(problems))
    for scheduler in {job.site.scheduler for job in to_do}:
        SCHEDULERS[scheduler].check()
    return to_do


def submit(jobs):
    """Queue jobs, or run them one after the other without a queue."""
    for job in jobs:
        scheduler = SCHEDULERS[job.site.scheduler]
        write_script(job, work_directory=pathlib.Path.cwd())
        if job.site.scheduler == 'local':
            job_id, process = scheduler.start(job)
        else:
            job_id, process = scheduler.submit(job), None
            print(f'{job.config.name}: job {job_id}')
        record_job(job.directory, job_id=job_id, scheduler=job.site.scheduler,
                   command=scheduler.submission(job))
        status = 0 if process is None else _wait(process)
        if status:
            return status
    return 0


def _wait(process):
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The job was interrupted as well. It ends after it has written a snapshot.
            continue


def show_states(arguments):
    """Print a line for each run of the experiment, then the number of runs in each state."""
    results = arguments.results
    if results is None:
        results = 'results' if arguments.site is None else load_site(arguments.site).results
    lines, counts, active_jobs = [], {}, {}
    for row, seed in chosen_runs(arguments):
        config = load_config(arguments.experiment, row=row, results=results,
                             overrides=[*arguments.set, f'run.seed={seed}'])
        try:
            state, job_id, _, note = run_state(
                run_directory(results, config), active_jobs, must_answer=False)
        except InputError as error:
            state, job_id, note = 'failed', None, str(error)
        counts[state] = counts.get(state, 0) + 1
        lines.append((config.name, state, job_id or '-', note))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for line in lines:
        padded = '  '.join(text.ljust(width) for text, width in zip(line, widths))
        print(f'{padded}  {line[3]}'.rstrip())
    print(', '.join(f'{count} {state}' for state, count in counts.items()))
    return 0


if __name__ == '__main__':
    run_serial(main)
