"""The commands of each scheduler: how to submit a job, and how to ask for its state.

A job script is submitted with all options on the command line. Each scheduler is told to run the
job again after a crash of a node, and to warn the job before its time is over. If a scheduler
cannot warn, ``jobs/launch.sh`` uses a timer of its own.
"""

import getpass
import pathlib
import platform
import re
import shutil
import string
import subprocess

from yolo_dist.errors import InputError


def format_seconds(seconds):
    """``HH:MM:SS``, the form of a time limit that all schedulers read."""
    return f'{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}'


def site_options(job):
    """Return the options of the site file, with the numbers of this job."""
    return [string.Template(option).substitute(job.variables)
            for option in job.site.submit_options]


def _ask(command):
    """Return standard output of a scheduler's command.

    Raises:
        InputError: If the command is missing or fails.
    """
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              encoding='utf-8', errors='replace')
    except FileNotFoundError:
        raise InputError(f'{command[0]}: no such command here; submit on a machine that has it, '
                         'or choose another site by --site') from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise InputError(f'{command[0]} failed with status {done.returncode}: {said}')
    return done.stdout


class Scheduler:
    """The common part of the schedulers with a queue.

    Attributes:
        submit_command (str): Queues a job.
        list_command (str): Lists queued and running jobs.
    """

    submit_command = 'qsub'
    list_command = 'qstat'

    def submission(self, job):
        """Return the whole command that queues a job.

        Args:
            job (~yolo_dist.jobs.Job): The job.

        Returns:
            list of str: Program and arguments.
        """
        raise NotImplementedError

    def check(self):
        """Check that jobs can be submitted from here.

        Raises:
            InputError: If the scheduler's commands are missing.
        """
        for command in (self.submit_command, self.list_command):
            if shutil.which(command) is None:
                raise InputError(f'{command}: no such command here; submit on a machine that has '
                                 'it, or choose another site by --site')

    def submit(self, job):
        """Queue a job.

        Returns:
            str: The job's id.

        Raises:
            InputError: If the scheduler refuses the job.
        """
        return self._job_id(_ask(self.submission(job)))

    def active_jobs(self):
        """Return the jobs of this user that wait or run.

        Returns:
            dict: ``{job id: ('waiting' or 'running', the scheduler's word for this state)}``, or
            ``None`` if the scheduler cannot be asked.
        """
        if shutil.which(self.list_command) is None:
            return None
        return dict(self._parse(_ask(self._list()).splitlines()))


class Slurm(Scheduler):
    submit_command = 'sbatch'
    list_command = 'squeue'

    def submission(self, job):
        warning = round(60 * job.site.walltime.warning_minutes)
        return ['sbatch', '--parsable', f'--job-name={job.job_name}',
                f'--output={job.directory / "scheduler.log"}', '--open-mode=append',
                f'--time={format_seconds(job.seconds)}', f'--signal=B:USR1@{warning}',
                '--requeue', *site_options(job), str(job.script)]

    def _job_id(self, output):
        return output.strip().partition(';')[0]

    def _list(self):
        return ['squeue', '--noheader', '--me', '--format=%i %T']

    def _parse(self, lines):
        for line in lines:
            job_id, state = line.split()
            yield job_id, ('waiting' if state == 'PENDING' else 'running', state)


class GridEngine(Scheduler):
    """Univa, Altair and Son of Grid Engine."""

    def submission(self, job):
        return ['qsub', '-terse', '-N', job.job_name, '-cwd', '-S', '/bin/bash',
                '-o', str(job.directory / 'scheduler.log'), '-j', 'y', '-r', 'y', '-notify',
                '-l', f'h_rt={format_seconds(job.seconds)}', *site_options(job), str(job.script)]

    def _job_id(self, output):
        return output.split()[-1]

    def _list(self):
        return ['qstat', '-u', getpass.getuser()]

    def _parse(self, lines):
        for line in lines:
            words = line.split()
            # Header and rule come first: job-ID prior name user state ...
            if words and words[0].isdigit():
                # waiting: qw, hqw, or Rq after a requeue; running: r, t, Rr
                yield words[0], ('waiting' if 'q' in words[4] else 'running', words[4])


class Pbs(Scheduler):
    """PBS Professional and OpenPBS. Job ids are numbers, without the name of the server."""

    def submission(self, job):
        return ['qsub', '-N', job.job_name, '-S', '/bin/bash',
                '-o', str(job.directory / 'scheduler.log'), '-j', 'oe', '-r', 'y',
                '-l', f'walltime={format_seconds(job.seconds)}', *site_options(job),
                str(job.script)]

    def _job_id(self, output):
        return output.strip().partition('.')[0]

    def _list(self):
        return ['qstat']

    def _parse(self, lines):
        for line in lines:
            # Job id, name, user, time, state, queue
            match = re.match(r'(\d+)\S*\s.*\s([A-Z])\s+\S+\s*$', line)
            if match and match[2] not in 'FX':
                yield match[1], ('waiting' if match[2] in 'HQTW' else 'running', match[2])


class Local(Scheduler):
    """No scheduler: the job runs here and now, in the foreground."""

    submit_command = 'bash'

    def submission(self, job):
        return ['bash', str(job.script)]

    def check(self):
        """Do nothing: a shell always exists."""

    def start(self, job):
        """Start a job.

        Returns:
            tuple: The job's id, and its shell as a subprocess.Popen.
        """
        process = subprocess.Popen(self.submission(job), stdin=subprocess.DEVNULL)
        return f'{platform.node()}:{process.pid}', process

    def active_jobs(self):
        """Return the job scripts that run on this machine, as ``host:process number``."""
        jobs = {}
        for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
            try:
                words = path.read_bytes().split(b'\0')
            except OSError:
                continue
            if words[:1] == [b'bash'] and words[1:2] and words[1].endswith(b'/job.sh'):
                jobs[f'{platform.node()}:{path.parent.name}'] = 'running', 'running'
        return jobs


SCHEDULERS = {'slurm': Slurm(), 'pbs': Pbs(), 'uge': GridEngine(), 'local': Local()}
