from chainer.serializers import NpzDeserializer

from yolo_dist.links.weights_file import check_weights, read_weights


def load_weights(link, path, *, weights=None):
    """Load the weights of exactly this link from an npz file.

    Args:
        link (~chainer.Link): Link to fill, for example a YOLOv3; parameters
            and batch-normalisation statistics are overwritten.
        path (str or ~pathlib.Path): File that
            ``chainer.serializers.save_npz(path, link)`` wrote.
        weights (dict of str to ndarray): Content of the file if it was already read.

    Raises:
        InputError: If the file is missing, is no npz file, or belongs to another model,
            width or number of classes. Nothing is loaded then.
    """
    weights = read_weights(path) if weights is None else weights
    check_weights(weights, link, path)
    NpzDeserializer(weights).load(link)
