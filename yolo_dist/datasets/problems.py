"""Several faults of the user's files in one error."""
from yolo_dist.errors import InputError

_MAX_LISTED = 5


def raise_problems(problems, *, listed_in=None, advice=None):
    """Raise one error for all problems, if there are any.

    Args:
        problems (iterable of str): One message for each problem.
        listed_in (str or ~pathlib.Path): File that holds all of them, if there is one.
        advice (str): What to do about them, where the messages leave something to say.

    Raises:
        InputError: If there is at least one problem; lists up to five and says how many more.
    """
    problems = list(problems)
    if not problems:
        return
    listed = problems[:_MAX_LISTED]
    if len(problems) > len(listed):
        where = '' if listed_in is None else f', all of them in {listed_in}'
        listed.append(f'... and {len(problems) - len(listed)} more{where}')
    if advice is not None and len(problems) > 1:
        listed.append(advice)
    raise InputError('\n'.join(listed))
