"""A run as a job of a scheduler.

``job`` says what to run where and for how long, ``script`` writes that down as the shell
script that the scheduler starts, ``schedulers`` knows the commands of each scheduler, and
``states`` tells how far a run has come. What happens inside a job is ``jobs/launch.sh``.
"""

from yolo_dist.jobs.job import Job, create_job  # noqa: F401
from yolo_dist.jobs.schedulers import SCHEDULERS  # noqa: F401
from yolo_dist.jobs.script import job_script, write_script  # noqa: F401
from yolo_dist.jobs.states import (
    JOB_FILES,  # noqa: F401
    RunState,  # noqa: F401
    record_job,  # noqa: F401
    run_state,  # noqa: F401
)
