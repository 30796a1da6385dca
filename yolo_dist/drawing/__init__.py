"""Figures and pictures that training, evaluation and the report draw."""

from yolo_dist.drawing.boxes_and_anchors import draw_boxes_and_anchors
from yolo_dist.drawing.contact_sheet import draw_contact_sheet
from yolo_dist.drawing.curves import draw_curves, learning_curves
from yolo_dist.drawing.figures import (
    GREY,
    PAPER,
    add_caveat,
    add_legend,
    create_figure,
    label_worker_axis,
    legend_entries,
    save_figure,
    say,
    shades,
)
from yolo_dist.drawing.labelled_picture import draw_boxes, draw_lines, drawable_name
from yolo_dist.drawing.pictures import draw_classifications, draw_detections, spread_indices

__all__ = [
    'GREY', 'PAPER', 'add_caveat', 'add_legend', 'create_figure', 'draw_boxes',
    'draw_boxes_and_anchors', 'draw_classifications', 'draw_contact_sheet', 'draw_curves',
    'draw_detections', 'draw_lines', 'drawable_name',
    'label_worker_axis', 'learning_curves', 'legend_entries', 'save_figure', 'say', 'shades',
    'spread_indices',
]
