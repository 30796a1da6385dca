"""What the report says of runs in every state."""

import json
import pathlib

import pytest

from yolo_dist import report
from yolo_dist.config import dump_config, load_config
from yolo_dist.errors import InputError

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
    (directory / 'examples.png').write_bytes(b'picture')
    report.main([str(directory), '--out', str(tmp_path / 'out')])
    assert (tmp_path / 'out/examples_done.png').read_bytes() == b'picture'
    assert '![examples](examples_done.png)' in (tmp_path / 'out/report.md').read_text()


@pytest.mark.parametrize('source, message', [
    ('.', 'is not a run directory'), ('nothing.yaml', 'cannot be read')])
def test_what_is_no_run_is_named(tmp_path, monkeypatch, source, message):
    """A folder without a run, and a file that is not there."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        report.main([source])
