"""Figures and pictures that training, evaluation and the report draw."""

from yolo_dist.drawing.curves import draw_curves, learning_curves
from yolo_dist.drawing.figures import add_caveat, save_figure
from yolo_dist.drawing.pictures import draw_classifications, draw_detections, spread_indices

__all__ = ['add_caveat', 'draw_classifications', 'draw_curves', 'draw_detections',
           'learning_curves', 'save_figure', 'spread_indices']
