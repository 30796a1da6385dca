"""Large-batch distributed training of Darknet53 and YOLOv3 on ChainerMN.

Importing this package makes Chainer, ChainerMN and ChainerCV importable on current Python, NumPy
and CuPy (see :mod:`yolo_dist.compat`), so it comes before them. A script whose imports are
sorted needs ``import yolo_dist  # isort: split`` above the others.

Conventions, as in ChainerCV:

* Images are RGB, ``(3, H, W)``; uint8 in [0, 255], or float in [0, 1]: the dtype tells the range.
  ``predict`` takes uint8, or float in [0, 255] as ChainerCV reads images, and refuses [0, 1].
* A bounding box is ``(y_min, x_min, y_max, x_max)``, float32 in pixels. ``bb`` is one box
  ``(4,)``, ``bbox`` those of one image ``(R, 4)``, ``bboxes`` those of a batch.
* Labels are int32, counted from 0 without background; -1 pads the arrays of a batch.
* ``k`` workers (the paper's GPUs) are carried by ``P`` MPI processes.
"""
from yolo_dist import compat

__version__ = '0.1.0'

compat.install()
