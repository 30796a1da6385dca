def gather_in_order(comm, results):
    """Bring what each process found in its shard to the root, in the order of the data set.

    Args:
        comm (chainermn.CommunicatorBase): The communicator. Collective.
        results (list): One entry for each image ``rank``, ``rank + P``, ``rank + 2 P``, ...

    Returns:
        list: One entry for each image of the set at the root; ``None`` in other processes.
    """
    gathered = comm.gather_obj(results)
    if gathered is None:
        return None
    n_images = sum(len(part) for part in gathered)
    return [gathered[i % comm.size][i // comm.size] for i in range(n_images)]
