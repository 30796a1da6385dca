"""The experiment file: what it accepts, and what it says when it does not."""

import pathlib

import pytest
import yaml

from yolo_dist.config import differences, dump_config, load_config, rows, seeds
from yolo_dist.errors import InputError

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'
RUN = EXPERIMENTS / 'quickstart_yolo_v3.yaml'

SECTIONS = ['name', 'task', 'workers', 'paper', 'communicator', 'data', 'model', 'optimizer',
            'schedule', 'run']


@pytest.mark.parametrize('path', sorted(EXPERIMENTS.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_experiment_file_loads(path):
    """Each file, and each row of a sweep, is valid; its name is the file's stem."""
    content = yaml.safe_load(path.read_text())
    if 'base' not in content:
        # Somebody's own run reproduces nothing.
        is_own = path.stem.startswith('own_')
        assert list(content) == [name for name in SECTIONS if name != 'paper' or not is_own]
        assert load_config(path).name == content['name'] == path.stem
        return
    assert content['name'] == path.stem
    for row, entry in content['runs'].items():
        defined_as = entry.get('same_as', f'{path.stem}/{row}')
        assert load_config(path, row=row).name == f'{defined_as}/seed_0'


def test_dump_and_load_is_a_round_trip(tmp_path):
    """The resolved file of a run directory is itself an experiment, equal to the run."""
    config = load_config(RUN, overrides=['workers=4', 'schedule.decay={kind: constant}'])
    (tmp_path / 'config.yaml').write_text(dump_config(config))
    assert load_config(tmp_path / 'config.yaml') == config


@pytest.mark.parametrize('key, old, new', [
    ('optimizer.lr_rule', 'goyal', 'linear'), ('schedule.warmup', 'goyal', 'gradual'),
    ('schedule.warmup', 'paper', 'hold_first_epoch')])
def test_names_of_old_run_directories_are_read_as_those_of_today(key, old, new):
    """A run directory of version 0.1 resumes and is drawn: its old names differ in nothing."""
    before, after = (load_config(EXPERIMENTS / 'quickstart_darknet53.yaml', overrides=[
        'schedule.warmup_epochs=3', f'{key}={name}']) for name in (old, new))
    assert before == after and differences(before, after) == {}
    section, _, field = key.partition('.')
    assert getattr(getattr(before, section), field) == new


def test_differences_name_the_dotted_key():
    """What --resume compares."""
    config, other = load_config(RUN), load_config(RUN, overrides=['optimizer.base_lr=0.5'])
    assert differences(config, other) == {'optimizer.base_lr': (0.0003, 0.5)}


def test_results_folder_is_filled_in():
    """A pretrained path follows --results."""
    config = load_config(RUN, results='elsewhere')
    assert config.model.pretrained == 'elsewhere/quickstart_darknet53/weights_final.npz'


@pytest.mark.parametrize('override, message', [
    ('optimizer.base_lr=5e-4', r"optimizer.base_lr: found '5e-4', which YAML reads as text; "
                               r'write a number with a point, such as 5.0e-4'),
    ('optimizer.bas_lr=1', 'did you mean base_lr?'),
    ('optimiser.base_lr=1', 'there is no section optimiser'),
    ('workers=two', "workers: found 'two'; expected an integer"),
    ('workers=0', 'workers: found 0; expected greater than or equal to 1'),
    ('workers=true', 'workers: found True; expected an integer'),
    ('data.input_size_px=100', 'data.input_size_px: found 100; expected a multiple of 32, '
                               'such as 96 or 128'),
    ('data={root: x}', 'data.train: is missing'),
    ('model.name=yolo_v4', "model.name: found 'yolo_v4'; expected 'yolo_v2' or 'yolo_v3'"),
    ('schedule.decay={kind: stp}', "schedule.decay.kind: found 'stp'; expected one of "),
    ('schedule.decay={kind: step, at_epochs: [a], factor: 0.1}',
     "schedule.decay.at_epochs.0: found 'a'; expected a number"),
    ('schedule.decay={kind: polynomial, powr: 2}',
     'schedule.decay.powr: is not a known key'),
    ('schedule.warmup=none', 'warmup none goes with warmup_epochs 0, found 3'),
    ('optimizer.base_lr_batch_size=8', 'give it there, and null under literal and darknet'),
    ('task=segmentation', "task: found 'segmentation'; expected classification or detection"),
    ('schedule.epochs=.inf', 'schedule.epochs: found inf'),
    ('nonsense', 'expected key=value'),
    ('a=[', 'the value is not YAML'),
])
def test_a_wrong_override_is_explained(override, message):
    """The error names the dotted path, what was found and what was expected."""
    with pytest.raises(InputError) as caught:
        load_config(RUN, overrides=[override])
    assert message in str(caught.value)


def test_all_problems_are_named_at_once(tmp_path):
    """Three mistakes in a file are three lines, each with the file's name."""
    text = RUN.read_text().replace('width: 0.25', 'widht: 0.25').replace('seed: 0', 'seed: -1')
    (tmp_path / 'wrong.yaml').write_text(text)
    with pytest.raises(InputError) as caught:
        load_config(tmp_path / 'wrong.yaml')
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all('wrong.yaml: ' in line for line in lines)
    assert any('model.widht: is not a known key; did you mean width?' in line for line in lines)
    assert any('model.width: is missing' in line for line in lines)
    assert any('run.seed: found -1' in line for line in lines)


@pytest.mark.parametrize('text, message', [
    ('name: [', 'is not YAML'), ('- 1\n', 'holds no mapping'), ('', 'holds no mapping'),
    ('task: detection\ntask: detection\n', "key 'task' stands twice")])
def test_a_broken_file_is_explained(tmp_path, text, message):
    """Not YAML, not a mapping, empty, or a key given twice."""
    (tmp_path / 'broken.yaml').write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(tmp_path / 'broken.yaml')


def test_a_missing_file_is_explained(tmp_path):
    """A mistyped path is the user's error, not a traceback."""
    with pytest.raises(InputError, match='cannot be read'):
        load_config(tmp_path / 'nothing.yaml')


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / 'base.yaml').write_text(RUN.read_text())
    content = {'name': 'table', 'base': 'base.yaml', 'seeds': [0, 3],
               'paper': {'source': 'Table 2', 'reported': {}, 'assumptions': []},
               'runs': {'k8': {'set': {'workers': 8}, 'paper': {'map_percent': 78.7}},
                        'k16': {'set': {'workers': 16}, 'paper': {}}}}
    path = tmp_path / 'table.yaml'
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_a_row_of_a_sweep_is_its_base_with_the_differences(sweep):
    """Only what the row sets differs, and the paper's values are the row's."""
    assert rows(sweep) == ['k8', 'k16']
    config = load_config(sweep, row='k8', overrides=['run.seed=3'])
    assert config.name == 'table/k8/seed_3'
    assert seeds(sweep) == [0, 3] and seeds(RUN) == [0]
    assert config.paper.reported == {'map_percent': 78.7}
    changed = differences(config, load_config(RUN))
    assert {key for key in changed if not key.startswith(('paper', 'name'))} == \
        {'workers', 'run.seed'}


@pytest.mark.parametrize('row, message', [(None, 'choose a row with --run; rows|rows: k8, k16'),
                                          ('k9', 'no row k9; rows: k8, k16')])
def test_a_missing_row_lists_the_rows(sweep, row, message):
    """The user sees what can be chosen."""
    with pytest.raises(InputError, match=message):
        load_config(sweep, row=row)


def test_a_row_of_a_single_run_is_an_error():
    """--run is refused where there is nothing to choose."""
    with pytest.raises(InputError, match='has no rows'):
        load_config(RUN, row='k8')


def test_a_wrong_key_in_a_row_names_the_row(sweep):
    """A misspelt dotted key under set is found before anything runs."""
    sweep.write_text(sweep.read_text().replace('workers: 16', 'wokers: 16'))
    with pytest.raises(InputError, match='runs.k16.set: wokers: is not a known key; did you mean'):
        load_config(sweep, row='k16')


def change(sweep, **changes):
    content = yaml.safe_load(sweep.read_text())
    sweep.write_text(yaml.safe_dump(content | changes, sort_keys=False))
    return sweep


def test_rows_share_what_the_sweep_sets(sweep):
    """The sweep's differences hold in every row, and a row's own win over them."""
    change(sweep, set={'schedule.epochs': 7, 'workers': 4})
    first, second = (load_config(sweep, row=row) for row in ('k8', 'k16'))
    assert (first.schedule.epochs, second.schedule.epochs) == (7, 7)
    assert (first.workers, second.workers) == (8, 16)
    change(sweep, set={'schedule.epoch': 7})
    with pytest.raises(InputError, match='table.yaml: set: schedule.epoch: is not a known key'):
        load_config(sweep, row='k8')


def test_a_row_lists_the_assumptions_of_its_base_too(sweep):
    """Whoever reads a resolved file sees every open point that it decides."""
    content = yaml.safe_load(sweep.read_text())
    change(sweep, paper=content['paper'] | {'assumptions': ['of the sweep']})
    assumptions = load_config(sweep, row='k8').paper.assumptions
    assert assumptions == [*load_config(RUN).paper.assumptions, 'of the sweep']


def test_a_row_may_have_another_base(sweep):
    """Two models stand in one table: the row's base replaces the sweep's, wholly."""
    text = RUN.read_text().replace('name: yolo_v3', 'name: yolo_v2').replace(
        'ignore_thresh: 0.5', 'ignore_thresh: 0.6')
    (sweep.parent / 'other.yaml').write_text(text)
    change(sweep, base=None, runs={
        'v2': {'base': 'other.yaml', 'set': {'workers': 8}, 'paper': {}},
        'v3': {'base': 'base.yaml', 'set': {'workers': 8}, 'paper': {}}})
    v2, v3 = (load_config(sweep, row=row) for row in ('v2', 'v3'))
    assert {key for key in differences(v2, v3) if key != 'name'} == {
        'model.name', 'model.ignore_thresh'}


def test_a_row_may_show_the_run_of_another_experiment(sweep):
    """It is that run, name and directory included, so nothing is trained twice."""
    figure = sweep.parent / 'figure.yaml'
    figure.write_text(yaml.safe_dump({
        'name': 'figure', 'base': None, 'seeds': [0],
        'paper': {'source': 'Fig. 6', 'reported': {}, 'assumptions': []},
        'runs': {'curve': {'same_as': 'table/k8'}}}))
    assert rows(figure) == ['curve']
    overrides = ['run.seed=3', 'schedule.epochs=7']
    shown = load_config(figure, row='curve', overrides=overrides)
    assert shown == load_config(sweep, row='k8', overrides=overrides)
    assert shown.name == 'table/k8/seed_3' and shown.schedule.epochs == 7


@pytest.mark.parametrize('runs, message', [
    ({'a': {'same_as': 'table/k8', 'set': {}}}, 'runs.a: same_as shows a run as another '
                                                'experiment defines it; leave set out'),
    ({'a': {'set': {}}}, 'runs.a: paper is missing; a row has set and paper, or same_as'),
    ({'a': {'set': {}, 'paper': {}}}, 'base is null, but runs.a needs one'),
    ({'a': {'same_as': 'table/k9'}}, 'runs.a.same_as: no row k9; rows: k8, k16'),
    ({'a': {'same_as': 'table'}}, "runs.a.same_as: found 'table'; expected sweep/row"),
    ({'a': {'same_as': 'base/k8'}}, "runs.a.same_as: found 'base/k8'; expected sweep/row"),
    ({'a': {'same_as': 'nothing/k8'}}, 'nothing.yaml: cannot be read'),
    ({'a': {'same_as': 'figure/b'}, 'b': {'same_as': 'table/k8'}},
     'runs.a.same_as: figure/b is itself shown from another experiment'),
])
def test_a_wrong_row_is_explained(sweep, runs, message):
    """A row is one of the two kinds, and what it shows exists and is defined there."""
    figure = sweep.parent / 'figure.yaml'
    figure.write_text(yaml.safe_dump({
        'name': 'figure', 'base': None, 'seeds': [0],
        'paper': {'source': 'Fig. 6', 'reported': {}, 'assumptions': []}, 'runs': runs}))
    with pytest.raises(InputError) as caught:
        load_config(figure, row='a')
    assert message in str(caught.value)


NO_NAMES = ['a\nrm -rf b', 'a\rb', 'a\u2028b', 'a\x1b[2J', '../a', 'a/../b', '/tmp/a', 'a//b',
            'a/', '.', '..', '', ' a', 'a ', '-rf', 'a/-b', 'a\\b', 'n' * 201]


@pytest.mark.parametrize('name', NO_NAMES)
def test_a_name_is_one_folder_below_results(tmp_path, name):
    """A name is neither shell code nor a way out of the results; nor is a row's."""
    content = yaml.safe_load(RUN.read_text())
    (tmp_path / 'run.yaml').write_text(yaml.safe_dump(content | {'name': name}))
    with pytest.raises(InputError, match='name: .*expected a name that can be a folder'):
        load_config(tmp_path / 'run.yaml')
    sweep = yaml.safe_load((EXPERIMENTS / 'table2.yaml').read_text())
    for change in ({'name': name}, {'runs': {name: sweep['runs']['yolo_v3_k8']}}):
        (tmp_path / 'sweep.yaml').write_text(yaml.safe_dump(sweep | change))
        with pytest.raises(InputError, match='expected (a name that can be a folder|one name)'):
            load_config(tmp_path / 'sweep.yaml', row=name)


@pytest.mark.parametrize('name', ['sweep/row/seed_0', 'a b', 'mAP_50%', '$x', 'Käfer', 'a.b'])
def test_other_names_are_the_users_own(tmp_path, name):
    """What is printable and stays in its folder is allowed."""
    content = yaml.safe_load(RUN.read_text())
    (tmp_path / 'run.yaml').write_text(yaml.safe_dump(content | {'name': name}))
    assert load_config(tmp_path / 'run.yaml').name == name
