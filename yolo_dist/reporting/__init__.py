"""The report: the tables and figures of the paper beside ours."""

from yolo_dist.reporting.accuracy_curves import draw_accuracy_curves
from yolo_dist.reporting.batch_size import draw_batch_size
from yolo_dist.reporting.loss_curves import draw_loss_curves, loss_csv_lines, loss_table
from yolo_dist.reporting.outcome_grid import draw_outcome_grid, outcome_table
from yolo_dist.reporting.pages import PAGES, PAPER_SITE, SPEED_UPS, create_page, general_page
from yolo_dist.reporting.speed_up import (
    Prediction,
    draw_speed_up,
    measured_points,
    speed_up_csv_lines,
    speed_up_table,
)
from yolo_dist.reporting.tables import (
    changed_settings_table,
    comparison_table,
    metric_lines,
    table_2,
    write_csv,
)
from yolo_dist.reporting.values import reported_values

__all__ = [
    'PAGES', 'PAPER_SITE', 'SPEED_UPS', 'Prediction', 'changed_settings_table', 'comparison_table',
    'create_page', 'draw_accuracy_curves', 'draw_batch_size', 'draw_loss_curves',
    'draw_outcome_grid', 'draw_speed_up', 'general_page', 'loss_csv_lines', 'loss_table',
    'measured_points', 'metric_lines', 'outcome_table', 'reported_values', 'speed_up_csv_lines',
    'speed_up_table', 'table_2', 'write_csv',
]
