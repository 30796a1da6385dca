"""Makes tests/report_records anew: ``python tests/make_report_records.py [WORK_DIR]``.

With WORK_DIR: real runs of the paper's experiment files on small sets, with their k but tiny
networks, one image a worker and two or three epochs: records of runs that are done, stopped,
diverged, of several seeds, and of speed. Only what the report reads is kept: no weights, and
of the surroundings neither host nor command. The experiment and site files of that day are
kept with them, so that later edits of those change no record. Takes about 10 minutes on 2
cores.

Without: only the expected report of these records is written anew, to be read before it is
committed.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from yolo_dist import report
from yolo_dist.datasets import DIGIT_NAMES, make_mini_imagenet, make_mini_voc

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORDS = pathlib.Path(__file__).resolve().parent / 'report_records'
FIGURES = ('table2', 'fig3', 'fig4', 'fig5', 'fig6', 'fig7')
KEPT = re.compile(r'(table2|fig\d|imagenet_\w+|voc_\w+)\.yaml')

SMALL = ['model.width=0.03', 'model.n_class=10', 'data.batch_size_per_worker=1',
         'data.n_loader_processes=0', 'data.evaluation.batch_size=10',
         'run.log_every_iterations=2', 'run.evaluate_every_epochs=1', 'schedule.epochs=2',
         'run.snapshot_every_epochs=2', 'schedule.warmup_epochs=1.5']
CLASSIFICATION = [*SMALL, 'data.root=data/imagenet', 'data.input_size_px=64',
                  'data.evaluation.input_size_px=64', 'data.augmentation.min_crop_px=60',
                  'data.augmentation.max_crop_px=80', 'model.bn_decay=0.9',
                  'schedule.epochs=3']
DETECTION = [*SMALL, 'data.root=data/voc', 'data.train=[VOC2007/trainval]',
             'data.val=[VOC2007/test]', f'data.class_names=[{", ".join(DIGIT_NAMES)}]',
             'data.input_size_px=64', 'data.evaluation.input_size_px=64',
             'schedule.decay.at_epochs=[1.6, 1.8]']
SPEED = ['run.measure={warmup_iterations: 2, iterations: 8}', 'data.n_synthetic_examples=40']
STOPPED = ['run.stop_after_epochs=1']

# Experiment, row, processes, overrides; a run comes after the one whose weights it takes.
RUNS = [
    ('fig3', 'darknet53_k64', 2, [*CLASSIFICATION, 'optimizer.base_lr=0.4']),
    ('fig3', 'darknet53_k128', 2, [*CLASSIFICATION, 'optimizer.base_lr=0.4']),
    ('fig3', 'darknet53_k256', 2, [*CLASSIFICATION, 'optimizer.base_lr=0.4']),
    ('fig3', 'darknet53_k512', 2, [*CLASSIFICATION, *STOPPED]),
    ('fig4', 'darknet19_k64', 2, [*CLASSIFICATION, 'optimizer.base_lr=0.4']),
    *[('table2', f'{model}_k{k}', 2, [*DETECTION, f'run.seed={seed}'])
      for model, k, seed in (
          ('yolo_v2', 8, 0), ('yolo_v2', 16, 0), ('yolo_v2', 32, 0), ('yolo_v2', 64, 0),
          ('yolo_v3', 8, 0), ('yolo_v3', 8, 1), ('yolo_v3', 8, 2), ('yolo_v3', 16, 0),
          ('yolo_v3', 32, 0), ('yolo_v3', 64, 0))],
    ('table2', 'yolo_v2_k96', 2, [*DETECTION, 'optimizer.base_lr=1.0e+6']),
    ('table2', 'yolo_v3_k16', 2, [*DETECTION, *STOPPED, 'run.seed=1']),
    ('table2', 'yolo_v3_k96', 2, [*DETECTION, *STOPPED]),
    *[('fig5', f'darknet53_k{k}', processes, [*CLASSIFICATION, *SPEED])
      for k, processes in ((1, 1), (2, 2), (4, 4), (8, 2))],
    *[('fig7', f'yolo_v3_k{k}', processes, [*DETECTION, *SPEED])
      for k, processes in ((1, 1), (2, 2))],
]


def train(experiment, row, n_processes, overrides):
    """Trains one run in the current folder; a run that is there already is left."""
    command = ['mpiexec', '-n', str(n_processes), sys.executable, '-m', 'yolo_dist.train',
               str(ROOT / f'experiments/{experiment}.yaml'), '--run', row, '--resume']
    status = subprocess.run([*command, *(part for override in overrides
                                         for part in ('--set', override))]).returncode
    if status not in (0, 3):
        sys.exit(f'{experiment}/{row}: status {status}')


def keep(results, records):
    """Copies what the report reads: experiment files, a site, and of each run four files."""
    for name in ('experiments', 'results'):
        shutil.rmtree(records / name, ignore_errors=True)
    shutil.copytree(ROOT / 'experiments', records / 'experiments',
                    ignore=lambda _, names: [name for name in names if not KEPT.match(name)])
    shutil.copyfile(ROOT / 'jobs/sites/abci_2018.yaml', records / 'site.yaml')
    for config in sorted(results.rglob('config.yaml')):
        target = records / 'results' / config.parent.relative_to(results)
        target.mkdir(parents=True)
        for name in ('config.yaml', 'status.json', 'log.json', 'throughput.json'):
            if (config.parent / name).exists():
                shutil.copyfile(config.parent / name, target / name)
        sessions = json.loads((config.parent / 'environment.json').read_text())
        kept = [{key: session[key] for key in ('devices', 'cores')} for session in sessions]
        (target / 'environment.json').write_text(json.dumps(kept) + '\n')


def write_expected(records):
    """Writes report.md and the CSV files that the records lead to."""
    expected = records / 'expected'
    shutil.rmtree(expected, ignore_errors=True)
    report.main([*(str(records / f'experiments/{name}.yaml') for name in FIGURES),
                 '--results', str(records / 'results'), '--site', str(records / 'site.yaml'),
                 '--out', str(expected)])
    for picture in [*expected.glob('*.png'), *expected.glob('*.svg')]:
        picture.unlink()


def train_all(work):
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)  # so that records hold relative paths
    if not pathlib.Path('data').exists():
        make_mini_imagenet('data/imagenet', n_train=520, n_val=100, size_px=64)
        make_mini_voc('data/voc', n_trainval=130, n_test=20)
    for run in RUNS:
        train(*run)
    keep(pathlib.Path('results'), RECORDS)


if __name__ == '__main__':
    if len(sys.argv) > 1:
        train_all(pathlib.Path(sys.argv[1]))
    write_expected(RECORDS)
