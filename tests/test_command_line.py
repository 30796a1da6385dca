"""What all commands do with options."""
import pytest

from yolo_dist import bench, evaluate, pack_data, report, submit, train
from yolo_dist.errors import InputError

RUN = 'experiments/quickstart_darknet19.yaml'


@pytest.mark.parametrize('command, arguments', [
    (train, [RUN, '--pla']), (train, [RUN, '--res']), (evaluate, ['run', '--js', 'x']),
    (report, [RUN, '--o', 'x']), (submit, [RUN, '--dry']), (pack_data, [RUN, 'x', '--ru', 'y']),
    (bench, ['train', '--inp', '64'])])
def test_no_option_is_abbreviated(command, arguments):
    """A part of an option is an error: `train --pla` must not train."""
    with pytest.raises(InputError, match='unrecognized arguments|invalid choice|ambiguous'):
        command.parse_arguments(arguments)


@pytest.mark.parametrize('command, arguments, message', [
    (train, [RUN, '--images-per-second', '5'], 'for --plan'),
    (train, [RUN, '--plan', '--resume'], 'leave one out'),
    (evaluate, ['run', '--set', 'optimizer.base_lr=1.0'], 'only keys of data'),
    (submit, [RUN, '--status', '--dry-run'], 'leave --dry-run'),
    (submit, [RUN, '--status', '--scheduler', 'slurm'], 'leave --dry-run')])
def test_no_option_is_ignored(command, arguments, message):
    """An option that would have no effect is an error that says so."""
    with pytest.raises(InputError, match=message):
        command.parse_arguments(arguments)


def test_a_site_without_a_speed_up_is_refused(tmp_path):
    """--site changes nothing where no speed-up is drawn."""
    with pytest.raises(InputError, match='for fig5 and fig7 only'):
        report.main([RUN, '--site', 'abci_2018', '--out', str(tmp_path / 'out')])
    assert not (tmp_path / 'out').exists()


def test_main_does_not_train_for_a_plan():
    """A plan asked for from Python starts nothing."""
    with pytest.raises(InputError, match='call print_plan'):
        train.main([RUN, '--plan'])


@pytest.mark.parametrize('value', ['0', '-3', 'nan', 'inf', 'fast'])
def test_a_speed_is_a_finite_number_above_0(value):
    """Hours are not computed from what is no speed."""
    with pytest.raises(InputError, match=f'found {value}, expected a finite number above 0'):
        train.parse_arguments([RUN, '--plan', f'--images-per-second={value}'])
