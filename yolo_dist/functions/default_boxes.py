from typing import Any, NamedTuple

import numpy as np


class DefaultBoxes(NamedTuple):
    """The boxes that a detector refines, for one input size.

    The ``N`` boxes have the order of the network's output: scale by scale
    (coarse first), row by row, column by column, anchor by anchor. Sizes are in
    pixels of the network's input. The last two fields list the ``A`` distinct
    anchors in Darknet's order (fine scale first). This order decides ties.

    Attributes:
        cell (ndarray): Float32 ``(N, 2)``, ``(row, column)`` of the cell.
        anchor_px (ndarray): Float32 ``(N, 2)``, ``(height, width)``.
        step_px (ndarray): Float32 ``(N,)``, side of a cell.
        insize (tuple of int): ``(height, width)`` of the network's input.
        anchor_table_px (ndarray): Float32 ``(A, 2)``, ``(height, width)``.
        anchor_grid (ndarray): Int32 ``(A, 5)``: cell side in pixels, rows,
            columns, anchors per cell, index of this anchor's box in the cell
            at row 0, column 0.
    """

    cell: Any
    anchor_px: Any
    step_px: Any
    insize: tuple
    anchor_table_px: Any
    anchor_grid: Any


def create_default_boxes(insize, steps_px, anchors_px):
    """Lay out the default boxes of a detector, as NumPy arrays.

    Args:
        insize (tuple of int): ``(height, width)`` of the network's input,
            pixels; multiples of every step.
        steps_px (sequence of int): Side of a cell for each scale, coarse
            scale first.
        anchors_px (sequence of sequences of (float, float)): For each scale
            its anchors ``(height, width)``, small to large.

    Returns:
        DefaultBoxes: 845 boxes for YOLOv2 at 416 px; 10,647 for YOLOv3 at
        416 px and 22,743 at 608 px.
    """
    cells, sizes, steps, table, grids = [], [], [], [], []
    n_box = 0
    for step, anchors in zip(steps_px, anchors_px, strict=True):
        rows, columns = insize[0] // step, insize[1] // step
        n_cell, n_anchor = rows * columns, len(anchors)
        corner = np.stack(np.indices((rows, columns)), axis=-1).reshape(n_cell, 2)
        cells.append(np.repeat(corner, n_anchor, axis=0))
        sizes.append(np.tile(anchors, (n_cell, 1)))
        steps.append(np.full(n_cell * n_anchor, step))
        table.insert(0, anchors)
        grids.insert(0, [(step, rows, columns, n_anchor, n_box + a) for a in range(n_anchor)])
        n_box += n_cell * n_anchor
    return DefaultBoxes(
        np.concatenate(cells).astype(np.float32),
        np.concatenate(sizes).astype(np.float32),
        np.concatenate(steps).astype(np.float32),
        tuple(insize),
        np.concatenate(table).astype(np.float32),
        np.concatenate(grids).astype(np.int32))
