"""The package works from a wheel, with no checkout around."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """Runs a module of the installed package in an empty folder: ``installed(*argv)``.

    The wheel is built from a copy of the checkout and unpacked by pip, without its dependencies.
    Returns a ``subprocess.CompletedProcess`` with text.
    """
    path = tmp_path_factory.mktemp('installed')
    source = path / 'source'
    source.mkdir()
    for name in ('setup.py', 'pyproject.toml'):
        shutil.copy(ROOT / name, source)
    for name in ('yolo_dist', 'jobs'):
        shutil.copytree(ROOT / name, source / name,
                        ignore=shutil.ignore_patterns('__pycache__'))
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--quiet']
    subprocess.run([*pip, 'wheel', '--no-deps', '--no-build-isolation', '--no-index',
                    '--wheel-dir', path, source], check=True)
    [wheel] = path.glob('*.whl')
    subprocess.run([*pip, 'install', '--no-deps', '--no-index', '--target', path / 'site', wheel],
                   check=True)
    shutil.rmtree(source)

    def installed(*argv):
        empty = path / 'empty'
        shutil.rmtree(empty, ignore_errors=True)
        empty.mkdir()
        return subprocess.run(
            [sys.executable, '-m', *map(str, argv)], cwd=empty, text=True, capture_output=True,
            env=os.environ | {'PYTHONPATH': str(path / 'site')}, stdin=subprocess.DEVNULL)
    installed.site = path / 'site'
    return installed


def test_only_the_package_is_installed(installed):
    """One top-level name, and the launcher and the ready sites below it."""
    assert {path.name for path in installed.site.iterdir() if path.is_dir()} == {
        'yolo_dist', f'yolo_dist-{_version()}.dist-info'}
    found = {str(path.relative_to(installed.site / 'yolo_dist' / 'repository'))
             for path in (installed.site / 'yolo_dist' / 'repository').rglob('*')
             if path.is_file()}
    assert found == {'jobs/launch.sh', *(f'jobs/sites/{path.name}'
                                         for path in (ROOT / 'jobs' / 'sites').iterdir())}


def test_report(installed, tmp_path):
    """The page of the speed-ups, which fits a model to the site file of the paper's machine."""
    result = installed('yolo_dist.report', ROOT / 'experiments' / 'fig7.yaml', '--results',
                       tmp_path, '--out', tmp_path / 'report')
    assert result.returncode == 0, result.stderr
    assert 'abci_2018' in (tmp_path / 'report' / 'report.md').read_text()


def test_dry_run_for_each_ready_site(installed):
    """Each script sources a launcher that is there, and sets up the environment in use."""
    result = installed('yolo_dist.submit', ROOT / 'experiments' / 'table2.yaml', '--run',
                       'yolo_v3_k8', '--dry-run')
    assert result.returncode == 0, result.stderr
    repository = installed.site / 'yolo_dist' / 'repository'
    assert result.stdout.count(f'\nrepository={repository}\n') == 4
    assert result.stdout.count(f'\nenvironment={sys.prefix}\n') == 4
    assert (repository / 'jobs' / 'launch.sh').is_file()


def test_doctor(installed):
    """It reports no commit: there is no checkout."""
    result = installed('yolo_dist.doctor')
    assert result.returncode == 0, result.stderr
    assert 'Slow paths' in result.stdout and '  commit ' not in result.stdout


def _version():
    import yolo_dist
    return yolo_dist.__version__
