"""Experiment files: load, override, expand a row of a sweep, dump, compare."""

import pathlib
from collections.abc import Hashable

import yaml

from yolo_dist.config.problems import describe, suggest, validate
from yolo_dist.config.sections import OPTIONAL_KEYS, RUN_CLASSES, Sweep
from yolo_dist.errors import InputError
from yolo_dist.outside_files import read_file


class _Loader(yaml.SafeLoader):
    """Safe loading that refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # which PyYAML refuses
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'key {key!r} stands twice', node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node):
        value = super().construct_yaml_int(node)
        if abs(value) >= 1 << 63:  # Python writes no numbers of thousands of digits
            raise yaml.constructor.ConstructorError(
                None, None, 'a whole number of more than 64 bits', node.start_mark)
        return value

    yaml_constructors = {**yaml.SafeLoader.yaml_constructors,
                         'tag:yaml.org,2002:int': construct_yaml_int}


def read_yaml(path, kind):
    """Read a YAML file that holds a mapping.

    Args:
        path (str): The file.
        kind (str): What was expected, for the message, such as ``an experiment file``.

    Returns:
        dict: What it holds.

    Raises:
        InputError: If it cannot be read, is no YAML, or gives a key twice.
    """
    path = pathlib.Path(path)
    try:
        text = read_file(path).decode()
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); '
                         f'expected {kind}') from None
    except UnicodeDecodeError:
        raise InputError(f'{path}: is not a text file; expected YAML') from None
    content = _parse(text, f'{path}: is not YAML')
    if not isinstance(content, dict):
        raise InputError(f'{path}: holds no mapping; expected {kind}')
    return content


def _parse(text, complaint):
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise InputError(f'{complaint}: it is nested too deeply') from None
    # PyYAML passes on whatever Python says of a month 13, or of `!!bool x`.
    except Exception as error:
        raise InputError(f'{complaint}: {error or type(error).__name__}') from None


def _read(path):
    return read_yaml(path, 'an experiment file, such as those under experiments/')


def _set(content, dotted, value, source):
    *parents, last = dotted.split('.')
    place = content
    for depth, key in enumerate(parents):
        place = place.get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise InputError(f'{source}: {dotted}: there is no section '
                             f'{".".join(parents[:depth + 1])}')
    if last not in place and dotted not in OPTIONAL_KEYS:
        raise InputError(f'{source}: {dotted}: is not a known key; {suggest(last, list(place))}')
    place[last] = value


def _parse_override(text):
    dotted, equals, value = text.partition('=')
    if not equals or not dotted:
        raise InputError(f'--set {text}: expected key=value, such as --set schedule.epochs=2')
    return dotted, _parse(value, f'--set {text}: the value is not YAML')


def rows(path):
    """Names of the rows of a sweep; empty for a run.

    Args:
        path (str): An experiment file.

    Returns:
        list of str: The keys of ``runs``, in the order of the file.

    Raises:
        InputError: If the file cannot be read or is not valid.
    """
    content = _read(path)
    return list(validate(Sweep, content, path).runs) if 'base' in content else []


def seeds(path):
    """Seeds that belong to an experiment: those of a sweep, or the one of a run.

    Args:
        path (str): An experiment file.

    Returns:
        list of int: At least one.

    Raises:
        InputError: If the file cannot be read or is not valid.
    """
    content = _read(path)
    if 'base' in content:
        return list(validate(Sweep, content, path).seeds)
    return [load_config(path).run.seed]


def load_config(path, *, row=None, overrides=(), results='results'):
    """Load one run.

    Args:
        path (str): An experiment file, or the ``config.yaml`` of a run directory.
        row (str): Row of a sweep; ``None`` for a run.
        overrides (iterable of str): ``dotted.key=value``, the value in YAML.
        results (str): What ``{results}`` in ``model.pretrained`` stands for: the
            folder of all result directories.

    Returns:
        RunConfig: The validated run; of a sweep's row, named ``sweep/row/seed_S``
        after the sweep that defines it: a row with ``same_as`` is the very run of
        the other experiment, in the same result directory.

    Raises:
        InputError: Naming each dotted path that is unknown, missing or of a wrong
            type.
    """
    path, row = _definition(path, row)
    content = _read(path)
    is_sweep = 'base' in content
    if is_sweep:
        content = _expand(content, path, row)
    elif row is not None:
        raise InputError(f'--run {row}: {path} is a single run and has no rows; leave --run out')
    for text in overrides:
        _set(content, *_parse_override(text), f'--set {text}')
    task = content.get('task')
    if not isinstance(task, str) or task not in RUN_CLASSES:
        raise InputError(f'{path}: task: found {describe(task)}; expected classification '
                         'or detection')
    config = validate(RUN_CLASSES[task], content, path)
    if is_sweep:
        config = config.model_copy(update={'name': f'{config.name}/seed_{config.run.seed}'})
    if config.model.pretrained is None:
        return config
    pretrained = config.model.pretrained.replace('{results}', str(results))
    return config.model_copy(
        update={'model': config.model.model_copy(update={'pretrained': pretrained})})


def _definition(path, row):
    """File and row that define a run: those given, or those that ``same_as`` names."""
    content = _read(path)
    if 'base' not in content:
        return path, row
    shown = _find_row(validate(Sweep, content, path), path, row).same_as
    if shown is None:
        return path, row
    name, _, other_row = shown.partition('/')
    other_path = pathlib.Path(path).with_name(f'{name}.yaml')
    where = f'{path}: runs.{row}.same_as'
    other = _read(other_path)
    if 'base' not in other or not other_row:
        raise InputError(f'{where}: found {shown!r}; expected sweep/row, such as '
                         'fig3/darknet53_k256')
    if _find_row(validate(Sweep, other, other_path), where, other_row).same_as is not None:
        raise InputError(f'{where}: {shown} is itself shown from another experiment; name the '
                         'one that defines it')
    return other_path, other_row


def _find_row(sweep, where, row):
    if row not in sweep.runs:
        found = 'it is a sweep: choose a row with --run' if row is None else f'no row {row}'
        raise InputError(f'{where}: {found}; rows: {", ".join(sweep.runs)}')
    return sweep.runs[row]


def _expand(content, path, row):
    sweep = validate(Sweep, content, path)
    chosen = _find_row(sweep, path, row)
    base_path = pathlib.Path(path).parent / (chosen.base or sweep.base)
    base = _read(base_path)
    if 'base' in base:
        raise InputError(f'{path}: base: {base_path} is itself a sweep; expected a run')
    base['name'] = f'{sweep.name}/{row}'
    base['paper'] = sweep.paper.model_dump() | {
        'reported': chosen.paper,
        'assumptions': [*_assumptions(base), *sweep.paper.assumptions]}
    for where, changes in (('set', sweep.set), (f'runs.{row}.set', chosen.set)):
        for dotted, value in changes.items():
            _set(base, dotted, value, f'{path}: {where}')
    return base


def _assumptions(content):
    paper = content.get('paper')
    found = paper.get('assumptions') if isinstance(paper, dict) else None
    return found if isinstance(found, list) else []


def dump_config(config):
    """Return the run as YAML that :func:`load_config` reads back to an equal run.

    Args:
        config (RunConfig): A run.

    Returns:
        str: YAML, sections in their fixed order.
    """
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True, width=100)


def differences(config, other):
    """Dotted keys in which two runs differ.

    Args:
        config (RunConfig): A run.
        other (RunConfig): Another; ``None`` gives all keys of ``config`` that are not null.

    Returns:
        dict: ``{dotted key: (value in config, value in other)}``.
    """
    def flatten(value, prefix=''):
        if not isinstance(value, dict):
            return {prefix: value}
        return {dotted: leaf for key, child in value.items()
                for dotted, leaf in flatten(child, f'{prefix}.{key}'.lstrip('.')).items()}
    ours = flatten(config.model_dump())
    theirs = {} if other is None else flatten(other.model_dump())
    return {key: (ours.get(key), theirs.get(key))
            for key in ours | theirs if ours.get(key) != theirs.get(key)}
