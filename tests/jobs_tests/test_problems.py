"""What is wrong is said before any job is queued."""

import os

import pytest

from yolo_dist.config import dump_config, load_config
from yolo_dist.errors import InputError
from yolo_dist.jobs.prerequisites import missing_prerequisites
from yolo_dist.submit import main


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Stand-ins for sbatch and squeue: what was submitted, and what they say is queued."""
    programs = tmp_path / 'programs'
    programs.mkdir()
    for name, text in (('sbatch', f'echo "$@" >> {tmp_path}/submitted; echo 7'),
                       ('squeue', f'cat {tmp_path}/queued 2>/dev/null || true')):
        (programs / name).write_text(f'#!/bin/sh\n{text}\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{programs}:{os.environ["PATH"]}')
    monkeypatch.chdir(tmp_path)

    def queue():
        submitted = tmp_path / 'submitted'
        return submitted.read_text().splitlines() if submitted.exists() else []
    return queue


@pytest.fixture
def refused(queue, tmp_path, experiment, small, write_site):
    """Message with which a small row is refused, after a look that nothing was queued."""
    site = write_site('slurm')

    def refused(*arguments, run='yolo_v3_k8', overrides=('workers=2',)):
        before = queue()
        with pytest.raises(InputError) as caught:
            main([str(experiment), '--run', run, '--site', str(site), *small(*overrides),
                  *arguments])
        assert queue() == before
        return str(caught.value)
    return refused


def test_a_row_is_submitted_once(queue, tmp_path, experiment, small, write_site, refused, capsys):
    """The first submission is queued; while it waits or runs a second one is an error."""
    submission = [str(experiment), '--run', 'yolo_v3_k8', '--site', str(write_site('slurm')),
                  *small('workers=2')]
    assert main(submission) == 0
    assert len(queue()) == 1 and '/job.sh' in queue()[0]
    assert capsys.readouterr().out == 'table2/yolo_v3_k8/seed_0: job 7\n'
    for word, state in (('PENDING', 'waiting'), ('RUNNING', 'running')):
        (tmp_path / 'queued').write_text(f'6 RUNNING\n7 {word}\n')
        assert f'yolo_v3_k8/seed_0: is {state} already (job 7, {word})' in refused()
    # Another seed is another run; a job that has gone may be submitted again.
    assert main([*submission, '--seed', '1']) == 0
    (tmp_path / 'queued').write_text('')
    assert main(submission) == 0
    assert len(queue()) == 3


def test_all_rows_or_none(queue, tmp_path, experiment, small, write_site):
    """One row that cannot be queued keeps back the others, too."""
    directory = tmp_path / 'results/table2/yolo_v3_k64/seed_0'
    directory.mkdir(parents=True)
    (directory / 'weights_final.npz').touch()
    with pytest.raises(InputError, match='nothing was submitted:\n.*yolo_v3_k64.*config.yaml'):
        main([str(experiment), '--site', str(write_site('slurm')), *small('workers=2')])
    assert queue() == []


def test_what_is_done_is_left_alone(queue, tmp_path, experiment, small, write_site, capsys):
    """Neither a done nor a diverged run is queued again, and that is no error."""
    for row, state in (('yolo_v3_k8', 'done'), ('yolo_v3_k16', 'diverged')):
        directory = tmp_path / f'results/table2/{row}/seed_0'
        directory.mkdir(parents=True)
        (directory / 'config.yaml').touch()
        (directory / 'status.json').write_text(f'{{"state": "{state}"}}')
    assert main([str(experiment), '--site', str(write_site('slurm')), *small('workers=2')]) == 0
    assert len(queue()) == 10
    out = capsys.readouterr().out
    assert 'yolo_v3_k8/seed_0: done already' in out
    assert 'yolo_v3_k16/seed_0: diverged already' in out


@pytest.mark.parametrize('overrides, message', [
    (['workers=3'], 'k = 3 workers cannot be divided among nodes of test_slurm, which have 2'),
    (['workers=8'], 'k = 8 workers need 4 nodes with 2 GPUs each, but a job of test_slurm gets at '
                    'most 2'),
    (['workers=2', 'data.root=nowhere', 'data.n_synthetic_examples=null'], 'nowhere'),
    (['workers=2', 'model.pretrained=elsewhere.npz'], 'model.pretrained: there is no elsewhere'),
    (['workers=2', 'model.pretrained="{results}/fig3/darknet53_k256/seed_0/weights_final.npz"'],
     'the run fig3/darknet53_k256/seed_0 writes it: train that run first '
     '(experiments/fig3.yaml --run darknet53_k256)'),
    (['workers=2', 'run.seed=3'], 'choose it by --seed'),
    (['workers=2', 'model.widht=1'], 'did you mean width?'),
])
def test_what_does_not_fit_or_is_missing(refused, overrides, message):
    """Each with what to do about it."""
    assert message in refused(overrides=overrides)


def test_an_unknown_row_names_the_known_ones(refused):
    """The message lists the rows."""
    assert 'no row yolo_v3_k7; rows: yolo_v2_k8, yolo_v2_k16' in refused(run='yolo_v3_k7')


@pytest.mark.parametrize('files, message', [
    ({'weights_final.npz': ''}, 'holds weights_final.npz but no config.yaml'),
    ({'config.yaml': '', 'status.json': '{"state": '}, 'status.json: is not JSON'),
    ({'config.yaml': '', 'status.json': '[]'}, 'status.json: cannot be understood'),
    ({'job.json': '{"job_id": "3"}'}, 'job.json: cannot be understood'),
])
def test_a_half_written_result_directory(refused, tmp_path, files, message):
    """It is named, with what to do; it is not written to."""
    directory = tmp_path / 'results/table2/yolo_v3_k8/seed_0'
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    assert message in refused()
    assert {path.name for path in directory.iterdir()} == set(files)


def test_a_run_of_another_configuration_is_not_continued(refused, tmp_path, experiment, small):
    """What `train --resume` would refuse is refused before it waits in a queue."""
    directory = tmp_path / 'results/table2/yolo_v3_k8/seed_0'
    directory.mkdir(parents=True)
    config = load_config(experiment, row='yolo_v3_k8', overrides=small('workers=2')[1::2])
    (directory / 'config.yaml').write_text(dump_config(config))
    (directory / 'status.json').write_text('{"state": "stopped"}')
    assert 'optimizer.base_lr' in refused(overrides=['workers=2', 'optimizer.base_lr=0.5'])


def test_a_missing_scheduler_is_an_error(tmp_path, monkeypatch, experiment, small, write_site):
    """Told before anything is written."""
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match='sbatch: no such command here'):
        main([str(experiment), '--run', 'yolo_v3_k8', '--site', str(write_site('slurm')),
              *small('workers=2')])
    assert not (tmp_path / 'results').exists()


def test_a_refusal_of_the_scheduler_is_shown(queue, tmp_path, experiment, small, write_site):
    """Its own words, and no job on record."""
    sbatch = tmp_path / 'programs/sbatch'
    sbatch.write_text('#!/bin/sh\necho "invalid partition specified: none" >&2\nexit 1\n')
    with pytest.raises(InputError, match='sbatch failed with status 1: invalid partition'):
        main([str(experiment), '--run', 'yolo_v3_k8', '--site', str(write_site('slurm')),
              *small('workers=2')])
    assert not list(tmp_path.glob('results/**/job.json'))


@pytest.mark.parametrize('arguments, message', [
    ([], 'choose a machine by --site: abci_2018, abci_3, slurm, workstation'),
    (['--site', 'slurm', '--scheduler', 'pbs'], 'site slurm has scheduler slurm'),
    (['--site', 'tsubame'], 'one of the ready sites'),
    (['--scheduler', 'lsf'], "invalid choice: 'lsf'"),
])
def test_a_site_has_to_be_chosen(experiment, arguments, message):
    """One machine, named once."""
    with pytest.raises(InputError) as caught:
        main([str(experiment), *arguments])
    assert message in str(caught.value)


def test_prerequisites_are_all_named(experiment):
    """Data and weights that are missing are two messages; made data need no folder."""
    config = load_config(experiment, row='yolo_v3_k8', overrides=['data.root=nowhere'],
                         results='some/results')
    missing = missing_prerequisites(config, results='some/results')
    assert [message.split(': ')[0] for message in missing] == ['data.root', 'model.pretrained']
    synthetic = load_config(experiment, row='yolo_v3_k8', overrides=[
        'data.root=nowhere', 'data.n_synthetic_examples=100', 'model.pretrained=null'])
    assert missing_prerequisites(synthetic, results='results') == []


def test_a_pbs_job_submits_its_successor(queue, tmp_path, experiment, small, write_site,
                                         monkeypatch, read):
    """While it runs, nobody else can submit the row; the job itself can, before it ends."""
    programs = tmp_path / 'programs'
    for name, text in (('qsub', 'echo 8.server'), ('qstat', 'cat queued')):
        (programs / name).write_text(f'#!/bin/sh\n{text}\n')
        (programs / name).chmod(0o755)
    (tmp_path / 'queued').write_text('')
    submission = [str(experiment), '--run', 'yolo_v3_k8', '--site', str(write_site('pbs')),
                  *small('workers=2')]
    assert main(submission) == 0
    (tmp_path / 'queued').write_text('8.server    row    user    00:00:01 R queue\n')
    with pytest.raises(InputError, match=r'is running already \(job 8, R\)'):
        main(submission)
    monkeypatch.setenv('PBS_JOBID', '8.server')
    (programs / 'qsub').write_text('#!/bin/sh\necho 9.server\n')
    assert main(submission) == 0
    assert read(tmp_path / 'results/table2/yolo_v3_k8/seed_0/job.json')['job_id'] == '9'
