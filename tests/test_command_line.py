"""What all commands do with options."""
import pytest

from yolo_dist import bench, evaluate, pack_data, report, submit, train
from yolo_dist.command_line import run_serial
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
    (submit, [RUN, '--status', '--dry-run'], 'remove --dry-run'),
    (submit, [RUN, '--status', '--scheduler', 'slurm'], 'remove --dry-run')])
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


def _refused():
    open('/proc/no/such/place', 'w')


def _interrupted():
    raise KeyboardInterrupt


def _defect():
    raise OSError('no file is named')


@pytest.mark.parametrize('main, status, expected', [
    (_refused, 2, 'error: /proc/no/such/place: No such file or directory; name a place'),
    (_interrupted, 130, 'interrupted')])
def test_what_the_system_or_the_user_stops_is_one_line(main, status, expected, capsys):
    """A place that cannot be written and Ctrl-C end a tool without a traceback."""
    with pytest.raises(SystemExit) as ended:
        run_serial(main)
    assert ended.value.code == status
    told = capsys.readouterr().err
    assert told.startswith(expected) and told.count('\n') == 1


def test_a_defect_keeps_its_traceback():
    """An error that names no file is not the user's."""
    with pytest.raises(OSError, match='no file is named'):
        run_serial(_defect)


@pytest.mark.parametrize('environment', [
    {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'},
    {'PYTHONIOENCODING': 'latin-1'}, {'LC_ALL': 'C.UTF-8'}])
def test_every_locale_is_utf_8(python, tmp_path, environment):
    """Arguments, file names and what is printed: the same bytes whatever the locale says."""
    script = tmp_path / 'tool.py'
    script.write_text(
        'import pathlib, sys\n'
        'from yolo_dist.command_line import run_serial\n'
        'def main():\n'
        '    pathlib.Path(sys.argv[1]).write_text(sys.argv[1])\n'
        '    print(ascii(pathlib.Path(sys.argv[1]).name), "\\ud800")\n'
        'run_serial(main)\n')
    path = tmp_path / '\u732b\u00e9'
    done = python(script, path, env=environment)
    assert done.returncode == 0, done.stderr
    assert path.read_text(encoding='utf-8') == str(path)
    assert done.stdout.startswith("'\\u732b\\xe9' ")


def test_no_file_is_opened_in_the_encoding_of_the_locale():
    """Every text that the package reads or writes names its encoding."""
    import ast
    import pathlib

    import yolo_dist
    for path in pathlib.Path(yolo_dist.__file__).parent.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            text = ast.unparse(node)
            if name in ('read_text', 'write_text') or name == 'open' and (
                    isinstance(node.func, ast.Name) and "b'" not in text):
                assert 'encoding=' in text, f'{path}: {text}'
            assert name not in ('run', 'Popen') or 'text=True' not in text, f'{path}: {text}'
