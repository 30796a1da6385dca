"""What the report says of runs in every state."""

import csv
import json
import pathlib
import re
import shutil

import numpy as np
import pytest

from yolo_dist import report
from yolo_dist.config import dump_config, load_config
from yolo_dist.config.sites import load_site
from yolo_dist.errors import InputError
from yolo_dist.evaluators import detection_details

RECORDS = pathlib.Path(__file__).parent / 'report_records'
FIGURES = ('table2', 'fig3', 'fig4', 'fig5', 'fig6', 'fig7')
EXPERIMENT = pathlib.Path(__file__).parent.parent / 'experiments/quickstart_yolo_v3.yaml'


@pytest.fixture
def write_run(tmp_path):
    """Writes a run directory as far as a report reads it."""
    def write_run(name, status, log=(), overrides=()):
        directory = tmp_path / 'results' / name
        directory.mkdir(parents=True)
        config = load_config(EXPERIMENT, overrides=[f'name={name}', *overrides])
        (directory / 'config.yaml').write_text(dump_config(config))
        (directory / 'status.json').write_text(json.dumps(status))
        (directory / 'log.json').write_text(json.dumps(list(log)))
        return str(directory)
    return write_run


def rows(text):
    return [[cell.strip() for cell in line.strip('|').split('|')]
            for line in text.splitlines() if line.startswith('|')][2:]


def test_paper_and_ours_stand_side_by_side(write_run, tmp_path, capsys):
    """A done run shows both numbers and their difference; others claim no number."""
    paper = ['paper.reported={map_percent: 78.7}']
    log = [{'epoch_detail': 1.0, 'train/loss': 3.0, 'lr': 0.1, 'val/map_percent': 80.0}]
    done = write_run('done', {'state': 'done', 'metrics': {'val/map_percent': 80.0}}, log, paper)
    diverged = write_run('diverged', {'state': 'diverged'}, overrides=paper)
    running = write_run('running', {'state': 'running'})
    assert report.main([done, diverged, running, '--out', str(tmp_path / 'out')]) == 0
    printed = rows(capsys.readouterr().out)
    assert printed == [
        ['done', '2', '16', 'map_percent', '78.7', '80.0', '+1.3', 'done'],
        ['diverged', '2', '16', 'map_percent', '78.7', '-', '-', 'diverged'],
        ['running', '2', '16', '-', '-', '-', '-', 'running']]
    written = (tmp_path / 'out/report.md').read_text()
    assert rows(written) == printed
    assert '![curves_detection](curves_detection.png)' in written
    assert (tmp_path / 'out/curves_detection.png').read_bytes().startswith(b'\x89PNG')


def test_an_experiment_that_nobody_ran_is_not_run(tmp_path, capsys):
    """An honest entry, and no empty picture."""
    report.main([str(EXPERIMENT), '--results', str(tmp_path), '--out', str(tmp_path / 'out')])
    assert rows(capsys.readouterr().out) == [
        ['quickstart_yolo_v3', '2', '16', '-', '-', 'not run', '-', 'not run']]
    assert not list((tmp_path / 'out').glob('*.png'))


def test_example_pictures_are_copied(write_run, tmp_path):
    """What `evaluate` drew in a run directory is part of the report."""
    directory = pathlib.Path(write_run('done', {'state': 'done', 'metrics': {}}))
    (directory / 'evaluation').mkdir()
    (directory / 'evaluation/examples.png').write_bytes(b'picture')
    report.main([str(directory), '--out', str(tmp_path / 'out')])
    assert (tmp_path / 'out/examples_done.png').read_bytes() == b'picture'
    assert '![examples](<examples_done.png>)' in (tmp_path / 'out/report.md').read_text()


def test_classes_of_the_last_evaluation_are_listed(write_run, tmp_path):
    """AP in both metrics and counts, `-` for a class without objects."""
    directory = pathlib.Path(write_run('done', {'state': 'done', 'metrics': {}}))
    (directory / 'evaluation').mkdir()
    box, label, is_difficult = np.array([[0, 0, 9, 9]], 'f'), np.array([0]), np.array([False])
    details = detection_details([(box, label, np.array([0.5], 'f'), box, label, is_difficult)],
                                ['a', 'b'])
    (directory / 'evaluation/details.json').write_text(json.dumps(details))
    report.main([str(directory), '--out', str(tmp_path / 'out')])
    text = (tmp_path / 'out/report.md').read_text()
    assert '| a | 1 | 100.0 | 100.0 | 1 | 0 | 0 |' in text
    assert '| b | 0 | - | - | 0 | 0 | 0 |' in text
    assert '| mAP |  | 100.0 | 100.0 |  |  |  |' in text


@pytest.mark.parametrize('arguments, message', [
    (['.'], 'is not a run directory'), (['nothing.yaml'], 'cannot be read'), ([], 'required'),
    ([str(EXPERIMENT), '--site', 'nowhere'], 'site nowhere: there is no')])
def test_what_is_no_run_is_named(tmp_path, monkeypatch, arguments, message):
    """A folder without a run, a file that is not there, nothing at all, an unknown machine."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        report.main(arguments)
    assert not (tmp_path / 'report').exists()


@pytest.fixture(scope='module')
def expected_report(tmp_path_factory):
    """The report of the committed records, written anew; see tests/make_report_records.py."""
    out = tmp_path_factory.mktemp('report') / 'out'
    sources = [str(RECORDS / f'experiments/{name}.yaml') for name in FIGURES]
    assert report.main([*sources, '--results', str(RECORDS / 'results'),
                        '--site', str(RECORDS / 'site.yaml'), '--out', str(out)]) == 0
    return out


@pytest.mark.parametrize('name', ['report.md', *(f'{name}.csv' for name in FIGURES)])
def test_the_report_of_real_records(expected_report, name):
    """Word for word what was read and committed."""
    assert (expected_report / name).read_text() == (RECORDS / 'expected' / name).read_text()


def test_every_figure_is_written_twice_and_shown(expected_report):
    """As PNG and as SVG, and nothing else than what report.md names."""
    text = (expected_report / 'report.md').read_text()
    written = {path.name for path in expected_report.iterdir()} - {'report.md'}
    assert written == {f'{name}.{kind}' for name in FIGURES for kind in ('png', 'svg', 'csv')}
    for name in FIGURES:
        assert f'![{name}]({name}.png)' in text and f'[{name}.csv]({name}.csv)' in text


def test_records_hold_no_weights_no_paths_and_no_hosts():
    """What is committed is small, and says nothing of the machine but its kind."""
    files = [path for path in RECORDS.rglob('*') if path.is_file()]
    assert {path.suffix for path in files} == {'.yaml', '.json', '.md', '.csv'}
    assert sum(path.stat().st_size for path in files) < 400_000
    for path in (RECORDS / 'results').rglob('*.*'):
        if path.is_file():
            assert 'hostname' not in path.read_text()
            assert not re.search(r'(root|pretrained): /', path.read_text())


def test_table_2_says_what_its_rows_are(expected_report):
    """The numbers of the paper in its own columns, and a state where there is no number."""
    lines = (expected_report / 'report.md').read_text().splitlines()
    start = lines.index('## Table 2: mAP on Pascal VOC') + 2
    table = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in lines[start:start + 9]]
    assert table[0][2:] == ['8', '16', '32', '64', '96', '128']
    assert table[2][2:] == ['128', '256', '512', '1,024', '1,536', '2,048']
    assert table[3] == ['YOLOv2', 'paper', '78.1', '78.1', '78.0', '75.5', '0.3', '-']
    assert table[6] == ['YOLOv3', 'paper', '78.7', '78.7', '78.2', '77.3', '76.3', '65.8']
    assert table[4][6:] == ['diverged', 'not run']
    assert '(3 seeds)' in table[7][2] and table[7][6].startswith('stopped, epoch')


def test_csv_has_a_line_for_each_seed_and_a_mean(expected_report):
    """The mean is that of the seeds, over as many as are done."""
    with open(expected_report / 'table2.csv', newline='') as file:
        lines = [line for line in csv.DictReader(file) if line['row'] == 'yolo_v3_k8']
    *seeds, mean = lines
    assert [line['seed'] for line in lines] == ['0', '1', '2', 'mean']
    values = [float(line['ours']) for line in seeds]
    assert float(mean['ours']) == pytest.approx(sum(values) / 3, rel=1e-3)
    assert mean['n_seeds'] == '3' and 'model.width=0.03' in seeds[0]['changed_settings']


def test_a_report_of_the_paper_before_any_run(tmp_path, capsys):
    """Every figure is drawn from the experiment files alone."""
    experiments = EXPERIMENT.parent
    assert report.main([*(str(experiments / f'{name}.yaml') for name in ('table2', 'fig6')),
                        '--results', str(tmp_path / 'none'), '--out', str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count('not run') == 12 + 6
    assert (tmp_path / 'table2.svg').exists() and (tmp_path / 'fig6.png').exists()


def test_half_written_directories_are_named(tmp_path, capsys):
    """The report is written all the same, from what can be read."""
    results = tmp_path / 'results'
    shutil.copytree(RECORDS / 'results', results)
    row = results / 'table2/yolo_v3_k8/seed_0'
    (row / 'log.json').write_text((row / 'log.json').read_text()[:100])
    (results / 'table2/yolo_v3_k16/seed_0/status.json').unlink()
    assert report.main([str(RECORDS / 'experiments/table2.yaml'), '--results', str(results),
                        '--out', str(tmp_path / 'out')]) == 0
    printed = capsys.readouterr().out
    assert 'Half-written result directories:' in printed
    assert f'- {row / "log.json"}: is not JSON' in printed
    assert 'yolo_v3_k16/seed_0/status.json: is missing' in printed
    assert 'half written' in printed


def test_the_site_is_that_of_the_model(tmp_path, capsys):
    """Links and GPU of another machine: another prediction, and no fit to the paper's."""
    sources = [str(RECORDS / 'experiments/fig7.yaml'), '--results', str(tmp_path / 'none'),
               '--out', str(tmp_path)]
    report.main([*sources, '--site', 'abci_3'])
    printed = capsys.readouterr().out
    assert 'model, links of abci_3' in printed and 'fitted' not in printed
    assert f'against 1 node of {load_site("abci_3").gpus_per_node}' in printed
