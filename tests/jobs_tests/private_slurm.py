"""A private Slurm of two nodes, both of them this machine, that no other Slurm meets."""

import contextlib
import os
import pathlib
import platform
import shutil
import subprocess

from private_processes import end, free_ports, wait_until

NEEDS = ('slurmctld', 'slurmd', 'munged', 'sbatch', 'squeue', 'scontrol')

# Requeued jobs wait until their old credential has expired: 5 s is the least Slurm takes.
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={home}/munge.socket,cred_expire=5
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool.%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.%n.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=0,requeue_delay=1
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_1} CPUs=2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_2} CPUs=2
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not():
    """Why no Slurm can be started here, or ``None``."""
    missing = [name for name in NEEDS if shutil.which(name) is None]
    if missing:
        return (f'Slurm is not installed ({", ".join(missing)}); as root on Debian: '
                'apt-get install --no-install-recommends slurm-wlm munge')
    if os.geteuid():
        return 'a private Slurm is started as root'
    return None


@contextlib.contextmanager
def running_slurm(home):
    """Runs munged, slurmctld and two slurmd until the block ends.

    Args:
        home (pathlib.Path): An empty folder, not readable by others.

    Yields:
        dict: Environment variables with which clients find it.
    """
    home = pathlib.Path(home)
    host = platform.node().partition('.')[0]
    ctld_port, port_1, port_2 = free_ports(3)
    (home / 'state').mkdir()
    key = home / 'munge.key'
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    conf = home / 'slurm.conf'
    conf.write_text(CONF.format(home=home, host=host, ctld_port=ctld_port, port_1=port_1,
                                port_2=port_2))
    environment = {'SLURM_CONF': str(conf)}
    commands = (
        ['munged', '--foreground', '--force', f'--key-file={key}', '--num-threads=1',
         f'--socket={home}/munge.socket', f'--pid-file={home}/munged.pid',
         f'--log-file={home}/munged.log', f'--seed-file={home}/munged.seed'],
        ['slurmctld', '-D', '-f', str(conf)],
        ['slurmd', '-D', '-f', str(conf), '-N', 'n1'],
        ['slurmd', '-D', '-f', str(conf), '-N', 'n2'],
    )
    daemons = []
    try:
        for command in commands:
            with open(home / f'{command[0]}.out', 'ab') as output:
                daemons.append(subprocess.Popen(
                    command, env=os.environ | environment, stdin=subprocess.DEVNULL,
                    stdout=output, stderr=output, start_new_session=True))
            if command[0] == 'munged':
                wait_until((home / 'munge.socket').exists, seconds=60, what='munged')
        wait_until(lambda: _is_idle(environment), seconds=60, what='idle nodes')
        yield environment
    finally:
        _end_jobs(environment)
        end(daemons)


def _run(environment, *command):
    return subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)


def _is_idle(environment):
    return _run(environment, 'sinfo', '--noheader', '--format=%T').stdout.strip() == 'idle'


def _end_jobs(environment):
    """Ends what still runs, so that no process of a job outlives the test."""
    with contextlib.suppress(subprocess.TimeoutExpired, AssertionError):
        _run(environment, 'scancel', '--full', '--signal=KILL', '--me')
        _run(environment, 'scancel', '--me')
        wait_until(lambda: not _run(environment, 'squeue', '--noheader').stdout.strip(),
                   seconds=15, what='the end of all jobs')
