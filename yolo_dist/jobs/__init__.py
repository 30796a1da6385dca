"""A run as a job of a scheduler.

``job`` says what to run where and for how long, ``script`` writes that down as the shell
script that the scheduler starts, ``schedulers`` knows the commands of each scheduler, and
``states`` tells how far a run has come. What happens inside a job is ``jobs/launch.sh``.
"""

from yolo_dist.jobs.job import Job, create_job
from yolo_dist.jobs.prerequisites import missing_prerequisites
from yolo_dist.jobs.schedulers import SCHEDULERS
from yolo_dist.jobs.script import job_script, write_script
from yolo_dist.jobs.states import JOB_FILES, RunState, record_job, run_state

__all__ = [
    'JOB_FILES', 'Job', 'RunState', 'SCHEDULERS', 'create_job', 'job_script',
    'missing_prerequisites', 'record_job', 'run_state', 'write_script',
]
