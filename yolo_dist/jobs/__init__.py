"""A run as a job of a scheduler.

``job`` plans what to run, where and for how long. ``script`` writes the plan as the shell script
that the scheduler starts. ``schedulers`` has the commands of each scheduler. ``states`` tells the
state of a run. ``jobs/launch.sh`` runs inside each job.
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
