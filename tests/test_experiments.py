"""Every experiment of the repository runs, made small: each distinct run goes through `train`."""

import json
import pathlib

import pytest
import yaml

from yolo_dist.config import dump_config, load_config, rows
from yolo_dist.datasets import DIGIT_NAMES, make_mini_imagenet, make_mini_voc
from yolo_dist.runs.run_directory import take_resolved

TESTS = pathlib.Path(__file__).parent
EXPERIMENTS = TESTS.parent / 'experiments'

# What a small machine changes; all else is as the file says, float16 sums included.
SMALL = ['workers=2', 'model.width=0.03', 'model.n_class=10', 'data.batch_size_per_worker=3',
         'data.n_loader_processes=0', 'data.evaluation.batch_size=4', 'schedule.epochs=2',
         'run.log_every_iterations=2', 'run.evaluate_every_epochs=2',
         'run.snapshot_every_epochs=2', 'communicator.double_buffering=false',
         'optimizer.base_lr=1.0e-4']  # no study of divergence
CLASSIFICATION = ['data.train=train', 'data.val=val', 'data.input_size_px=32',
                  'data.evaluation.input_size_px=32', 'data.augmentation.min_crop_px=30',
                  'data.augmentation.max_crop_px=40']
DETECTION = ['data.train=[VOC2007/trainval]', 'data.val=[VOC2007/test]',
             f'data.class_names=[{", ".join(DIGIT_NAMES)}]', 'data.input_size_px=64',
             'data.multi_scale=null', 'data.evaluation.input_size_px=64',
             'data.evaluation.score_thresh=0.05']


def find_runs():
    """Every file and row, what it names as its run, and whether another row defines that."""
    for path in sorted(EXPERIMENTS.glob('*.yaml')):
        content = yaml.safe_load(path.read_text())
        for row in rows(path) or [None]:
            is_shown = row is not None and 'same_as' in content['runs'][row]
            yield pytest.param(path, row, is_shown, id=f'{path.stem}/{row}' if row else path.stem)


RUNS = list(find_runs())


def make_small(config, root):
    """Overrides under which a run takes a second and keeps its kind."""
    is_detection = config.task == 'detection'
    overrides = [*SMALL, *(DETECTION if is_detection else CLASSIFICATION)]
    overrides += [f'data.root={root / ("voc" if is_detection else "imagenet")}']
    if config.model.n_class is None:  # the classes are those that are found
        overrides += ['model.n_class=null', *['data.class_names=null'] * is_detection]
    if config.schedule.warmup != 'none':
        overrides += ['schedule.warmup_epochs=1.5']
    if config.schedule.decay.kind == 'step':
        overrides += ['schedule.decay.at_epochs=[1.6, 1.8]']
    if isinstance(config.optimizer.loss_scale, float):
        # A last map of one pixel and two images has gradients that are large without it.
        overrides += ['optimizer.loss_scale=0.01']
    if config.communicator.multi_node_bn:
        overrides += ['workers=1']  # needs a process for each; test_train has two
    if config.run.measure is not None:
        overrides += ['run.measure={warmup_iterations: 1, iterations: 3}']
        # With files in one figure, without in the other.
        overrides += ['data.n_synthetic_examples=12'] if is_detection else []
    return overrides


def what_is_computed(config):
    """The settings of a run without its name and what is said of the paper, as text to compare."""
    return json.dumps(config.model_dump(exclude={'name', 'paper'}), sort_keys=True)


@pytest.fixture(scope='module')
def trained(mpiexec, tmp_path_factory):
    """Trains each run once, in one start of MPI, each after the one whose weights it takes.

    Many rows, made small, are the same run: what they differ in is what a small machine changes.
    Of such rows one is trained, and stands for all.

    Returns:
        dict: From the name of a test to the outcome, the directory and the settings of the run
        that stands for it; its own settings; and the output of the job.
    """
    root = tmp_path_factory.mktemp('experiments')
    make_mini_imagenet(root / 'imagenet', n_train=12, n_val=10, size_px=32)
    make_mini_voc(root / 'voc', n_trainval=12, n_test=3)
    results = root / 'results'
    configs, command_lines = {}, {}
    for param in RUNS:
        path, row, _ = param.values
        overrides = make_small(load_config(path, row=row), root)
        configs[param.id] = load_config(path, row=row, overrides=overrides, results=str(results))
        command_lines[param.id] = [
            str(path), '--results', str(results), *(['--run', row] if row else []),
            *(part for override in overrides for part in ('--set', override))]
    sources = {config.model.pretrained for config in configs.values()}

    def is_source(name):
        return str(results / configs[name].name / 'weights_final.npz') in sources

    # The run that others start from stands for its like; a run shown again never does.
    chosen = {}
    defined = [param.id for param in RUNS if not param.values[2]]
    for name in sorted(defined, key=is_source, reverse=True):
        chosen.setdefault(what_is_computed(configs[name]), name)
    names = sorted(chosen.values(), key=lambda name: configs[name].model.pretrained is not None)
    jobs = [command_lines[name] for name in names]
    # A run that another row defines is done by then.
    trained_names = {configs[name].name for name in names}
    jobs += [[*command_lines[param.id], '--resume'] for param in RUNS
             if param.values[2] and configs[param.id].name in trained_names]

    (root / 'command_lines.json').write_text(json.dumps(jobs))
    (root / 'outcomes').touch()
    # One process carries both workers: the other core has other tests.
    done = mpiexec(1, TESTS / 'train_rows.py', root / 'command_lines.json', root / 'outcomes',
                   cwd=root, timeout=900)
    outcomes = [json.loads(line) for line in (root / 'outcomes').read_text().splitlines()]
    # The first run that has not ended is the one that ended the job.
    outcomes += [[(done.returncode, f'{done.stdout[-1000:]}\n{done.stderr[-3000:]}')],
                 *len(names) * [[(None, 'not reached')]]]
    outcome_of = dict(zip(names, outcomes))
    runs = {}
    for name, config in configs.items():
        stands_for_it = chosen[what_is_computed(config)]
        runs[name] = (outcome_of[stands_for_it], results / configs[stands_for_it].name,
                      configs[stands_for_it], config, done.stdout)
    return runs


@pytest.mark.parametrize('path, row, is_shown', RUNS)
def test_every_row_runs(trained, request, path, row, is_shown):
    """It ends well, and leaves the metrics, the weights or the speed that it is for."""
    outcome, directory, trained_config, config, output = trained[request.node.callspec.id]
    assert [status for status, _ in outcome] == [0], outcome
    status = json.loads((directory / 'status.json').read_text())
    assert status['state'] == 'done'
    stored = load_config(directory / 'config.yaml')
    assert stored == take_resolved(trained_config, stored)
    assert what_is_computed(trained_config) == what_is_computed(config)
    if config.run.measure is not None:
        throughput = json.loads((directory / 'throughput.json').read_text())
        assert (throughput['n_workers'], throughput['n_processes']) == (2, 1)
        assert (throughput['global_batch_size'], throughput['iterations']) == (6, 3)
        assert throughput['images_per_second']['median'] == pytest.approx(
            6 / throughput['seconds_per_iteration']['median'])
        assert not status['metrics'] and not list(directory.glob('snapshot_*'))
        return
    assert status['iteration'] == 2 * 12 / trained_config.global_batch_size  # epochs of 12 images
    metric = 'map_percent' if config.task == 'detection' else 'top1_accuracy_percent'
    assert 0 <= status['metrics'][f'val/{metric}'] <= 100
    assert (directory / 'weights_final.npz').exists()
    assert output.count(f'{trained_config.name}: done already') == sum(
        shown.values[2] and trained[shown.id][3].name == trained_config.name
        for shown in RUNS)


def test_rows_that_are_shown_again_are_runs_that_another_row_defines(trained):
    """Under the same name and with the same settings; some have been resumed, as done."""
    defined = {trained[param.id][3].name: trained[param.id][3]
               for param in RUNS if not param.values[2]}
    shown = [trained[param.id][3] for param in RUNS if param.values[2]]
    assert len(defined) == sum(not param.values[2] for param in RUNS)
    for config in shown:
        assert what_is_computed(defined[config.name]) == what_is_computed(config)
    assert any(f'{config.name}: done already' in trained[RUNS[0].id][4] for config in shown)


@pytest.mark.parametrize('path, row, is_shown', RUNS)
def test_every_row_can_be_read_back(tmp_path, path, row, is_shown):
    """What the file of a run directory says is the run, at its full size."""
    config = load_config(path, row=row)
    (tmp_path / 'config.yaml').write_text(dump_config(config))
    assert load_config(tmp_path / 'config.yaml') == config


def test_the_paper_is_complete():
    """Figures 3 to 7, table 2 with its 12 rows, and the stage of section 2.3."""
    counted = {path.stem: len(rows(path)) for path in EXPERIMENTS.glob('*.yaml')}
    assert {'fig3': 4, 'fig4': 2, 'fig5': 10, 'table2': 12, 'fig6': 6, 'fig7': 9,
            'pretrain_448': 1}.items() <= counted.items()


def test_printed_values_of_table_2():
    """As PAPER.md of the issue has them: mAP over k; YOLOv2 at k = 128 has no number."""
    printed = {'yolo_v2': [78.1, 78.1, 78.0, 75.5, 0.3, None],
               'yolo_v3': [78.7, 78.7, 78.2, 77.3, 76.3, 65.8]}
    for model, values in printed.items():
        for k, value in zip((8, 16, 32, 64, 96, 128), values, strict=True):
            config = load_config(EXPERIMENTS / 'table2.yaml', row=f'{model}_k{k}')
            assert (config.workers, config.model.name) == (k, model)
            assert config.paper.reported.get('map_percent') == value
            assert config.global_batch_size == 16 * k


def test_rows_of_a_figure_differ_in_what_it_compares_alone():
    """Fig. 3 in k; fig. 4 in the network, and what is said of it."""
    def settings(name, row):
        content = load_config(EXPERIMENTS / f'{name}.yaml', row=row).model_dump()
        del content['name'], content['paper']
        return content
    one, other = (settings('fig3', f'darknet53_k{k}') for k in (64, 512))
    assert one | {'workers': 512} == other
    darknet19, darknet53 = (settings('fig4', f'{model}_k64')
                            for model in ('darknet19', 'darknet53'))
    assert darknet19['model'] | {'name': 'darknet53'} == darknet53['model']
    assert darknet19 | {'model': darknet53['model']} == darknet53


@pytest.mark.parametrize('name, row, weights', [
    ('table2', 'yolo_v3_k128', 'fig3/darknet53_k256/seed_0'),
    ('table2', 'yolo_v2_k8', 'fig4/darknet19_k64/seed_0'),
    ('pretrain_448', 'darknet53_k256', 'fig3/darknet53_k256/seed_0')])
def test_weights_come_from_another_experiment(name, row, weights):
    """What a row starts from is a run that some file of the repository defines."""
    config = load_config(EXPERIMENTS / f'{name}.yaml', row=row, results='R')
    assert config.model.pretrained == f'R/{weights}/weights_final.npz'
    sweep, source, _ = weights.split('/')
    assert load_config(EXPERIMENTS / f'{sweep}.yaml', row=source).name == weights
