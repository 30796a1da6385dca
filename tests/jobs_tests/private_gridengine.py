"""A private Grid Engine of one machine, that no other Grid Engine meets."""

import contextlib
import os
import pathlib
import platform
import subprocess

from private_processes import end, free_ports, wait_until

# Where Debian's packages put programs, libraries and the forms that a new cluster starts from.
PROGRAMS = pathlib.Path('/usr/lib/gridengine')
SHARE = pathlib.Path('/usr/share/gridengine')
NEEDS = ('sge_qmaster', 'sge_execd', 'sge_shepherd', 'spoolinit', 'qsub', 'qstat', 'qconf')

QUEUE = """
qname test.q
hostlist {host}
seq_no 0
load_thresholds NONE
suspend_thresholds NONE
nsuspend 1
suspend_interval 00:05:00
priority 0
min_cpu_interval 00:05:00
processors UNDEFINED
qtype BATCH
ckpt_list NONE
pe_list test
rerun TRUE
slots 4
tmpdir /tmp
shell /bin/bash
prolog NONE
epilog NONE
shell_start_mode unix_behavior
starter_method NONE
suspend_method NONE
resume_method NONE
terminate_method NONE
notify 00:00:10
owner_list NONE
user_lists NONE
xuser_lists NONE
subordinate_list NONE
complex_values NONE
projects NONE
xprojects NONE
calendar NONE
initial_state default
s_rt INFINITY
h_rt INFINITY
s_cpu INFINITY
h_cpu INFINITY
s_fsize INFINITY
h_fsize INFINITY
s_data INFINITY
h_data INFINITY
s_stack INFINITY
h_stack INFINITY
s_core INFINITY
h_core INFINITY
s_rss INFINITY
h_rss INFINITY
s_vmem INFINITY
h_vmem INFINITY
"""

PARALLEL_ENVIRONMENT = """
pe_name test
slots 4
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""


def why_not():
    """Why no Grid Engine can be started here, or ``None``."""
    missing = [name for name in NEEDS if not (PROGRAMS / name).exists()]
    if missing:
        return (f'Grid Engine is not installed ({", ".join(missing)}); as root on Debian: apt-get '
                'install --no-install-recommends gridengine-master gridengine-exec '
                'gridengine-client')
    if os.geteuid():
        return 'a private Grid Engine is started as root'
    return None


@contextlib.contextmanager
def running_gridengine(home):
    """Runs sge_qmaster and sge_execd until the block ends.

    Args:
        home (pathlib.Path): An empty folder.

    Yields:
        dict: Environment variables with which clients find it.
    """
    home = pathlib.Path(home)
    host = platform.node()
    qmaster_port, execd_port = free_ports(2)
    arch = subprocess.run([SHARE / 'util' / 'arch'], capture_output=True, text=True,
                          check=True).stdout.strip()
    environment = {
        'SGE_ROOT': str(home), 'SGE_CELL': 'default', 'SGE_ARCH': arch, 'SGE_ND': '1',
        'SGE_QMASTER_PORT': str(qmaster_port), 'SGE_EXECD_PORT': str(execd_port),
        'SGE_CLUSTER_NAME': 'test'}
    common = home / 'default' / 'common'
    for folder in (common, home / 'qmaster' / 'job_scripts', home / 'execd', home / 'spool'):
        folder.mkdir(parents=True)
    for name in ('bin', 'lib', 'utilbin'):
        (home / name).mkdir()
        (home / name / arch).symlink_to(PROGRAMS)
    (home / 'util').symlink_to(SHARE / 'util')
    (common / 'act_qmaster').write_text(f'{host}\n')
    # The address of this machine may have the name localhost alone.
    (common / 'host_aliases').write_text(f'{host} localhost\n')
    spooling = f'{common};{home / "spool"}'
    (common / 'bootstrap').write_text(
        'admin_user none\ndefault_domain none\nignore_fqdn true\nspooling_method classic\n'
        f'spooling_lib libspoolc\nspooling_params {spooling}\nbinary_path {home}/bin\n'
        f'qmaster_spool_dir {home}/qmaster\nsecurity_mode none\nlistener_threads 2\n'
        'worker_threads 2\nscheduler_threads 1\n')
    settings = {'execd_spool_dir': home / 'execd', 'min_uid': 0, 'min_gid': 0,
                'load_report_time': '00:00:02', 'administrator_mail': 'none'}
    lines = []
    for line in (SHARE / 'default-configuration').read_text().splitlines():
        key = line.partition(' ')[0]
        lines.append(f'{key} {settings[key]}' if key in settings else line)
    (home / 'configuration').write_text('\n'.join(lines) + '\n')

    def run(program, *arguments, check=True):
        done = subprocess.run([PROGRAMS / program, *map(str, arguments)], capture_output=True,
                              env=os.environ | environment, stdin=subprocess.DEVNULL, text=True,
                              timeout=20)
        assert not check or done.returncode == 0, (program, arguments, done)
        return done.stdout

    run('spoolinit', 'classic', 'libspoolc', spooling, 'init')
    run('spooldefaults', 'configuration', home / 'configuration')
    run('spooldefaults', 'complexes', SHARE / 'util/resources/centry')
    run('spooldefaults', 'usersets', SHARE / 'util/resources/usersets')
    run('spooldefaults', 'managers', 'root')
    daemons = []

    def start(program):
        with open(home / f'{program}.out', 'wb') as output:
            daemons.append(subprocess.Popen(
                [PROGRAMS / program], env=os.environ | environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, cwd=home))

    try:
        start('sge_qmaster')
        wait_until(lambda: host in run('qconf', '-sh', check=False), seconds=60,
                   what='sge_qmaster')
        run('qconf', '-as', host, check=False)
        schedule = run('qconf', '-ssconf').replace('0:0:15', '0:0:1')
        for option, name, text in (('-Msconf', 'schedule', schedule),
                                   ('-Ap', 'pe', PARALLEL_ENVIRONMENT)):
            (home / name).write_text(text.lstrip())
            run('qconf', option, home / name)
        start('sge_execd')
        wait_until(lambda: host in run('qconf', '-sel', check=False), seconds=60,
                   what='sge_execd')
        (home / 'queue').write_text(QUEUE.format(host=host).lstrip())
        run('qconf', '-Aq', home / 'queue')
        wait_until(lambda: 'test.q@' in run('qstat', '-f') and ' au' not in run('qstat', '-f'),
                   seconds=60, what='a queue that takes jobs')
        yield environment
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired, AssertionError):
            run('qdel', '-f', '-u', 'root', check=False)
            wait_until(lambda: not run('qstat', check=False).strip(), seconds=10,
                       what='the end of all jobs')
        end(daemons)
