"""The report: the tables and figures of the paper beside ours."""

from yolo_dist.reporting.accuracy_curves import draw_accuracy_curves  # noqa: F401
from yolo_dist.reporting.batch_size import draw_batch_size  # noqa: F401
from yolo_dist.reporting.loss_curves import (
    draw_loss_curves,  # noqa: F401
    loss_csv_lines,  # noqa: F401
    loss_table,  # noqa: F401
)
from yolo_dist.reporting.outcome_grid import draw_outcome_grid, outcome_table  # noqa: F401
from yolo_dist.reporting.speed_up import (
    Prediction,  # noqa: F401
    draw_speed_up,  # noqa: F401
    measured_points,  # noqa: F401
    speed_up_csv_lines,  # noqa: F401
    speed_up_table,  # noqa: F401
)
from yolo_dist.reporting.tables import (
    changed_settings_table,  # noqa: F401
    comparison_table,  # noqa: F401
    metric_lines,  # noqa: F401
    table_2,  # noqa: F401
    write_csv,  # noqa: F401
)
from yolo_dist.reporting.words import reported_values  # noqa: F401
