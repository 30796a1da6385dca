"""Files of other programs, in and out."""

from yolo_dist.formats.onnx_export import export_onnx

__all__ = ['export_onnx']
