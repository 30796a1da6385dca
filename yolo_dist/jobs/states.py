"""The state of a run, from its directory and from the scheduler.

A job leaves four files beside those of the run (:mod:`yolo_dist.runs.run_directory`):

==================  ===============================================================
``job.sh``          the script that was submitted
``job.json``        the job's id, scheduler, host, time and command of submission
``job.log``         the output of the job, all sessions
``scheduler.log``   the output of the scheduler before the launcher starts
==================  ===============================================================
"""

import platform
import time
from typing import NamedTuple

from yolo_dist.errors import InputError
from yolo_dist.jobs.schedulers import SCHEDULERS
from yolo_dist.runs.heartbeat import is_dead
from yolo_dist.runs.run_directory import read_json, write_json
from yolo_dist.whole_files import is_partial

JOB_FILES = frozenset({'job.sh', 'job.json', 'job.log', 'scheduler.log', '.lock',
                       'data_check.txt'})


class RunState(NamedTuple):
    """One run's state.

    Attributes:
        state (str): ``not submitted``, ``waiting``, ``running``, ``stopped`` (goes on when
            the job runs again), ``done``, ``diverged`` or ``failed``.
        job_id (str): Id of its last job; ``None`` if there was no job.
        is_active (bool): Whether that job waits or runs, as far as this machine can know.
        note (str): Further details.
    """

    state: str
    job_id: str | None
    is_active: bool
    note: str


def record_job(directory, *, job_id, scheduler, command):
    """Write ``job.json``, which records the job of the run."""
    write_json(directory / 'job.json', {
        'job_id': job_id, 'scheduler': scheduler, 'host': platform.node(),
        'submitted': time.strftime('%Y-%m-%dT%H:%M:%S%z'), 'command': command})


def run_state(directory, active_jobs=None, *, must_answer=True):
    """Find the state of a run.

    Args:
        directory (pathlib.Path): Its result directory, which need not exist.
        active_jobs (dict): Jobs of each scheduler. This function fills the dictionary. Several
            calls with the same dictionary ask each scheduler once.
        must_answer (bool): Whether a scheduler that does not answer is an error. Otherwise the
            state comes from the directory.

    Returns:
        RunState: The state.

    Raises:
        InputError: If a file of the directory cannot be read, if the directory holds files
            but no run, or if the scheduler does not answer and ``must_answer`` is true.
    """
    status = _checked(directory / 'status.json', {'state'}) or {}
    record = _checked(directory / 'job.json', {'job_id', 'scheduler', 'host'})
    others = _other_files(directory)
    # The run may be starting just now. It writes config.yaml before the others, so look last.
    if others and not (directory / 'config.yaml').exists():
        raise InputError(
            f'{directory}: holds {", ".join(others[:3])} but no config.yaml, so the run is '
            'not complete; was it copied in part? Remove it, or choose another place by '
            '--results')
    state = status.get('state')
    is_running = state == 'running' and not is_dead(directory)
    if record is None:
        return _without_job(state, status, is_running)
    job_id = record['job_id']
    if state in ('done', 'diverged'):  # the answer of the scheduler does not matter
        return RunState(state, job_id, False, _note(status))
    try:
        jobs = _ask(record, {} if active_jobs is None else active_jobs)
    except InputError as error:
        if must_answer:
            raise
        return _as_last_written(state, job_id, status, is_running, str(error).splitlines()[0])
    if jobs is None:
        return _as_last_written(state, job_id, status, is_running,
                                f'{record["scheduler"]} cannot be asked here')
    if job_id in jobs:
        activity, word = jobs[job_id]
        if activity == 'waiting' and state is not None:
            return RunState('stopped', job_id, True, f'waits to go on ({word}){_place(status)}')
        return RunState(activity, job_id, True, f'{word}{_place(status)}')
    if state == 'stopped':
        return RunState('stopped', job_id, False,
                        f'submit again to go on{_place(status)}')
    if state == 'running':
        return RunState('failed', job_id, False,
                        f'the job ended without a final status, see job.log{_place(status)}')
    if state is None:
        return RunState('failed', job_id, False, 'the job ended before training, see job.log')
    return RunState(state, job_id, False, _note(status))


def _other_files(directory):
    if not directory.is_dir():
        return []
    names = {path.name for path in directory.iterdir() if not is_partial(path)}
    return sorted(names - JOB_FILES)


def _checked(path, keys):
    content = read_json(path)
    if content is not None and not (isinstance(content, dict) and keys <= set(content)):
        raise InputError(f'{path}: cannot be understood (expected {", ".join(sorted(keys))}); was '
                         'it edited by hand? Remove the run directory to start again')
    return content


def _without_job(state, status, is_running):
    if state is None:
        return RunState('not submitted', None, False, '')
    if state == 'running' and not is_running:
        return _dead(None, status)
    return RunState(state, None, is_running,
                    'was started without a job' if is_running else _note(status))


def _as_last_written(state, job_id, status, is_running, reason):
    if state == 'running' and not is_running:
        return _dead(job_id, status)
    return RunState(state or 'waiting', job_id, state is None or is_running,
                    f'as last written: {reason}')


def _dead(job_id, status):
    return RunState('failed', job_id, False, 'was killed, and its processes are gone; submit '
                                             f'again to go on{_place(status)}')


def _ask(record, active_jobs):
    scheduler = record['scheduler']
    if scheduler == 'local' and record['host'] != platform.node():
        return None
    if scheduler not in active_jobs:
        active_jobs[scheduler] = SCHEDULERS[scheduler].active_jobs()
    return active_jobs[scheduler]


def _place(status):
    return f', epoch {status["epoch"]:.1f}' if 'epoch' in status else ''


def _note(status):
    if 'reason' in status:
        return str(status['reason']).splitlines()[0]
    return ', '.join(f'{key.rpartition("/")[2]} {value:.1f}'
                     for key, value in (status.get('metrics') or {}).items()
                     if isinstance(value, float))
