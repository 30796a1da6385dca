"""Figures and pictures that training, evaluation and the report draw."""

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
    'draw_classifications', 'draw_curves', 'draw_detections', 'draw_lines', 'drawable_name',
    'label_worker_axis', 'learning_curves', 'legend_entries', 'save_figure', 'say', 'shades',
    'spread_indices',
]
