"""``model.pretrained``: what a network starts from."""
from yolo_dist.errors import in_short
from yolo_dist.formats import read_any_weights
from yolo_dist.links import load_layers


def load_pretrained(config, model):
    """Put the layers of ``model.pretrained`` that fit into a network.

    Args:
        config (~yolo_dist.config.RunConfig): The run.
        model (~chainer.Link): Its network.

    Returns:
        str: What was taken and left, for the log.

    Raises:
        InputError: If the file cannot be read, or is of another backbone or width.
    """
    path = config.model.pretrained
    taken, left = load_layers(model, path, weights=read_any_weights(path, width=model.width))
    line = f'{path}: {len(taken)} of {len(taken) + len(left)} convolutions taken'
    return line + (f'; {len(left)} start anew: {in_short(left)}' if left else '')
