"""Figures and pictures that training, evaluation and the report draw."""

from yolo_dist.drawing.by_class import draw_ap_by_class, draw_precision_recall
from yolo_dist.drawing.confusion import draw_confusion
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
from yolo_dist.drawing.pictures import Box, Picture, draw_sheet, spread_indices

__all__ = [
    'GREY', 'PAPER', 'WRONG', 'Box', 'Picture', 'add_caveat', 'add_legend', 'create_figure',
    'draw_ap_by_class', 'draw_confusion', 'draw_curves', 'draw_precision_recall', 'draw_sheet',
    'label_worker_axis', 'learning_curves', 'legend_entries', 'save_figure', 'say', 'shades',
    'spread_indices', 'tolerate_failure', 'write_figure',
]
