from chainer.serializers import NpzDeserializer

from yolo_dist.links.weights_file import check_weights, read_weights


def load_backbone(detector, path, *, weights=None):
    """Initialise a detector's backbone from the weights of a classifier.

    The paper's "first 52 layers" of Darknet53 go into YOLOv3, the 18 of
    Darknet19 into YOLOv2, with their batch-normalisation statistics; the
    detector's other layers stay as they are.

    Args:
        detector (YOLOv2 or YOLOv3): Detector to fill.
        path (str or ~pathlib.Path): File of weights of a
            :class:`~yolo_dist.links.Darknet53` or
            :class:`~yolo_dist.links.Darknet19` of the same width.
        weights (dict of str to ndarray): What the file holds, where it was read already.

    Returns:
        int: Number of convolution layers transferred, 52 or 18.

    Raises:
        InputError: If the file is missing, no npz file, or of another
            backbone or width; nothing is loaded then.
    """
    weights = read_weights(path) if weights is None else weights
    backbone = detector.extractor[:detector.extractor.n_backbone_links]
    prefixes = [f'extractor/{i}/' for i in range(len(backbone))]
    check_weights(weights, detector, path, prefix=tuple(prefixes))
    for prefix, child in zip(prefixes, backbone, strict=True):
        NpzDeserializer(weights, path=prefix).load(child)
    return detector.extractor.n_backbone_convs
