"""What the documentation names is there."""
import contextlib
import functools
import importlib
import io
import pathlib
import re
import typing

import pydantic
import pytest

from yolo_dist.config import sections

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')])
COMMAND = re.compile(r'-m yolo_dist\.(\w+)([^`\n]*)')

pages = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)


@pages
def test_links_and_pictures_exist(page):
    """Relative links lead to files of the repository."""
    for target in re.findall(r'\]\(([^)#]+)', page.read_text()):
        if not target.startswith('http'):
            assert (page.parent / target).exists(), target


@pages
def test_files_between_backticks_exist(page):
    """A path of the repository is not named after it has moved."""
    for name in re.findall(r'`((?:yolo_dist|experiments|jobs|tests|docs)/[\w/.]+)`',
                           page.read_text()):
        assert (ROOT / name).exists(), name


@functools.cache
def help_of(module, command):
    text = io.StringIO()
    command_line = importlib.import_module(f'yolo_dist.{module}')
    parse = getattr(command_line, 'parse_arguments', command_line.main)
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        parse([*command, '--help'])
    return text.getvalue()


@pages
def test_commands_and_options_exist(page):
    """Each `python -m yolo_dist.X` is a command, and takes each option that stands behind it."""
    for module, arguments in COMMAND.findall(page.read_text().replace('\\\n', ' ')):
        assert (ROOT / f'yolo_dist/{module}.py').exists(), module
        arguments = arguments.partition('#')[0]
        word = re.match(r' ([\w-]+)', arguments) if module == 'bench' else None
        text = help_of(module, (word[1],) if word else ())
        for option in re.findall(r'(--[a-z][\w-]*)', arguments):
            assert option in re.findall(r'--[a-z][\w-]*', text), (module, option)


def test_readme_takes_two_minutes():
    """It stays a first page; the rest lives in docs/, and each page is linked."""
    readme = (ROOT / 'README.md').read_text()
    assert len(readme.splitlines()) <= 140
    for page in (ROOT / 'docs').glob('*.md'):
        assert f'(docs/{page.name})' in readme


def key_names(section):
    """The keys of a section and of the sections in it."""
    for name, field in section.model_fields.items():
        yield name
        for part in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, pydantic.BaseModel):
                yield from key_names(part)


@pytest.mark.parametrize('section', [*sections.RUN_CLASSES.values(), sections.Sweep,
                                     sections.SweepRow], ids=lambda section: section.__name__)
def test_the_page_of_experiment_files_has_every_key(section):
    """A key that nobody can look up is a key that nobody sets."""
    names = {*key_names(section)}
    assert len(names) >= 4
    words = {word for span in re.findall(r'`([^`]+)`', (
        ROOT / 'docs/experiment_files.md').read_text()) for word in re.findall(r'\w+', span)}
    assert not names - words
