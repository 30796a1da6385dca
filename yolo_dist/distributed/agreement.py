"""Refuse a job whose processes would compute different things, before they compute anything."""

import platform

from yolo_dist.distributed.launch import SharedInputError
from yolo_dist.errors import in_short


def check_agreement(facts):
    """Compare facts among the processes of the job; stop all of them on a difference. Collective.

    Args:
        facts (dict of str to str): Values that must be the same in all processes, by name.

    Raises:
        InputError: In all processes, with the facts that differ, their values and the hosts.
    """
    from mpi4py import MPI
    known = MPI.COMM_WORLD.allgather((platform.node(), facts))
    if found := list(_differences(known)):
        raise SharedInputError('the processes of this job do not agree, so nothing is computed; '
                               'give all hosts the same:\n' + '\n'.join(found))


def _differences(known):
    for key in sorted(set().union(*(facts for _, facts in known))):
        places = {}
        for rank, (host, facts) in enumerate(known):
            places.setdefault(facts.get(key, 'missing'), []).append(f'{host} (process {rank})')
        if len(places) > 1:
            yield f'  {key}: ' + '; '.join(
                f'{value} on {in_short(where)}' for value, where in places.items())
