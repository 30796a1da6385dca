"""Networks as files of other programs."""

from yolo_dist.formats.chainercv_npz import write_chainercv
from yolo_dist.formats.onnx_export import export_onnx

__all__ = ['export_onnx', 'write_chainercv']
