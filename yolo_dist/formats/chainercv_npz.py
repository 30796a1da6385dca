from chainer.serializers import save_npz

from yolo_dist.errors import InputError
from yolo_dist.links import YOLOv2, YOLOv3


def write_chainercv(model, path):
    """Write a detector as the npz file that ChainerCV's class of this name loads.

    ``chainercv.links.YOLOv3(n_fg_class=model.n_fg_class, pretrained_model=path)``
    reads it. ChainerCV has YOLOv2 and YOLOv3 of width 1 with the paper's
    anchors, and no classifier. Names, shapes and values are those of this
    package: :func:`~yolo_dist.links.load_weights` reads ChainerCV's files.

    Args:
        model (YOLOv2 or YOLOv3): The detector.
        path (str or ~pathlib.Path): File to write.

    Raises:
        InputError: If ChainerCV has no such network.
    """
    name = type(model).__name__
    if not isinstance(model, (YOLOv2, YOLOv3)):
        raise InputError(f'{path}: found a {name}, expected YOLOv2 or YOLOv3; '
                         'ChainerCV has no such classifier')
    if model.width != 1:
        raise InputError(f'{path}: found {name} of width {model.width:g}, expected width 1; '
                         'ChainerCV has no other')
    anchors, expected = (link.default_boxes(32).anchor_table_px.tolist()
                         for link in (model, type(model)(1, width=1e-3)))
    if anchors != expected:
        raise InputError(f'{path}: found the anchors {anchors} (height and width in pixels), '
                         f'expected {expected}; ChainerCV would decode others wrongly')
    save_npz(path, model, compression=False)
