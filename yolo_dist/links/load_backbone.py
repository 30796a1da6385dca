from chainer.serializers import NpzDeserializer

from yolo_dist.links.weights_file import check_weights, read_weights


def load_backbone(detector, path, *, weights=None):
    """Initialise a detector's backbone from the weights of a classifier.

    The paper's "first 52 layers" of Darknet53 go into YOLOv3, and the 18 layers of
    Darknet19 go into YOLOv2, with their batch-normalisation statistics. The other
    layers of the detector do not change.

    Args:
        detector (YOLOv2 or YOLOv3): Detector to fill.
        path (str or ~pathlib.Path): File of weights of a
            :class:`~yolo_dist.links.Darknet53` or
            :class:`~yolo_dist.links.Darknet19` of the same width.
        weights (dict of str to ndarray): Content of the file if it was already read.

    Returns:
        int: Number of convolution layers transferred, 52 or 18.

    Raises:
        InputError: If the file is missing, is no npz file, or belongs to another
            backbone or width. Nothing is loaded then.
    """
    weights = read_weights(path) if weights is None else weights
    backbone = detector.extractor[:detector.extractor.n_backbone_links]
    prefixes = [f'extractor/{i}/' for i in range(len(backbone))]
    check_weights(weights, detector, path, prefix=tuple(prefixes))
    for prefix, child in zip(prefixes, backbone, strict=True):
        NpzDeserializer(weights, path=prefix).load(child)
    return detector.extractor.n_backbone_convs
