"""Fixtures of the jobs: small sites, small runs, and private schedulers of this machine."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from yolo_dist.datasets import DIGIT_NAMES

sys.path.insert(0, str(pathlib.Path(__file__).parent))

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPERIMENT = ROOT / 'experiments/table2.yaml'

# Table 2 on the mini set, as small as it goes.
SMALL = ['model.width=0.03', 'model.n_class=10', 'model.pretrained=null', 'schedule.epochs=4',
         'schedule.warmup_epochs=1', 'schedule.decay.at_epochs=[2.0, 3.0]',
         'data.train=[VOC2007/trainval]', 'data.val=[VOC2007/test]',
         f'data.class_names=[{", ".join(DIGIT_NAMES)}]', 'data.input_size_px=64',
         'data.batch_size_per_worker=4', 'data.n_loader_processes=0',
         'data.evaluation.input_size_px=64', 'data.evaluation.batch_size=4',
         'data.evaluation.score_thresh=0.05', 'run.log_every_iterations=2',
         'run.evaluate_every_epochs=1000', 'run.snapshot_every_epochs=1000']


def settings(overrides):
    return [argument for override in overrides for argument in ('--set', override)]


@pytest.fixture
def experiment():
    """The file of Table 2."""
    return EXPERIMENT


@pytest.fixture
def repository():
    """The checkout."""
    return ROOT


@pytest.fixture
def small(mini_voc):
    """Arguments that make a row of Table 2 small: ``small(*further overrides)``."""
    def small(*overrides):
        return settings([*SMALL, f'data.root={mini_voc}', *overrides])
    return small


@pytest.fixture
def write_site(tmp_path):
    """Writes a site file: ``write_site(scheduler, submit_options, **other keys)``."""
    def write_site(scheduler, submit_options=(), **keys):
        binaries = pathlib.Path(sys.executable).parent
        content = yaml.safe_load((ROOT / 'jobs/sites/workstation.yaml').read_text()) | {
            'name': f'test_{scheduler}', 'scheduler': scheduler, 'gpus_per_node': 2,
            'max_nodes': 1 if scheduler == 'local' else 2, 'submit_options': list(submit_options),
            'walltime': {'max_hours': 1.0, 'max_node_hours': None, 'safety_factor': 1.0,
                         'warning_minutes': 5.0},
            'setup': [f'export PATH="{binaries}:$PATH" PYTHONPATH="$repository" MPLBACKEND=agg',
                      'export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1',
                      'export OPENBLAS_NUM_THREADS=1'],
            'mpi': {'run': 'mpiexec -n $n_processes --bind-to none --map-by '
                           'ppr:$processes_per_node:node:OVERSUBSCRIBE', 'once_per_node': 'env'},
        } | keys
        path = tmp_path / f'{scheduler}.yaml'
        path.write_text(yaml.safe_dump(content))
        return path
    return write_site


@pytest.fixture
def submit(tmp_path):
    """Runs ``jobs/submit.sh`` in a folder of its own: ``submit(*arguments, env=None)``."""
    def submit(*arguments, env=None):
        return subprocess.run(
            [ROOT / 'jobs/submit.sh', *map(str, arguments)], cwd=tmp_path, timeout=200,
            env=os.environ | {'VIRTUAL_ENV': sys.prefix} | (env or {}) |
            {'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'},
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return submit


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
    """A private Slurm with two nodes; its environment variables."""
    import private_slurm
    reason = private_slurm.why_not()
    if reason:
        pytest.skip(reason)
    with private_slurm.running_slurm(tmp_path_factory.mktemp('slurm')) as environment:
        yield environment


@pytest.fixture(scope='module')
def gridengine(tmp_path_factory):
    """A private Grid Engine of one node; its environment variables."""
    import private_gridengine
    reason = private_gridengine.why_not()
    if reason:
        pytest.skip(reason)
    home = tmp_path_factory.mktemp('gridengine')
    with private_gridengine.running_gridengine(home) as environment:
        yield environment


@pytest.fixture
def read():
    """Reads a JSON file of a run directory, ``None`` where it is not there (yet)."""
    def read(path):
        return json.loads(path.read_text()) if path.exists() else None
    return read
