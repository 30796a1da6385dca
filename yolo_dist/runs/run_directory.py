"""The result directory of a run: its files, which are written whole or not at all.

==========================  ====================================================
``config.yaml``             the resolved experiment; ``train`` accepts it as one
``class_names.txt``         the classes in label order, one a line, UTF-8
``data_check.txt``          faults that the check of the data found, and skipped examples
``environment.json``        versions, host, commit and command of each session
``status.json``             state of the run: running, stopped, done, diverged,
                            failed; position; final metrics
``heartbeat.jsonl``         where each process is, while the run is running
``log.json``                one entry for each report (Chainer's ``LogReport``)
``snapshot_iter_N.npz``     whole state of training, the last few
``weights_best.npz``        model of the best evaluation
``weights_final.npz``       model at the end
``throughput.json``         speed of a throughput run
``diverged_after_iter_N``   state when numbers were no longer finite, for inspection
``curves.png``              learning curves so far
``evaluation.json``         metrics of the last evaluation: at the end of training,
                            or by ``evaluate``
``evaluation/``             details of these metrics: ``details.json``; ``evaluate``
                            adds figures, each as PNG and SVG
``tensorboard/``            event files of ``train --tensorboard``
==========================  ====================================================
"""

import contextlib
import json
import pathlib
import re
import shutil
import sys
import time

import chainer

from yolo_dist.config import differences, dump_config, load_config
from yolo_dist.environment import environment
from yolo_dist.errors import InputError
from yolo_dist.outside_files import read_file
from yolo_dist.runs.heartbeat import begin_heartbeat
from yolo_dist.whole_files import is_partial, make_folder, write_whole

# Keys for places of files, speed of reading and watching of a run. The computed result does not
# depend on them. All other keys must not change on a resume, and the report names those that
# differ from the experiment.
_NOT_COMPUTED = {'name', 'data.root', 'data.on_bad_example', 'data.n_loader_processes',
                 'data.evaluation.batch_size',
                 'run.stop_after_epochs', 'run.evaluate_every_epochs',
                 'run.snapshot_every_epochs', 'run.keep_snapshots', 'run.log_every_iterations',
                 'run.watchdog_seconds'}

# What an experiment may leave to its training set: section, key, and the value that does.
_RESOLVED = (('model', 'anchors', 'fit'), ('model', 'n_class', None),
             ('data', 'class_names', None))

CLASS_NAMES = 'class_names.txt'


def is_computed(key):
    """Whether a key of the experiment file decides what is computed.

    Args:
        key (str): Dotted key in the form of :func:`~yolo_dist.config.differences`.

    Returns:
        bool: False for keys that may change between the sessions of one run.
    """
    return key not in _NOT_COMPUTED and not key.startswith('paper.')


def take_resolved(config, stored):
    """Take over the values that the first session of a run found in its training set.

    Args:
        config (~yolo_dist.config.RunConfig): The run as the experiment file has it.
        stored (~yolo_dist.config.RunConfig): The same run with what was found, as its directory
            or another process has it.

    Returns:
        ~yolo_dist.config.RunConfig: ``config``, with the stored ``model.anchors`` for ``fit``, and
        the stored ``model.n_class`` and ``data.class_names`` where neither is given.
    """
    n_class = config.model.n_class
    for section, key, left_open in _RESOLVED:
        if key == 'class_names' and n_class is not None:  # null stands for the classes of VOC
            continue
        ours, theirs = getattr(config, section), getattr(stored, section)
        found = getattr(theirs, key, None)
        if found is not None and getattr(ours, key, found) == left_open:
            config = config.model_copy(update={section: ours.model_copy(update={key: found})})
    return config


def run_directory(results, config):
    """Directory of a run: ``results/name`` or ``results/sweep/row``."""
    return pathlib.Path(results) / config.name


def write_utf8(path, text):
    """Write text in UTF-8, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_text(text, encoding='utf-8', errors='surrogateescape')


def write_json(path, content):
    """Write JSON, whole or not at all."""
    write_utf8(path, json.dumps(content, indent=1) + '\n')


def read_json(path):
    """Read a JSON file of a run directory.

    Returns:
        The content, or ``None`` if there is no such file.

    Raises:
        InputError: If the file is not JSON.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return None
    try:
        return json.loads(read_file(path))
    except FileNotFoundError:  # removed just now
        return None
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror})') from None
    except (ValueError, RecursionError) as error:
        raise InputError(f'{path}: is not JSON ({error}); was it edited by hand?') from None


def read_status(directory):
    """Read ``status.json`` of a run directory.

    Args:
        directory (pathlib.Path): The directory.

    Returns:
        dict: With a ``state``; ``None`` if there is no such file.

    Raises:
        InputError: If the file is something else.
    """
    path = directory / 'status.json'
    status = read_json(path)
    if status is not None and not (
            isinstance(status, dict) and isinstance(status.get('state'), str)
            and isinstance(status.get('metrics', {}), dict)):
        raise InputError(f'{path}: has no state; was it edited by hand?')
    return status


def write_details(folder, details):
    """Write ``details.json`` into a folder, from which everything else is removed first.

    Args:
        folder (pathlib.Path): ``evaluation/`` of a run directory.
        details (dict): Content that JSON can hold.

    Returns:
        dict: ``details``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    write_json(folder / 'details.json', details)
    return details


def save_npz(path, target):
    """Write a link or a trainer as npz, whole or not at all."""
    with write_whole(path) as partial, open(partial, 'wb') as file:
        chainer.serializers.npz.save_npz(file, target)


def snapshot_files(directory):
    """Snapshots of a run directory, complete or damaged.

    Args:
        directory (str or ~pathlib.Path): The directory.

    Returns:
        list of pathlib.Path: The files, the latest first.
    """
    found = {int(match[1]): path for path in pathlib.Path(directory).glob('*.npz')
             if (match := re.fullmatch(r'snapshot_iter_(\d+)\.npz', path.name))}
    return [found[iteration] for iteration in sorted(found, reverse=True)]


def find_weights(run):
    """Choose the file to evaluate.

    Args:
        run (str): A run directory, or a weights or snapshot file inside one.

    Returns:
        tuple of pathlib.Path: File to load and run directory. For a directory the file is
        the final weights, or else the latest snapshot.

    Raises:
        InputError: If there is no run or no file to load.
    """
    run = pathlib.Path(run)
    if not run.exists():
        raise InputError(f'{run}: there is no such file or directory; expected a run directory, '
                         'or a weights or snapshot file (*.npz) inside one')
    directory = run if run.is_dir() else run.parent
    if not (directory / 'config.yaml').exists():
        raise InputError(f'{directory}: is not a run directory (it has no config.yaml); expected '
                         'one that `python -m yolo_dist.train` wrote')
    if not run.is_dir():
        return run, directory
    final = directory / 'weights_final.npz'
    weights = final if final.exists() else next(
        iter(snapshot_files(directory)), None)
    if weights is None:
        raise InputError(f'{directory}: holds neither weights_final.npz nor a snapshot yet; '
                         'train the run first')
    return weights, directory


# Unfinished files of a killed job in version 0.1.
_OLD_LEFT_OVER = re.compile(r'\..+\.(npz|json|yaml|png)\.[^.]+|tmpsnapshot_iter_.*|log\.json.+')


def _remove_left_overs(directory):
    for path in directory.iterdir():
        if path.name.startswith('.job.'):  # `submit` may be writing job.json just now
            continue
        if is_partial(path) or _OLD_LEFT_OVER.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class RunDirectory:
    """A run directory that is being written.

    Args:
        path (pathlib.Path): The directory.
        config (~yolo_dist.config.RunConfig): The run.
        n_processes (int): P of this session; ``None`` for reading only.
    """

    def __init__(self, path, config, *, n_processes=None):
        self.path = pathlib.Path(path)
        self.config = config
        self.n_processes = n_processes

    def resolved(self):
        """Return the run, after :func:`take_resolved` if it was begun before."""
        stored = self.path / 'config.yaml'
        return take_resolved(self.config, load_config(stored)) if stored.exists() else self.config

    def check(self, *, resume):
        """Check that the run may start here. Change nothing.

        Raises:
            InputError: If the directory holds a run and ``resume`` is false, or
                holds a run of another configuration.
        """
        old = self.path / 'config.yaml'
        if not old.exists():
            return
        if not resume:
            state = self.state() or 'no status'
            ways = 'go on with it by --resume' if state != 'done' else (
                'to start a new run from its weights, give another name and model.pretrained: '
                f'{self.path / "weights_final.npz"}')
            raise InputError(f'{self.path} holds a run already ({state}); {ways}, choose another '
                             'place by --results, or remove the directory')
        changed = {key: values for key, values in
                   differences(self.resolved(), load_config(old)).items()
                   if key == 'name' or is_computed(key) and key != 'model.pretrained'}
        if changed:
            lines = [f'  {key}: {then!r} then, {now!r} now'
                     for key, (now, then) in sorted(changed.items())]
            final = self.path / 'weights_final.npz'
            if final.exists():
                lines.append('a new run can start from its weights: give another name, and '
                             f'model.pretrained: {final}')
            raise InputError(f'{self.path} holds a run of another configuration, which --resume '
                             'cannot go on with:\n' + '\n'.join(lines))

    def state(self):
        """State of the run, or ``None`` before it was first started."""
        status = read_status(self.path)
        return status and status['state']

    def open(self, class_names, *, n_weight_bytes):
        """Make the directory and record the run that is about to start.

        Args:
            class_names (sequence of str): Classes of the training set, in label order.
            n_weight_bytes (int): Size of the weights.

        Raises:
            InputError: If the disk has no room for the files of the run, or the directory cannot
                be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(self.path)
        self._check_room(n_weight_bytes)
        write_utf8(self.path / 'config.yaml', dump_config(self.config))
        write_utf8(self.path / CLASS_NAMES, ''.join(f'{name}\n' for name in class_names))
        sessions = read_json(self.path / 'environment.json') or []
        if not isinstance(sessions, list):
            raise InputError(f'{self.path}/environment.json: holds no list of sessions; remove it')
        command = ['python', '-m', 'yolo_dist.train', *sys.argv[1:]]
        sessions.append({'started': time.strftime('%Y-%m-%dT%H:%M:%S%z'), 'command': command,
                         **environment()})
        write_json(self.path / 'environment.json', sessions)
        begin_heartbeat(self.path)
        self.write_status('running')

    def _check_room(self, n_weight_bytes):
        if self.config.run.measure is not None:
            return
        # A snapshot holds weights and momentum. An old one is removed after the new one is whole.
        needed = n_weight_bytes * (2 * (self.config.run.keep_snapshots + 1) + 2)
        needed -= sum(path.stat().st_size for path in self.path.glob('*.npz'))
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise InputError(
                f'{self.path}: the disk has {free / 1e6:,.0f} MB free, and the snapshots and '
                f'weights of this run will take {needed / 1e6:,.0f} MB more; make room, keep '
                'fewer with run.keep_snapshots, or name another place with --results')

    def write_throughput(self, figures):
        """Record the result of a throughput run."""
        write_json(self.path / 'throughput.json', figures)

    def write_evaluation(self, metrics, details):
        """Record the evaluation at the end of training and its details."""
        write_json(self.path / 'evaluation.json', {
            'weights': 'weights_final.npz', 'overrides': [], 'n_processes': self.n_processes,
            **metrics})
        write_details(self.path / 'evaluation', details)

    def write_failure(self, reason):
        """Record that the run has failed, even if no new file can be written."""
        try:
            self.write_status('failed', reason=reason)
        except InputError:
            with contextlib.suppress(OSError), open(self.path / 'status.json', 'r+',
                                                     encoding='utf-8') as file:
                # The old text is overwritten in place. A short text fits into it.
                file.write(json.dumps({'state': 'failed', 'reason': reason[:200]}))
                file.truncate()

    def write_status(self, state, **details):
        """Record the state of the run and, at its end, its metrics."""
        write_json(self.path / 'status.json', {
            'state': state, 'n_workers': self.config.workers, 'n_processes': self.n_processes,
            **details})
