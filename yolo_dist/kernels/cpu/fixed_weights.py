"""For how long weights stay as they are."""
import contextlib

_kept = None


@contextlib.contextmanager
def fixed_weights():
    """Promise that weights and statistics do not change inside a ``with`` block.

    Networks that detect or classify in it then fold batch normalisation and pack their filters
    once, not in every forward pass. What they keep is up to four times as large as the filters,
    and is freed at the end of the block. Results are the same to the last bit.
    """
    global _kept
    before = _kept
    _kept = {} if before is None else before
    try:
        yield
    finally:
        _kept = before


def keep(key, value_of):
    """Give what was made for ``key`` before in this :func:`fixed_weights` block, or make it.

    Args:
        key: Hashable.
        value_of (callable): Makes the value, without arguments.

    Returns:
        The value; outside of such a block a new one.
    """
    if _kept is None:
        return value_of()
    if key not in _kept:
        _kept[key] = value_of()
    return _kept[key]
