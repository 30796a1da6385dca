"""Several faults of the user's files in one error."""
from yolo_dist.errors import InputError

_MAX_LISTED = 5


def raise_problems(problems):
    """Raise one error for all problems, if there are any.

    Args:
        problems (iterable of str): One message for each problem.

    Raises:
        InputError: If there is at least one problem; lists up to five and says how many more.
    """
    problems = list(problems)
    if not problems:
        return
    listed = problems[:_MAX_LISTED]
    if len(problems) > len(listed):
        listed.append(f'... and {len(problems) - len(listed)} more')
    raise InputError('\n'.join(listed))
