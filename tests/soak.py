"""Trains a tiny run again and again while things fail, and loses nothing: ``make soak``.

Sessions of two processes with loaders are killed, stopped or robbed of their disk at random, their
newest snapshots are damaged, and the run is resumed until it is done. Its parameters, its last
snapshot and its log must then be those of a run that nothing happened to, to the last bit. Running
statistics, which no update reads, may differ by a rounding. Memory, open files,
files in ``/dev/shm`` and processes must not grow over the sessions. What is lost is listed, and
ends the program with status 1. The same seed gives the same faults at about the same times.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

import yolo_dist  # noqa: F401
from yolo_dist.datasets import make_mini_imagenet
from yolo_dist.runs.heartbeat import read_beats
from yolo_dist.runs.run_directory import snapshot_files

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAME = 'quickstart_darknet19'
SETTINGS = {
    'model.width': 0.03, 'data.batch_size_per_worker': 4, 'data.input_size_px': 32,
    'data.evaluation.input_size_px': 32, 'data.evaluation.batch_size': 4,
    'data.n_loader_processes': 1, 'schedule.epochs': 12.0, 'run.log_every_iterations': 2,
    'run.evaluate_every_epochs': 6.0, 'run.snapshot_every_epochs': 1.0, 'run.keep_snapshots': 4,
    'run.watchdog_seconds': 240.0}
N_IMAGES, N_ITERATIONS = 64, 96
# A session that does not end by itself so long after its fault hangs.
_END_SECONDS = 420
# Of sessions; those that follow the first few must not have more than those.
LIMITS = {'memory of a process, MB': 30, 'open files of a session': 4, 'old files in /dev/shm': 4,
          'processes left over': 0}
# A start removes what is older than a minute, so younger files are those of the last few sessions.
_OLD_SECONDS = 180


class Session:
    """A job of two processes that goes on with the run.

    Args:
        folder (pathlib.Path): Where results go.
        data (pathlib.Path): The data set.
    """

    _MARK = 'YOLO_DIST_SOAK_SESSION'

    def __init__(self, folder, data):
        self.directory = folder / NAME
        self._mark = f'{self._MARK}={folder}-{time.time_ns()}'
        launcher = pathlib.Path(sys.executable).with_name('mpiexec')
        arguments = [f'{key}={value}' for key, value in {**SETTINGS, 'data.root': data}.items()]
        self._output = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(
            [launcher if launcher.exists() else 'mpiexec', '-n', '2', sys.executable, '-m',
             'yolo_dist.train', ROOT / f'experiments/{NAME}.yaml', '--results', folder, '--resume',
             *(word for text in arguments for word in ('--set', text))],
            env={**os.environ, **dict([self._mark.split('=')])}, stdin=subprocess.DEVNULL,
            stdout=self._output, stderr=subprocess.STDOUT, start_new_session=True)

    def pids(self):
        """Return the processes of the session: ``{'mpiexec', 'train', 'loader': [pid, ...]}``."""
        found = collections.defaultdict(list)
        for path in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                if self._mark.encode() in (path / 'environ').read_bytes().split(b'\0'):
                    command = (path / 'cmdline').read_text()
                    kind = ('loader' if 'multiprocessing' in command else
                            'train' if command.startswith(sys.executable) else 'mpiexec')
                    found[kind].append(int(path.name))
        return found

    def trains(self):
        """Whether both processes are past their set-up."""
        beats = read_beats(self.directory)
        return len(beats) == 2 and {beat.pid for beat in beats} <= set(self.pids()['train'])

    def iteration(self):
        """Return how far the run is, as its log says."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return json.loads((self.directory / 'log.json').read_text())[-1]['iteration']
        return 0

    def wait(self, what, seconds):
        """Wait for ``what()``, or for the end of the session; say whether there was one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what() or self.process.poll() is not None:
                return True
            time.sleep(0.1)
        return False

    def measure(self):
        """Return what must not grow, as :data:`LIMITS` names it, but for left-overs."""
        memory, files = [0], 0
        for pid in sum(self.pids().values(), []):
            with contextlib.suppress(OSError):
                status = pathlib.Path(f'/proc/{pid}/status').read_text()
                memory += [int(kb) / 1e3 for kb in re.findall(r'RssAnon:\s*(\d+)', status)]
                files += len(os.listdir(f'/proc/{pid}/fd'))
        return {'memory of a process, MB': max(memory), 'open files of a session': files,
                'old files in /dev/shm': n_old_files()}

    def output(self):
        self._output.seek(0)
        return self._output.read()

    def close(self):
        """Kill what is left; return how many processes that were."""
        end = time.monotonic() + 30
        while (left := sum(self.pids().values(), [])) and time.monotonic() < end:
            time.sleep(0.1)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._output.close()
        return len(left)


def n_old_files():
    """Return how many files in ``/dev/shm`` should have been removed by now."""
    n = 0
    for path in pathlib.Path('/dev/shm').iterdir():
        with contextlib.suppress(FileNotFoundError):
            n += time.time() - path.stat().st_mtime > _OLD_SECONDS
    return n


def send(number, *kinds, n=1):
    """Return a fault: a signal to ``n`` processes of each kind, or to all (``None``)."""
    def fault(session, rng):
        found = session.pids()
        for kind in kinds:
            for pid in rng.sample(found[kind], min(n or 99, len(found[kind]))):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
    return fault


def limit_files(session, rng):
    """Stands for a quota: from now on no file may get larger than some bytes."""
    size = rng.choice([0, 500, 20_000, 200_000])
    for pid in session.pids()['train']:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def fill_disk(session, rng):
    """Leave little room or none; what fills the disk is removed after the session."""
    with contextlib.suppress(OSError), open(session.directory.parent / 'ballast', 'wb') as file:
        free = shutil.disk_usage(file.name).free
        os.posix_fallocate(file.fileno(), 0, free - rng.choice([0, 4_000, 60_000, 300_000]))


FAULTS = {
    'mpiexec killed': send(signal.SIGKILL, 'mpiexec'),
    'process killed': send(signal.SIGKILL, 'train'),
    'all processes killed': send(signal.SIGKILL, 'train', 'loader', n=None),
    'loader or fork server killed': send(signal.SIGKILL, 'loader'),
    'process crashed': send(signal.SIGSEGV, 'train'),
    'process stopped for ever': send(signal.SIGSTOP, 'train'),
    'loader stopped for ever': send(signal.SIGSTOP, 'loader', n=None),
    'SIGTERM to all': send(signal.SIGTERM, 'train', 'loader', n=None),
    'SIGINT to one process': send(signal.SIGINT, 'train'),
    'SIGUSR1 to mpiexec': send(signal.SIGUSR1, 'mpiexec'),
    'SIGTERM to mpiexec': send(signal.SIGTERM, 'mpiexec'),
    'file size limit': limit_files,
    'full disk': fill_disk,
}
# These take the watchdog's time.
RARE = {'process stopped for ever', 'loader stopped for ever'}

DAMAGES = {
    'cut': lambda data, rng: data[:rng.randrange(len(data))],
    'empty': lambda data, rng: b'',
    'other bytes': lambda data, rng: rng.randbytes(len(data)),
}


def flip(data, rng):
    """Change a bit, perhaps one that nothing depends on."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]


DAMAGES['flipped'] = flip


def damage(directory, damaged, rng):
    """Damage the newest snapshot, unless it is the last whole one; return how, or ``None``."""
    whole = [path for path in snapshot_files(directory) if damaged.get(path) != identity_of(path)]
    if len(whole) < 2:
        return None
    how = rng.choice(sorted(DAMAGES))
    whole[0].write_bytes(DAMAGES[how](whole[0].read_bytes(), rng))
    damaged[whole[0]] = identity_of(whole[0])
    return f'newest snapshot: {how}'


def identity_of(path):
    """Tell a file from one that is written in its place."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def is_same(name, first, second):
    """Say whether two arrays have the same bits, or nearly so where a stop may round."""
    if not re.search('avg_mean$|avg_var$', name):
        return np.array_equal(first, second)
    # A snapshot that a signal asks for averages the running statistics of the workers, which no
    # update reads. That is one more rounding than in the undisturbed run.
    return np.allclose(first, second, rtol=0, atol=1e-5 * np.abs(second).max())


def differences(first, second):
    """Say in what two finished runs differ, a line each."""
    for name in ('weights_final.npz', 'weights_best.npz', f'snapshot_iter_{N_ITERATIONS}.npz'):
        with np.load(first / name) as ours, np.load(second / name) as theirs:
            if set(ours.files) != set(theirs.files):
                yield f'{name}: other arrays'
                continue
            yield from (f'{name}: {key}' for key in ours.files if not re.search(
                'elapsed_time|LogReport|observation', key)
                and not is_same(key, ours[key], theirs[key]))
    logs = [[{key: value for key, value in entry.items()
              if key not in ('elapsed_time', 'images_per_second')}
             for entry in json.loads((path / 'log.json').read_text())] for path in (first, second)]
    if [entry['iteration'] for entry in logs[0]] != sorted(
            {entry['iteration'] for entry in logs[0]}):
        yield 'log.json: iterations twice or out of order'
    wanted = {entry['iteration']: entry for entry in logs[1]}
    # A session that was told to stop has made a report of its own there, and the next report is
    # the mean since then.
    yield from (f'log.json: {key} of iteration {entry["iteration"]}' for entry in logs[0]
                for key, value in wanted.get(entry['iteration'], {}).items()
                if key.startswith('val/') and entry.get(key) != value)
    if {*wanted} - {entry['iteration'] for entry in logs[0]}:
        yield 'log.json: entries are missing'
    extra = {path.name for path in first.iterdir()} - {path.name for path in second.iterdir()}
    yield from (f'{name}: left over' for name in extra if not name.startswith('snapshot_iter_'))


class Soak:
    """What happens, what was seen, what was lost."""

    def __init__(self, folder, seed):
        self.seed, self.rng = seed, None
        self.results = folder / 'results'
        self.data = folder / 'data'
        make_mini_imagenet(self.data, n_train=N_IMAGES, n_val=12, size_px=32)
        self.undisturbed = folder / 'undisturbed'
        self.counts, self.lost, self.samples = collections.Counter(), [], []

    def train_undisturbed(self):
        """Train what the others are compared with; print what grows within a session."""
        session, seen = Session(self.undisturbed, self.data), []
        session.wait(session.trains, 300)
        while session.process.poll() is None:
            seen.append(session.measure())
            time.sleep(1)
        if session.process.returncode:
            sys.exit(f'the undisturbed run has failed:\n{session.output()}')
        seen = seen[2:-1]  # while nothing has grown yet, and while it ends
        print('within a session, a second: ' + slopes(seen), flush=True)
        session.close()

    def train_disturbed(self, is_over):
        """Train a run to its end, with faults until ``is_over()``; compare it."""
        shutil.rmtree(self.results / NAME, ignore_errors=True)
        damaged = {}
        for _ in range(500):
            # What is drawn does not depend on what happened before.
            self.rng = random.Random(f'{self.seed} {self.counts["sessions"]}')
            faults = [] if is_over() else [self._choose_fault()]
            status, text = self._session(*faults)
            if status == 0 and (self.results / NAME / 'weights_final.npz').exists():
                break
            if not faults:
                self.lost.append(f'a session without a fault ended with status {status}:\n{text}')
                return
            is_done = (self.results / NAME / 'weights_final.npz').exists()
            if not is_done and not is_over() and self.rng.random() < 0.4:
                how = damage(self.results / NAME, damaged, self.rng)
                self.counts.update(filter(None, [how]))
        found = list(differences(self.results / NAME, self.undisturbed / NAME))
        self.lost += found
        self.counts['runs compared'] += 1
        print(f'run {self.counts["runs compared"]} done after {self.counts["sessions"]} sessions: '
              + ('as the undisturbed run' if not found else f'LOST {found[:5]}'),
              flush=True)

    def _choose_fault(self):
        names = sorted(FAULTS)
        return self.rng.choices(names, [0.03 if name in RARE else 1 for name in names])[0]

    def _session(self, fault=None):
        session = Session(self.results, self.data)
        # During start-up, or so many iterations later, in whichever part of one.
        delay, n_iterations = self.rng.uniform(0, 8), self.rng.randrange(24)
        if fault and self.rng.random() < 0.8:
            delay /= 10
            session.wait(session.trains, 120)
            begin = session.iteration()
            session.wait(lambda: session.iteration() >= begin + n_iterations, 120)
        if fault:
            session.wait(lambda: False, delay)
            seen = session.measure() if session.trains() else None
            FAULTS[fault](session, self.rng)
            self.counts[fault] += 1
        if not session.wait(lambda: False, _END_SECONDS if fault else 3600):
            self.lost.append(f'{fault}: still running after {_END_SECONDS} s:\n'
                             f'{session.output()[-2000:]}')
            for pid in sum(session.pids().values(), []):
                os.kill(pid, signal.SIGKILL)
        status, text = session.process.wait(), session.output()[-2000:]
        n_left = session.close()
        (self.results / 'ballast').unlink(missing_ok=True)
        if n_left:
            self.lost.append(f'{fault}: {n_left} processes were left after 30 s')
        if fault and seen:
            self.samples.append({**seen, 'processes left over': n_left})
        self.counts['sessions'] += 1
        print(f'{self.counts["sessions"]:4d} {fault}: status {status}, '
              f'{(snapshot_files(self.results / NAME) or [pathlib.Path("no snapshot")])[0].name}',
              flush=True)
        return status, text

    def report(self):
        """Print counts and slopes; return whether nothing was lost."""
        for name, n in sorted(self.counts.items()):
            print(f'{n:5d} {name}')
        print('over the sessions, each: ' + slopes(self.samples))
        for key, limit in LIMITS.items():
            values = [sample[key] for sample in self.samples]
            n = len(values) // 3
            if n and np.median(values[-n:]) - np.median(values[:n]) > limit:
                self.lost.append(f'{key}: grew from {np.median(values[:n]):g} to '
                                 f'{np.median(values[-n:]):g}')
        n_faults = sum(self.counts[name] for name in self.counts
                       if name in FAULTS or name.startswith('newest'))
        print('\n'.join(f'LOST {text}' for text in self.lost))
        print(f'faults: {n_faults}, runs compared: {self.counts["runs compared"]}, lost: '
              f'{len(self.lost)}')
        return not self.lost


def slopes(samples):
    """Put the least-squares slope of each value into words, with its mean."""
    if len(samples) < 3:
        return 'too few to tell'
    return ', '.join(
        f'{key} {np.polyfit(range(len(samples)), values, 1)[0]:+.4f} of {np.mean(values):.1f}'
        for key in samples[0] for values in [[sample[key] for sample in samples]])


@contextlib.contextmanager
def small_disk(folder):
    """Mount a disk that is soon full, where root may; else the fault is left out."""
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', str(folder)]
    is_mounted = not os.geteuid() and not subprocess.run(command, capture_output=True).returncode
    if not is_mounted:
        print('mounting a tmpfs needs root: no full disk, only limits of file size')
        del FAULTS['full disk']
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(['umount', str(folder)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--seed', type=int, default=time.time_ns() % 10 ** 6)
    arguments = parser.parse_args()
    print(f'{arguments.minutes:g} minutes, --seed {arguments.seed}', flush=True)
    end = time.monotonic() + 60 * arguments.minutes
    # Short, as sockets lie in it.
    with tempfile.TemporaryDirectory(prefix='soak') as folder:
        folder = pathlib.Path(folder)
        with small_disk(folder / 'results'):
            soak = Soak(folder, arguments.seed)
            soak.train_undisturbed()
            while time.monotonic() < end:
                soak.train_disturbed(lambda: time.monotonic() > end)
            return 0 if soak.report() else 1


if __name__ == '__main__':
    sys.exit(main())
