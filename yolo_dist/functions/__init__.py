"""Detection losses as pure functions, for NumPy and CuPy arrays alike."""

from yolo_dist.functions.bbox_overlap import overlaps_any, paired_iou
from yolo_dist.functions.decode_bboxes import decode_bboxes
from yolo_dist.functions.default_boxes import DefaultBoxes, create_default_boxes
from yolo_dist.functions.loss_terms import LOSS_NORMS, LossTerms, normalize_terms
from yolo_dist.functions.soft_cross_entropy import soft_cross_entropy
from yolo_dist.functions.truth_assignment import TruthAssignment, assign_truths
from yolo_dist.functions.yolo_v2_loss import yolo_v2_loss
from yolo_dist.functions.yolo_v3_loss import yolo_v3_loss

__all__ = [
    'LOSS_NORMS', 'DefaultBoxes', 'LossTerms', 'TruthAssignment', 'assign_truths',
    'create_default_boxes', 'decode_bboxes', 'normalize_terms', 'overlaps_any', 'paired_iou',
    'soft_cross_entropy', 'yolo_v2_loss', 'yolo_v3_loss',
]
