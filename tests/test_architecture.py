"""The arrows of import point one way, folders are entered by their face, the README is true."""

import ast
import pathlib
import re
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'yolo_dist'

ENTRY_POINTS = {'train', 'evaluate', 'report', 'make_data', 'pack_data', 'doctor', 'bench',
                'submit', 'predict', 'inspect', 'import_data', 'convert'}

# What each part may import of the package, besides itself and `errors`. A part below imports
# nothing of the parts above it.
RULES = {
    'errors': set(),
    'compat': set(),
    '__init__': {'compat'},
    'utf8': set(),
    'command_line': {'utf8'},
    'functions': set(),
    'kernels': set(),
    'drawing': {'whole_files'},
    'config': {'outside_files'},
    'outside_files': set(),
    'whole_files': set(),
    'datasets': {'outside_files', 'whole_files'},
    'transforms': {'kernels'},
    'environment': {'kernels'},
    'distributed': {'kernels', 'utf8'},
    'links': {'functions', 'kernels', 'outside_files', 'transforms'},
    'formats': {'kernels', 'links', 'outside_files'},
    'runs': {'config', 'environment', 'links', 'outside_files', 'whole_files'},
    'training': {'drawing', 'kernels', 'runs', 'whole_files'},
    'evaluators': {'kernels', 'training'},
    'tasks': {'datasets', 'drawing', 'evaluators', 'formats', 'links', 'transforms'},
    'planning': {'config', 'datasets', 'links', 'tasks', 'training'},
    'reporting': {'config', 'drawing', 'planning'},
    'inspection': {'datasets', 'drawing', 'links', 'tasks', 'training', 'whole_files'},
    'jobs': {'config', 'datasets', 'planning', 'runs', 'whole_files'},
    'prediction': {'config', 'datasets', 'formats', 'links', 'runs', 'tasks', 'whole_files'},
    'benchmarks': {'datasets', 'distributed', 'environment', 'evaluators', 'formats', 'kernels',
                   'links', 'planning', 'training', 'transforms'},
    'bench': {'benchmarks', 'command_line', 'distributed', 'environment'},
    'convert': {'command_line', 'config', 'formats', 'links', 'prediction', 'runs',
                'whole_files'},
    'doctor': {'command_line', 'environment', 'kernels'},
    'evaluate': {'command_line', 'config', 'datasets', 'distributed', 'drawing', 'environment',
                 'links', 'runs', 'tasks', 'whole_files'},
    'import_data': {'command_line', 'datasets'},
    'inspect': {'command_line', 'config', 'inspection'},
    'make_data': {'command_line', 'datasets'},
    'pack_data': {'command_line', 'config', 'datasets', 'tasks'},
    'predict': {'command_line', 'distributed', 'kernels', 'prediction', 'tasks'},
    'report': {'command_line', 'config', 'drawing', 'reporting', 'runs'},
    'submit': {'command_line', 'config', 'jobs', 'runs'},
    'train': {'command_line', 'config', 'datasets', 'distributed', 'drawing', 'environment',
              'planning', 'runs', 'tasks', 'training'},
}

# Who starts or calls MPI, and who asks which process this is.
MPI = {'distributed', 'training', 'environment'}
RANK = {
    'benchmarks/allreduce.py': 'prints once',
    'distributed/communicator.py': 'divides workers among processes',
    'distributed/launch.py': 'prints errors once',
    'evaluate.py': 'prints and writes once',
    'evaluators/classification.py': 'chooses the shard',
    'evaluators/detection.py': 'chooses the shard, scores at the root',
    'train.py': 'prints and writes once',
    'tasks/data_check.py': 'chooses the share of images to look at',
    'training/extensions/throughput.py': 'writes once',
    'training/trainer.py': 'extensions of the root alone',
}

# Statements of a module that are more than definitions, each with its reason.
EFFECTS_ON_IMPORT = {
    ('__init__.py', 'compat.install()'): 'Chainer cannot be imported without it',
    ('kernels/cpu/threads.py', 'os.register_at_fork(after_in_child=_forget_helpers)'):
        'threads do not survive a fork',
    ('kernels/cpu/workspace.py', 'keep_freed_memory()'):
        'before the first large array of a process that computes',
    ('datasets/file_tree.py', 'os.register_at_fork(after_in_child=_close_inherited)'):
        'LMDB must be opened anew after a fork',
}

# Modules of a folder with a face that are entered by name: they load Numba, which the face must
# not do for processes that compute nothing.
ENTERED_BY_NAME = 'yolo_dist.kernels.cpu.'

FILES = sorted(PACKAGE.rglob('*.py'))


def place_of(path):
    return path.relative_to(PACKAGE).as_posix()


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imports(path):
    """Dotted names that a file imports, anywhere in it; relative imports start with a point."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = '.' * node.level + (node.module or '')
            yield from (f'{module}.{alias.name}' for alias in node.names)


def parts_imported(path):
    return {name.split('.')[1] for name in imports(path) if name.startswith('yolo_dist.')}


def test_a_process_that_draws_and_scores_nothing_starts_without_what_that_needs(python):
    """Matplotlib and ChainerCV take as long to import as all else of the commands."""
    done = python('-c', 'import sys, yolo_dist.train, yolo_dist.evaluate, yolo_dist.predict\n'
                  "print({'matplotlib', 'chainercv', 'numba'} & set(sys.modules))")
    assert done.stdout.strip() == 'set()', done.stderr


def test_every_part_has_a_rule_and_every_rule_a_part():
    """A new folder or file needs a rule, a renamed one does not silently lose its own."""
    assert set(RULES) == {part_of(path) for path in FILES}
    assert ENTRY_POINTS <= set(RULES)


@pytest.mark.parametrize('part', RULES)
def test_a_part_imports_what_its_rule_names(part):
    """Functions know no links, links no tasks, tasks no trainer; no part an entry point."""
    imported = set()
    for path in FILES:
        if part_of(path) == part:
            imported |= parts_imported(path)
    imported -= {part, 'errors'}
    assert imported == RULES[part]
    assert not imported & ENTRY_POINTS


def test_rules_have_no_circle():
    """The parts can be laid in an order in which each imports earlier ones alone."""
    done, left = {'errors'}, dict(RULES)
    while left:
        free = [part for part, needs in left.items() if needs <= done]
        assert free, f'a circle among {sorted(left)}'
        for part in free:
            done.add(part)
            del left[part]


def test_imports_are_absolute():
    """One form of import, which the rules above see."""
    for path in FILES:
        assert not [name for name in imports(path) if name.startswith('.')], path


def folders_with_a_face():
    """Dotted names of the folders whose ``__init__`` imports what others may use."""
    for init in PACKAGE.rglob('__init__.py'):
        if init.parent != PACKAGE and list(imports(init)):
            yield '.'.join(('yolo_dist', *init.parent.relative_to(PACKAGE).parts))


@pytest.mark.parametrize('folder', sorted(folders_with_a_face()))
def test_a_folder_is_entered_through_its_face(folder):
    """Others import ``folder.name``, never ``folder.module.name``; the face exports all of it."""
    face = PACKAGE.joinpath(*folder.split('.')[1:], '__init__.py')
    exported = set()
    for node in ast.parse(face.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '__all__':
            exported = set(ast.literal_eval(node.value))
        elif isinstance(node, ast.FunctionDef):
            exported.add(node.name)
    for path in FILES:
        if path.is_relative_to(face.parent):
            continue
        for name in imports(path):
            if name.startswith(f'{folder}.') and not name.startswith(ENTERED_BY_NAME):
                assert name.removeprefix(f'{folder}.') in exported, path


def test_only_named_places_speak_to_mpi_and_the_command_line():
    """MPI starts in `distributed`, arguments are read in entry points."""
    mpi, parsers = set(), set()
    for path in FILES:
        names = list(imports(path))
        if any(name.split('.')[0] in ('mpi4py', 'chainermn') for name in names):
            mpi.add(part_of(path))
        if 'yolo_dist.command_line.Parser' in names:
            parsers.add(part_of(path))
    assert mpi == MPI
    assert parsers == ENTRY_POINTS


def test_no_collective_inside_a_block_that_a_process_may_leave():
    """A communicator is created by all processes or none: never inside ``fail_together``."""
    found = 0
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.With) and 'fail_together' in ast.unparse(node.items[0]):
                found += 1
                text = ast.unparse(node)
                for call in ('create_communicator', 'run_job', '_obj(', 'Allreduce', 'allgather'):
                    assert call not in text, path
    assert found >= 4


def asks_for_the_rank(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in ('rank', 'process_number'):
            return True
        if isinstance(node, ast.Name) and node.id == 'process_number':
            return True
    return False


def test_only_named_places_ask_for_the_rank():
    """What a process does does not depend on its number but where this table says why."""
    assert {place_of(path) for path in FILES if asks_for_the_rank(path)} == set(RANK)


def effects_on_import(path):
    """Statements at the top of a module that are neither imports nor definitions."""
    for node in ast.parse(path.read_text()).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_main = isinstance(node, ast.If) and '__name__' in ast.unparse(node.test)
        definition = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign,
                      ast.AnnAssign)
        if not (is_docstring or is_main or isinstance(node, definition)):
            yield place_of(path), ast.unparse(node)


def test_nothing_has_an_effect_on_import_but_what_is_named():
    """Importing the package changes Chainer where `compat` mends it, and nothing else."""
    found = {effect for path in FILES for effect in effects_on_import(path)}
    assert found == set(EFFECTS_ON_IMPORT)


def test_readme_names_every_command():
    """Each command is in the README, and nothing else is."""
    readme = (ROOT / 'README.md').read_text()
    assert set(re.findall(r'-m yolo_dist\.(\w+)', readme)) == ENTRY_POINTS


def test_every_make_target_that_is_named_exists():
    """In the documentation and in `make help`, which names all of them."""
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'^([\w-]+):', makefile, re.MULTILINE))
    # As code: at the start of an indented or quoted line, or between backticks.
    command = re.compile(r"(?:^(?: {4,}|\t@?echo ')(?:\$ )?|`)make((?: [\w.=-]+)+)", re.MULTILINE)
    named = {}
    for path in (ROOT / 'Makefile', *ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')):
        text = re.sub(r'^```.*?\n(.*?)^```', lambda block: textwrap.indent(block[1], '    '),
                      path.read_text(), flags=re.MULTILINE | re.DOTALL)
        words = ' '.join(command.findall(text)).split()
        named[path.name] = {word for word in words if '=' not in word}
        assert named[path.name] <= targets, path
    assert named['README.md'] >= {'quickstart', 'test', 'install'}
    assert named['Makefile'] == targets - {'help'}


@pytest.mark.parametrize('module', sorted(ENTRY_POINTS))
def test_every_command_explains_itself(python, module):
    """--help prints a usage and ends well."""
    done = python('-m', f'yolo_dist.{module}', '--help')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: python -m yolo_dist.{module}')
    assert done.stderr == ''
