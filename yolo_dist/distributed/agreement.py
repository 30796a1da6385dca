"""Refuse a job whose processes would compute different things, before they compute anything."""

import hashlib
import json
import platform

import numpy as np

from yolo_dist.distributed.launch import SharedInputError
from yolo_dist.errors import in_short


def check_agreement(facts):
    """Compare facts among the processes of the job; stop all of them on a difference. Collective.

    The first message has the same size in all processes, whatever the facts are. A difference
    therefore leaves no process waiting in it. The facts themselves are exchanged only if their
    digests differ.

    Args:
        facts (dict of str to str): Values that must be the same in all processes, by name.

    Raises:
        InputError: In all processes, with the facts that differ, their values and the hosts.
    """
    from mpi4py import MPI
    world = MPI.COMM_WORLD
    own = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()
    digests = np.empty((world.size, len(own)), np.uint8)
    world.Allgather(np.frombuffer(own, np.uint8), digests)
    if (digests == digests[0]).all():
        return
    text = np.frombuffer(json.dumps([platform.node(), facts]).encode(), np.uint8)
    sizes = np.empty(world.size, np.int64)
    world.Allgather(np.array([text.size]), sizes)
    texts = np.empty(sizes.sum(), np.uint8)
    world.Allgatherv(text, [texts, sizes])
    known = [json.loads(part.tobytes()) for part in np.split(texts, np.cumsum(sizes)[:-1])]
    raise SharedInputError('the processes of this job do not agree, so nothing is computed; '
                            'give all hosts the same:\n' + '\n'.join(_differences(known)))


def _differences(known):
    for key in sorted(set().union(*(facts for _, facts in known))):
        places = {}
        for rank, (host, facts) in enumerate(known):
            places.setdefault(facts.get(key, 'missing'), []).append(f'{host} (process {rank})')
        if len(places) > 1:
            yield f'  {key}: ' + '; '.join(
                f'{value} on {in_short(where)}' for value, where in places.items())
