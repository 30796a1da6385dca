"""Pictures and tables, made from what a run directory or a model holds."""

from yolo_dist.reporting.curves import draw_curves  # noqa: F401
from yolo_dist.reporting.pictures import (
    draw_classifications,  # noqa: F401
    draw_detections,  # noqa: F401
    spread_indices,  # noqa: F401
)
from yolo_dist.reporting.tables import comparison_table  # noqa: F401
