"""The files that a run needs before it can start: its data and its pretrained weights."""

import pathlib

from yolo_dist.datasets import is_data_there


def missing_prerequisites(config, *, results):
    """Name the files that a run needs and that are missing.

    Args:
        config (~yolo_dist.config.RunConfig): The run.
        results (str): The folder of all result directories. It tells which run writes the
            weights that this run starts from.

    Returns:
        list of str: One message for each missing file or folder; empty if nothing is missing.
    """
    problems = []
    root = pathlib.Path(config.data.root)
    if config.data.n_synthetic_examples is None and not is_data_there(root):
        problems.append(f'data.root: there is no {root}; put the data there, or name another '
                        'place by data_roots of the site file or by --set data.root=...')
    weights = config.model.pretrained
    if weights is not None and not pathlib.Path(weights).is_file():
        problems.append(
            f'model.pretrained: there is no {weights}; {_how_to_make(weights, results)}')
    return problems


def _how_to_make(weights, results):
    try:
        run = pathlib.Path(weights).parent.relative_to(results)
    except ValueError:
        return 'expected a weights file that a run wrote, such as RUN_DIRECTORY/weights_final.npz'
    experiment, *row = run.parts
    train = f'experiments/{experiment}.yaml' + (f' --run {row[0]}' if row else '')
    return f'the run {run} writes it: train that run first ({train})'
