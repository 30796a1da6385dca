"""The arrows of import point one way, and the README names what exists."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'yolo_dist'

# What a part may import of the package, besides itself and `errors`.
LEAVES = {
    'errors': set(), 'functions': set(), 'kernels': set(), 'drawing': set(),
    'config': set(), 'datasets': set(), 'transforms': {'kernels'},
    'links': {'functions', 'transforms', 'kernels'},
    'distributed': {'kernels'},
    'training': {'config', 'distributed', 'drawing', 'kernels', 'links', 'runs'},
    'evaluators': {'training'},
    'tasks': {'datasets', 'drawing', 'evaluators', 'links', 'transforms'},
    'runs': {'config', 'environment'},
    'planning': {'config', 'links', 'tasks', 'training'},
    'reporting': {'config', 'drawing', 'planning'},
    'jobs': {'config', 'planning', 'runs'},
}
ENTRY_POINTS = {'train', 'evaluate', 'report', 'make_data', 'pack_data', 'doctor', 'bench',
                'submit'}


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imports(path):
    """Dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def parts_imported(path):
    return {name.split('.')[1] for name in imports(path) if name.startswith('yolo_dist.')}


FILES = sorted(PACKAGE.rglob('*.py'))


def test_every_part_of_the_table_exists():
    """A renamed folder does not silently leave the table below."""
    assert set(LEAVES) | ENTRY_POINTS <= {part_of(path) for path in FILES}


@pytest.mark.parametrize('part', LEAVES)
def test_leaves_import_nothing_that_lies_above(part):
    """Functions know no links, links no tasks, tasks no trainer."""
    for path in FILES:
        if part_of(path) == part:
            assert parts_imported(path) <= LEAVES[part] | {part, 'errors'}, path


def test_nothing_imports_an_entry_point():
    """An entry point is where a command starts, never a library."""
    for path in FILES:
        assert not parts_imported(path) & ENTRY_POINTS, path


def test_only_named_places_speak_to_mpi_and_the_command_line():
    """MPI starts in `distributed`, arguments are read in entry points."""
    mpi, parsers = set(), set()
    for path in FILES:
        names = list(imports(path))
        if any(name.split('.')[0] in ('mpi4py', 'chainermn') for name in names):
            mpi.add(part_of(path))
        if 'yolo_dist.command_line.Parser' in names:
            parsers.add(part_of(path))
    assert mpi <= {'distributed', 'training', 'environment', 'benchmarks'}
    assert parsers <= ENTRY_POINTS


def test_readme_names_existing_commands_and_files():
    """Every module, make target, experiment and source file in the README is there."""
    readme = (ROOT / 'README.md').read_text()
    modules = set(re.findall(r'-m yolo_dist\.(\w+)', readme))
    assert modules == ENTRY_POINTS
    targets = set(re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    assert set(re.findall(r'`?make (quickstart|test|lint|clean|help)\b', readme)) <= targets
    for name in re.findall(r'`((?:yolo_dist|experiments|jobs)/[\w/.]+)`', readme):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize('module', sorted(ENTRY_POINTS))
def test_every_command_explains_itself(python, module):
    """--help prints a usage and ends well."""
    done = python('-m', f'yolo_dist.{module}', '--help')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: python -m yolo_dist.{module}')
    assert done.stderr == ''
