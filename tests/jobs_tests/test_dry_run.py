"""What is handed to each scheduler, to the letter."""

import pathlib
import subprocess
import sys

import pytest

from yolo_dist.config.sites import REPOSITORY, site_names
from yolo_dist.submit import main

GOLDEN = pathlib.Path(__file__).parent / 'golden'


@pytest.fixture
def dry_run(tmp_path, monkeypatch, capsys):
    """Output of a dry run in an empty folder, without paths of this machine."""
    def dry_run(*arguments):
        (tmp_path / 'experiments').symlink_to(REPOSITORY / 'experiments')
        monkeypatch.chdir(tmp_path)
        assert main([*arguments, '--dry-run']) == 0
        output = capsys.readouterr().out
        for path, stated in ((sys.prefix, '/home/user/yolo_dist/.venv'),
                             (tmp_path.resolve(), '/home/user'),
                             (REPOSITORY, '/home/user/yolo_dist')):
            output = output.replace(str(path), stated)
        return output
    return dry_run


def submissions(output):
    """The lines of each submission; an empty line ends one, but not inside its script."""
    found, lines, is_inside = [], [], False
    for line in output.splitlines():
        is_inside = is_inside and line != 'END_OF_JOB' or line.endswith("<<'END_OF_JOB'")
        if line.startswith('# missing: '):
            continue  # depends on the machine
        if line or is_inside:
            lines.append(line)
        else:
            found.append(lines)
            lines = []
    assert not lines
    return found


def condense(found):
    """The first submission whole, of each other one the lines that the first does not have."""
    first, *others = found
    parts = [first] + [[line for line in lines if line not in first] for lines in others]
    return '\n\n'.join('\n'.join(lines) for lines in parts) + '\n'


@pytest.mark.parametrize('site', site_names())
def test_table_2_is_submitted_as_in_the_golden_file(dry_run, tmp_path, site):
    """12 submissions for each site, command lines and scripts."""
    found = submissions(dry_run('experiments/table2.yaml', '--site', site))
    assert len(found) == 12
    text = condense(found)
    (tmp_path / f'{site}.txt').write_text(text)
    golden = GOLDEN / f'{site}.txt'
    assert text == (golden.read_text() if golden.exists() else ''), tmp_path / f'{site}.txt'


def test_without_a_site_each_ready_one_is_shown(dry_run):
    """The 12 submissions of Table 2 for each site."""
    found = submissions(dry_run('experiments/table2.yaml'))
    assert len(found) == 12 * len(site_names())


def test_the_output_is_a_shell_script(dry_run):
    """A dry run can be read, and run, as what it would do."""
    output = dry_run('experiments/fig7.yaml', '--scheduler', 'slurm',
                     '--set', 'data.n_synthetic_examples=200', '--run', 'yolo_v3_k8')
    assert subprocess.run(['bash', '-n'], input=output, text=True).returncode == 0
    assert '# missing: ' not in output


@pytest.mark.parametrize('site, k, n_nodes, per_node, hours', [
    # By hand: k / GPUs per node; 2,304 node-hours on 128 nodes are 18 hours.
    ('abci_2018', 512, 128, 4, '18:00:00'),
    ('abci_2018', 64, 16, 4, '72:00:00'),
    ('abci_2018', 2, 1, 2, '72:00:00'),
    ('abci_3', 512, 64, 8, None),
    ('workstation', 512, 1, 2, None),
])
def test_nodes_and_time(dry_run, site, k, n_nodes, per_node, hours):
    """k over nodes, and the site's limit where the estimate is above it."""
    output = dry_run('experiments/imagenet_darknet53.yaml', '--site', site, '--set',
                     f'workers={k}', '--set', 'schedule.epochs=20000')
    assert f'n_nodes={n_nodes}\nn_processes={n_nodes * per_node}\n' in output
    assert f'processes_per_node={per_node}\n' in output
    if hours:
        assert f'h_rt={hours}' in output and 'goes on in further jobs' in output
    if site == 'workstation':
        assert '256 workers: the mathematics of 512 GPUs, not their speed' in output


def test_the_time_is_the_estimate_with_its_reserve(dry_run):
    """1.5 times the hours of the operations, and 10 minutes for the warning.

    By hand: 100 epochs of 16,551 images with three forward passes of 139.76 GFLOP each
    (known value at 608 px; 139.57 for 20 classes), and 10 evaluations of 4,952 images with one,
    on 8 A100 of 19.5 TFLOP/s at 40 %: 3.12 hours.
    """
    output = dry_run('experiments/table2.yaml', '--site', 'slurm', '--run', 'yolo_v3_k8')
    operations = 139.6e9 * (3 * 100 * 16_551 + 10 * 4_952)
    hours = operations / (8 * 19.5e12 * 0.4) / 3600
    seconds = 3600 * (1.5 * hours) + 600
    asked = int(output.partition('\nseconds=')[2].split()[0])
    assert asked == pytest.approx(seconds, rel=0.01)
    assert asked % 60 == 0


def test_a_tiny_run_gets_time_to_start(dry_run, mini_voc):
    """A job of seconds asks for a quarter of an hour before its warning, and says its minutes."""
    output = dry_run('experiments/table2.yaml', '--run', 'yolo_v2_k8', '--site', 'slurm',
                     '--set', f'data.root={mini_voc}', '--set', 'data.train=[VOC2007/trainval]',
                     '--set', 'schedule.epochs=0.5', '--set', 'data.batch_size_per_worker=1',
                     '--set', 'schedule.warmup=none', '--set', 'schedule.warmup_epochs=0.0',
                     '--set', 'schedule.decay={kind: constant}')
    seconds, warning = (int(output.partition(f'\n{name}=')[2].split()[0])
                        for name in ('seconds', 'warning_seconds'))
    assert seconds - warning == 15 * 60
    assert 'Estimated 0.00 hours' not in output and ' minutes, asks for 00:25:00' in output
