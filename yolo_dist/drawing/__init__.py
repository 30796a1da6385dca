"""Figures and pictures that training, evaluation and the report draw.

Matplotlib is imported where something is drawn: it takes a quarter of the time in which
a process starts, and most processes of a job draw nothing.
"""

from yolo_dist.drawing.boxes_and_anchors import draw_boxes_and_anchors
from yolo_dist.drawing.by_class import draw_ap_by_class, draw_precision_recall
from yolo_dist.drawing.confusion import draw_confusion
from yolo_dist.drawing.contact_sheet import draw_contact_sheet
from yolo_dist.drawing.curves import draw_curves, learning_curves
from yolo_dist.drawing.figures import (
    GREY,
    PAPER,
    WRONG,
    add_caveat,
    add_legend,
    create_figure,
    label_worker_axis,
    legend_entries,
    save_figure,
    say,
    shades,
    tolerate_failure,
    write_figure,
)
from yolo_dist.drawing.labelled_picture import draw_boxes, draw_lines, drawable_name
from yolo_dist.drawing.pictures import Box, Picture, draw_sheet, spread_indices

__all__ = [
    'GREY', 'PAPER', 'WRONG', 'Box', 'Picture', 'add_caveat', 'add_legend', 'create_figure',
    'draw_ap_by_class', 'draw_boxes', 'draw_boxes_and_anchors', 'draw_confusion',
    'draw_contact_sheet', 'draw_curves', 'draw_lines', 'draw_precision_recall', 'draw_sheet',
    'drawable_name', 'label_worker_axis', 'learning_curves', 'legend_entries', 'save_figure',
    'say', 'shades', 'spread_indices', 'tolerate_failure', 'write_figure',
]
