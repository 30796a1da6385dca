"""Weights and networks in the files of other programs."""

from yolo_dist.formats.chainercv_npz import write_chainercv
from yolo_dist.formats.darknet_cfg import read_darknet_cfg, write_darknet_cfg
from yolo_dist.formats.darknet_weights import (
    VARIANCES,
    adapt_variances,
    is_npz,
    read_any_weights,
    read_darknet_weights,
    write_darknet_weights,
)
from yolo_dist.formats.network import Network, build_link, match_arrays, recognise_arrays
from yolo_dist.formats.onnx_export import export_onnx

__all__ = [
    'Network', 'VARIANCES', 'adapt_variances', 'build_link', 'export_onnx', 'is_npz',
    'match_arrays', 'read_any_weights', 'read_darknet_cfg', 'read_darknet_weights',
    'recognise_arrays', 'write_chainercv', 'write_darknet_cfg', 'write_darknet_weights',
]
