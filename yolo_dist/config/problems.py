"""What is wrong with an experiment file, in the user's words."""

import difflib

import pydantic

from yolo_dist.errors import InputError


def validate(section_class, content, path):
    """Turn the content of a file into a section, or say what is wrong with it.

    Args:
        section_class (type): A class of :mod:`~yolo_dist.config.sections`.
        content (dict): What the file holds.
        path (str): The file, for the message.

    Returns:
        Section: An instance of ``section_class``.

    Raises:
        InputError: One line for each problem, with its dotted path, what was found
            and what was expected.
    """
    try:
        return section_class.model_validate(content)
    except pydantic.ValidationError as error:
        problems = [_explain(one, section_class) for one in error.errors()]
        raise InputError('\n'.join(f'{path}: {problem}' for problem in problems)) from None


def describe(value):
    """Return a value as an error message shows it; mappings and lists by their kind."""
    if isinstance(value, dict):
        return 'a mapping'
    if isinstance(value, list):
        return 'a list'
    return repr(value)


def suggest(key, known):
    """``did you mean ...?``, or the known keys where none is close."""
    close = difflib.get_close_matches(str(key), known, n=1)
    return f'did you mean {close[0]}?' if close else f'known here: {", ".join(map(str, known))}'


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _explain(error, section_class):
    """One line for one of pydantic's errors."""
    # A discriminated union puts its tag into the path; a user's file has no such level.
    location = [part for position, part in enumerate(error['loc'])
                if not (position and error['loc'][position - 1] == 'decay'
                        and part in ('polynomial', 'step', 'constant'))]
    dotted = '.'.join(str(part) for part in location) or 'the file'
    kind, found = error['type'], error['input']
    if kind == 'missing':
        return f'{dotted}: is missing; every key must be given'
    if kind == 'extra_forbidden':
        known = _known_keys(section_class, location[:-1])
        return f'{dotted}: is not a known key; {suggest(location[-1], known)}'
    if isinstance(found, str) and 'str' not in kind and _is_number(found):
        return (f'{dotted}: found {found!r}, which YAML reads as text; '
                f'write a number with a point, such as {_with_point(found)}')
    expected = error['msg'].removeprefix('Value error, ')
    expected = expected.replace('Input should be', 'expected').replace('a valid ', 'a ')
    expected = expected.replace('a integer', 'an integer')
    if kind.startswith('union_tag'):
        tags = error.get('ctx', {}).get('expected_tags', "'polynomial', 'step', 'constant'")
        found = found.get('kind') if isinstance(found, dict) else found
        return f'{dotted}.kind: found {describe(found)}; expected one of {tags}'
    if kind == 'value_error' and isinstance(found, dict):
        return f'{dotted}: {expected}'
    return f'{dotted}: found {describe(found)}; {expected}'


def _with_point(text):
    mantissa, _, exponent = text.lower().partition('e')
    mantissa = mantissa if '.' in mantissa else mantissa + '.0'
    if not exponent:
        return mantissa
    return f'{mantissa}e{exponent if exponent[0] in "+-" else "+" + exponent}'


def _known_keys(section_class, location):
    for part in location:
        field = getattr(section_class, 'model_fields', {}).get(part)
        if field is None:
            return []
        section_class = field.annotation
        options = [option for option in getattr(section_class, '__args__', ())
                   if hasattr(option, 'model_fields')]
        section_class = options[0] if options else section_class
    return list(getattr(section_class, 'model_fields', {}))
