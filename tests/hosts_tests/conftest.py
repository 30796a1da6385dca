"""Hosts of one machine: network namespaces with names of their own, behind a switch."""

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

_BINARIES = pathlib.Path(sys.executable).parent
_HOSTS_FILES = pathlib.Path('/etc/netns')  # `ip netns exec` lays NAME/hosts over /etc/hosts
_NUMBERS = itertools.count()

# Takes the place of ssh.
_AGENT = """#!/bin/sh
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host && $*"
"""


def _why_not():
    if os.geteuid():
        return 'making network namespaces needs root'
    missing = [name for name in ('ip', 'tc', 'unshare', 'hostname') if not shutil.which(name)]
    if missing:
        return f'not installed: {", ".join(missing)} (Debian: iproute2, util-linux, hostname)'
    if not shutil.which('prted', path=f'{_BINARIES}:{os.environ["PATH"]}'):
        return "the remote-shell agent is that of Open MPI's PRRTE"
    name = f'yolo{os.getpid()}try'
    done = subprocess.run(['ip', 'netns', 'add', name], capture_output=True, text=True)
    if done.returncode:
        return f'no network namespace can be made here: {done.stderr.strip()}'
    _call('ip', 'netns', 'del', name)
    return None


def _call(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Hosts:
    """Hosts with one network card each, ``eth0``.

    Args:
        folder (pathlib.Path): For the remote shell.
        n (int): How many.
        rate (str): What each card may send, as `tc` reads it.

    Attributes:
        names (list of str): Their names.
        env (dict): What mpiexec needs in its environment.
    """

    def __init__(self, folder, n, rate):
        number = next(_NUMBERS)
        self.names = [f'yolo{os.getpid()}n{number}h{i}' for i in range(n)]
        self._switch = f'yolo{os.getpid()}n{number}switch'
        self._rate = rate
        agent = folder / 'agent'
        agent.write_text(_AGENT)
        agent.chmod(0o755)
        self.env = {'PRTE_MCA_plm_ssh_agent': str(agent), 'OMPI_MCA_mpi_yield_when_idle': '1'}

    def make(self):
        """Make them, in namespaces that no other process has."""
        _call('ip', 'netns', 'add', self._switch)
        _call('ip', '-n', self._switch, 'link', 'add', 'switch', 'type', 'bridge')
        _call('ip', '-n', self._switch, 'link', 'set', 'switch', 'up')
        for i, name in enumerate(self.names):
            _call('ip', 'netns', 'add', name)
            _call('ip', 'link', 'add', 'eth0', 'netns', name, 'type', 'veth',
                  'peer', 'name', f'port{i}', 'netns', self._switch)
            _call('ip', '-n', self._switch, 'link', 'set', f'port{i}', 'master', 'switch', 'up')
            _call('ip', '-n', name, 'addr', 'add', f'10.77.0.{i + 1}/24', 'dev', 'eth0')
            for card in ('lo', 'eth0'):
                _call('ip', '-n', name, 'link', 'set', card, 'up')
            _call('tc', '-n', name, 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', 'rate',
                  self._rate, 'burst', '256kb', 'latency', '50ms')
            (_HOSTS_FILES / name).mkdir(parents=True)
            (_HOSTS_FILES / name / 'hosts').write_text('127.0.0.1 localhost\n' + ''.join(
                f'10.77.0.{j + 1} {other}\n' for j, other in enumerate(self.names)))

    def remove(self):
        """Kill what runs in them, and remove them; also where they are half made."""
        for name in (*self.names, self._switch):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.kill(self.pids(name))
            subprocess.run(['ip', 'netns', 'del', name], capture_output=True)
            shutil.rmtree(_HOSTS_FILES / name, ignore_errors=True)

    def on_first(self, *command):
        """Return a command line that runs a command on the first host, as the process itself."""
        name = self.names[0]
        return ['ip', 'netns', 'exec', name, 'unshare', '--uts', 'sh', '-c',
                'hostname "$0" && exec "$@"', name, *command]

    def mpiexec(self):
        """Return the command line of mpiexec with a process on each host."""
        launcher = _BINARIES / 'mpiexec'
        return [str(launcher) if launcher.exists() else 'mpiexec',
                '--map-by', 'ppr:1:node:oversubscribe',
                '--host', ','.join(f'{name}:1' for name in self.names)]

    def switch_link(self, i, state):
        """Cut the link of a host (``'down'``) or mend it (``'up'``)."""
        _call('ip', '-n', self._switch, 'link', 'set', f'port{i}', state)

    def sent_bytes(self):
        """Return how many bytes each host has sent over its link."""
        return [int(_call('ip', 'netns', 'exec', name, 'cat',
                          '/sys/class/net/eth0/statistics/tx_bytes')) for name in self.names]

    def pids(self, name, *begin):
        """Process ids of a host, of those whose command line begins so (a program by its name)."""
        found = []
        for pid in map(int, _call('ip', 'netns', 'pids', name).split()):
            with contextlib.suppress(OSError):
                program, *words = pathlib.Path(f'/proc/{pid}/cmdline').read_text().split('\0')
                if (pathlib.Path(program).name, *words)[:len(begin)] == begin:
                    found.append(pid)
        return found

    def kill(self, pids):
        """Kill processes of the hosts."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope='module', autouse=True)
def one_core():
    """Everything runs on one core: a process that waits for a message spins, and the number of
    threads of a process, on which the last bits depend, is that of its cores.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def make_hosts(tmp_path, start):
    """Makes hosts that are removed after the test: ``make_hosts(n, rate)`` -> :class:`Hosts`."""
    reason = _why_not()
    if reason:
        pytest.skip(reason)
    made = []

    def make_hosts(n, rate):
        made.append(Hosts(tmp_path, n, rate))
        made[-1].make()
        return made[-1]

    yield make_hosts
    for hosts in made:
        hosts.remove()
