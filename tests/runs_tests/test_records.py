"""What a run directory says, in whatever state it is."""

import json
import pathlib
import shutil

import pytest

from yolo_dist.config import dump_config, load_config
from yolo_dist.errors import InputError
from yolo_dist.runs.records import find_experiment, read_record
from yolo_dist.runs.run_directory import RunDirectory

TESTS = pathlib.Path(__file__).resolve().parents[1]
RECORDS = TESTS / 'report_records'
TABLE2 = RECORDS / 'experiments/table2.yaml'
DONE = 'table2/yolo_v3_k8/seed_0'


@pytest.fixture
def results(tmp_path):
    """A copy of the committed records, to be changed."""
    return shutil.copytree(RECORDS / 'results', tmp_path / 'results')


@pytest.fixture
def planned():
    return load_config(TABLE2, row='yolo_v3_k8')


def test_a_finished_run(results, planned):
    """Metrics of status.json, entries of log.json, the kind of device."""
    record = read_record(results / DONE, planned, row='yolo_v3_k8')
    status = json.loads((results / DONE / 'status.json').read_text())
    assert (record.state, record.row, record.seed) == ('done', 'yolo_v3_k8', 0)
    assert record.metrics == {'map_percent': status['metrics']['val/map_percent']}
    assert len(record.log) == len(json.loads((results / DONE / 'log.json').read_text()))
    assert record.n_training_images == 130
    assert record.device == 'CPU, 2 cores a process'
    assert record.problems == ()


def test_what_a_run_had_instead_of_the_file_settings(results, planned):
    """Values of both; where data lie, how often it was looked at are no settings."""
    record = read_record(results / DONE, planned)
    assert record.changed['model.width'] == (1.0, 0.03)
    assert record.changed['data.input_size_px'] == (608, 64)
    assert not {key for key in record.changed if key.startswith(('run.', 'paper.', 'data.root'))}
    assert read_record(results / DONE).changed == {}


@pytest.mark.parametrize('weights, is_changed', [('elsewhere/weights.npz', False), (None, True)])
def test_the_same_weights_may_lie_elsewhere(results, planned, weights, is_changed):
    """To start from no weights is another experiment."""
    model = planned.model.model_copy(update={'pretrained': weights})
    planned = planned.model_copy(update={'model': model})
    assert ('model.pretrained' in read_record(results / DONE, planned).changed) is is_changed


def test_a_directory_that_waits_for_its_job_is_not_run(tmp_path, planned):
    """Nothing there, or the files of a job that has not begun."""
    assert read_record(tmp_path / 'nothing', planned).state == 'not run'
    (tmp_path / 'job.json').write_text('{}')
    record = read_record(tmp_path, planned)
    assert (record.state, record.config, record.problems) == ('not run', planned, ())


@pytest.mark.parametrize('name, content, state, message', [
    ('status.json', None, 'half written', 'status.json: is missing'),
    ('status.json', '{"state": ', 'half written', 'is not JSON'),
    ('status.json', '{}', 'half written', 'has no state'),
    ('config.yaml', None, 'done', 'config.yaml: cannot be read'),
    ('config.yaml', 'name: a', 'done', 'task: found None'),
    ('log.json', '[{', 'done', 'is not JSON'),
    ('log.json', '{}', 'done', 'is not a list of log entries'),
    ('environment.json', '[{"devices": []}]', 'done', 'does not say what the run ran on'),
    ('throughput.json', '{"n_workers": 2}', 'done', 'n_processes: Field required')])
def test_a_broken_file_is_a_problem_and_no_crash(results, planned, name, content, state, message):
    """The rest of the directory is read, and the file is named."""
    path = results / DONE / name
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
    record = read_record(results / DONE, planned)
    assert record.state == state
    problem, = record.problems
    assert message in problem and str(path) in problem
    assert record.log or name == 'log.json'


@pytest.mark.parametrize('state', ['running', 'stopped', 'diverged', 'failed'])
def test_only_a_finished_run_has_results(results, planned, state):
    """Metrics of an epoch on the way are no result; a bad end has its reason."""
    status = results / DONE / 'status.json'
    status.write_text(json.dumps(json.loads(status.read_text()) | {
        'state': state, 'reason': 'a disk was full'}))
    record = read_record(results / DONE, planned)
    assert (record.state, record.metrics, record.reason) == (state, {}, 'a disk was full')


def test_speed_counts_when_the_run_is_done(results):
    """Quartiles and parts; a run on fewer processes than workers is known as such."""
    one = read_record(results / 'fig5/darknet53_k1/seed_0').throughput
    carried = read_record(results / 'fig5/darknet53_k8/seed_0').throughput
    assert one.is_of_whole_machine and not carried.is_of_whole_machine
    assert (carried.n_workers, carried.n_processes) == (8, 2)
    speed = one.images_per_second
    assert 0 < speed.lower_quartile <= speed.median <= speed.upper_quartile
    status = results / 'fig5/darknet53_k1/seed_0/status.json'
    status.write_text('{"state": "running"}')
    assert read_record(status.parent).throughput is None


def test_an_experiment_has_its_rows_and_all_seeds_that_were_run():
    """Seed 0 belongs to the file, seeds 1 and 2 of one row were run besides."""
    experiment = find_experiment(TABLE2, RECORDS / 'results')
    rows = experiment.rows()
    assert (experiment.name, len(rows)) == ('table2', 12)
    assert [record.seed for record in rows['yolo_v3_k8']] == [0, 1, 2]
    assert [record.state for record in rows['yolo_v3_k16']] == ['done', 'stopped']
    assert [record.seed for record in rows['yolo_v2_k128']] == [0]


def test_a_figure_that_shows_other_runs_reads_their_directories():
    """Fig. 6 is drawn from table 2's runs, fig. 4's Darknet53 from fig. 3's."""
    fig6 = find_experiment(RECORDS / 'experiments/fig6.yaml', RECORDS / 'results')
    assert {record.config.name.split('/')[0] for record in fig6.records} == {'table2'}
    fig4 = find_experiment(RECORDS / 'experiments/fig4.yaml', RECORDS / 'results')
    assert [record.config.name for record in fig4.records] == [
        'fig4/darknet19_k64/seed_0', 'fig3/darknet53_k64/seed_0']


def test_a_run_directory_stands_for_itself():
    """Its name is the run's, so that it is compared and not drawn as the whole figure."""
    experiment = find_experiment(RECORDS / 'results' / DONE, 'elsewhere')
    assert experiment.name == DONE
    assert [record.state for record in experiment.records] == ['done']


def test_the_folder_of_a_whole_sweep_is_no_run():
    """The message says what to give instead."""
    with pytest.raises(InputError, match='is not a run directory .* or an experiment file'):
        find_experiment(RECORDS / 'results/table2', 'results')


@pytest.mark.parametrize('override, is_refused', [
    ('run.measure={warmup_iterations: 1, iterations: 2}', True), ('run.seed=5', True),
    ('data.evaluation.input_size_px=96', True), ('optimizer.momentum=0.8', True),
    ('data.evaluation.batch_size=3', False), ('run.keep_snapshots=9', False),
    ('run.stop_after_epochs=2.0', False), ('data.root=elsewhere', False)])
def test_resume_and_report_agree_on_what_computes(tmp_path, override, is_refused):
    """What --resume refuses the report names, and the other way round."""
    path = TESTS.parent / 'experiments/quickstart_darknet53.yaml'
    planned, other = load_config(path), load_config(path, overrides=[override])
    RunDirectory(tmp_path / 'run', planned).open(['zero', 'one'], n_weight_bytes=0)
    resumed = RunDirectory(tmp_path / 'run', other)
    if is_refused:
        with pytest.raises(InputError, match='another configuration'):
            resumed.check(resume=True)
    else:
        resumed.check(resume=True)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/config.yaml').write_text(dump_config(other))
    assert bool(read_record(tmp_path / 'other', planned).changed) == is_refused
