"""The state of a run, from its directory and the scheduler's word."""

import json
import pathlib
import platform

import pytest

from yolo_dist.errors import InputError
from yolo_dist.jobs import SCHEDULERS, record_job, run_state
from yolo_dist.submit import main
from yolo_dist.whole_files import write_whole


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / 'results/table2/yolo_v3_k8/seed_0'
    path.mkdir(parents=True)
    return path


def write(directory, state, **details):
    (directory / 'config.yaml').touch()
    (directory / 'status.json').write_text(json.dumps({'state': state, **details}))


GONE, WAITS, RUNS = {}, {'5': ('waiting', 'PD')}, {'5': ('running', 'R')}


@pytest.mark.parametrize('written, jobs, state, is_active', [
    (None, WAITS, 'waiting', True),
    (None, RUNS, 'running', True),
    ('running', RUNS, 'running', True),
    ('stopped', WAITS, 'stopped', True),
    ('running', WAITS, 'stopped', True),  # requeued after its node died
    ('stopped', RUNS, 'running', True),
    ('stopped', GONE, 'stopped', False),
    ('running', GONE, 'failed', False),  # killed
    (None, GONE, 'failed', False),  # ended before training
    ('failed', GONE, 'failed', False),
    ('done', GONE, 'done', False),
    ('done', RUNS, 'done', False),  # the job is about to end
    ('diverged', GONE, 'diverged', False),
    ('running', None, 'running', True),  # no scheduler to ask
    (None, None, 'waiting', True),
])
def test_state_of_a_submitted_run(directory, written, jobs, state, is_active):
    """The scheduler says whether there is a job, status.json what it has done."""
    if written is not None:
        write(directory, written)
    record_job(directory, job_id='5', scheduler='slurm', command=['sbatch', 'job.sh'])
    found = run_state(directory, {'slurm': jobs})
    assert (found.state, found.is_active, found.job_id) == (state, is_active, '5')


def test_state_without_a_job(tmp_path, directory):
    """A run started by hand has its own word; what was never started has none."""
    assert run_state(tmp_path / 'nowhere').state == 'not submitted'
    assert run_state(directory).state == 'not submitted'
    write(directory, 'running')
    assert run_state(directory).is_active
    write(directory, 'failed', reason='OSError: no space\nleft')
    found = run_state(directory)
    assert (found.state, found.is_active, found.note) == ('failed', False, 'OSError: no space')


def test_a_local_job_on_another_machine_is_not_asked_for(directory):
    """Process numbers mean nothing elsewhere: the last word holds."""
    write(directory, 'running')
    record_job(directory, job_id='x:1', scheduler='local', command=['bash', 'job.sh'])
    assert run_state(directory).state == 'failed'
    record = json.loads((directory / 'job.json').read_text())
    assert record['host'] == platform.node()
    (directory / 'job.json').write_text(json.dumps(record | {'host': 'elsewhere'}))
    found = run_state(directory)
    assert (found.state, found.is_active) == ('running', True)


@pytest.mark.parametrize('scheduler, listing, expected', [
    ('slurm', '12 PENDING\n13 RUNNING\n14 COMPLETING\n',
     {'12': 'waiting', '13': 'running', '14': 'running'}),
    # As in ABCI's user guides.
    ('uge', """\
job-ID     prior   name       user         state submit/start at     queue           jclass  slots
--------------------------------------------------------------------------------------------------
     12345 0.25586 run.sh     username     r     06/27/2018 21:14:49 gpu@g0001                  80
     12346 0.00000 run.sh     username     qw    06/27/2018 21:14:49                            80
     12347 0.00000 run.sh     username     hqw   06/27/2018 21:14:49                            80
     12348 0.00000 run.sh     username     Rq    06/27/2018 21:14:49                            80
     12349 0.00000 run.sh     username     Rr    06/27/2018 21:14:49 gpu@g0001                  80
""", {'12345': 'running', '12346': 'waiting', '12347': 'waiting', '12348': 'waiting',
      '12349': 'running'}),
    ('pbs', """\
Job id                 Name             User              Time Use S Queue
---------------------  ---------------- ----------------  -------- - -----
12345.pbs1             run.sh           username          00:01:23 R rt_HF
12346.pbs1             run.sh           username                 0 Q rt_HF
12347.pbs1             run.sh           username                 0 H rt_HF
12348.pbs1             run.sh           username          00:01:23 F rt_HF
""", {'12345': 'running', '12346': 'waiting', '12347': 'waiting'}),
])
def test_the_schedulers_lists_are_read(scheduler, listing, expected):
    """What waits and what runs; finished jobs and headings are neither."""
    parsed = dict(SCHEDULERS[scheduler]._parse(listing.splitlines()))
    assert {job_id: state for job_id, (state, _) in parsed.items()} == expected


@pytest.mark.parametrize('scheduler, output, job_id', [
    ('slurm', '12;cluster\n', '12'), ('slurm', '12\n', '12'),
    ('uge', '12345\n', '12345'), ('pbs', '1234.pbs1\n', '1234')])
def test_the_job_id_is_read(scheduler, output, job_id):
    """Of what the submission prints."""
    assert SCHEDULERS[scheduler]._job_id(output) == job_id


def test_status_of_an_experiment(tmp_path, directory, experiment, capsys, monkeypatch):
    """A line for each row, and the sums; seeds as they are asked for."""
    monkeypatch.chdir(tmp_path)
    write(directory, 'done', metrics={'val/map_percent': 78.66})
    assert main([str(experiment), '--status']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert lines[-1] == '11 not submitted, 1 done'
    assert 'table2/yolo_v3_k8/seed_0    done           -  map_percent 78.7' in lines
    assert main([str(experiment), '--status', '--run', 'yolo_v3_k8', '--seed', '4']) == 0
    assert capsys.readouterr().out.split() == [
        'table2/yolo_v3_k8/seed_4', 'not', 'submitted', '-', '1', 'not', 'submitted']


class Silent:
    """A scheduler that does not answer."""

    @staticmethod
    def active_jobs():
        raise InputError('squeue: Unable to contact slurm controller\nsecond line')


def test_what_the_directory_knows_comes_before_a_scheduler_that_does_not_answer(
        directory, monkeypatch):
    """A run that is done is done; others are shown as they were last written."""
    monkeypatch.setitem(SCHEDULERS, 'slurm', Silent)
    record_job(directory, job_id='5', scheduler='slurm', command=['sbatch', 'job.sh'])
    for state in ('done', 'diverged'):
        write(directory, state)
        assert run_state(directory)[:3] == (state, '5', False)
    write(directory, 'stopped')
    found = run_state(directory, must_answer=False)
    assert found.state == 'stopped' and found.note.endswith('Unable to contact slurm controller')
    with pytest.raises(InputError, match='Unable to contact'):  # nothing is submitted twice
        run_state(directory)


def test_a_run_that_is_starting_is_no_broken_copy(directory, monkeypatch):
    """What is being written is passed over, and config.yaml may come while the folder is read."""
    record_job(directory, job_id='5', scheduler='slurm', command=['sbatch', 'job.sh'])
    with write_whole(directory / 'config.yaml') as partial:
        partial.write_text('half')
        assert run_state(directory, {'slurm': RUNS}).state == 'running'
        partial.write_text('whole')

    listed = pathlib.Path.iterdir

    def listed_late(folder):
        yield from [*listed(folder), folder / 'class_names.txt']
    (directory / 'config.yaml').unlink()
    monkeypatch.setattr(pathlib.Path, 'iterdir', listed_late)
    with pytest.raises(InputError, match='holds class_names.txt but no config.yaml'):
        run_state(directory, {'slurm': RUNS})

    def listed_first(folder):
        names = [*listed(folder), folder / 'class_names.txt']
        write(directory, 'running')
        yield from names
    monkeypatch.setattr(pathlib.Path, 'iterdir', listed_first)
    assert run_state(directory, {'slurm': RUNS}).state == 'running'
