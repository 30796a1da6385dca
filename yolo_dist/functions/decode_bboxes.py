from chainer import backend

# exp(30) px is far outside any image, and its square still fits into float32. A
# diverging network therefore gives huge boxes, not overflow warnings and NaN.
_MAX_LOG_SIZE = 30


def decode_bboxes(locs, default_boxes):
    """Turn raw box outputs into boxes in pixels of the network's input.

    The centre is ``(cell + sigmoid(t)) * step``, the size is
    ``anchor * exp(t)`` [1, Sec. 2.1].

    Args:
        locs (ndarray): Raw float array ``(..., N, 4)`` of
            ``(t_y, t_x, t_h, t_w)``; float16 is decoded in float32.
        default_boxes (DefaultBoxes): The ``N`` boxes that ``locs`` refines. Only
            the fields ``cell``, ``anchor_px`` and ``step_px`` are used.

    Returns:
        ndarray: Float ``(..., N, 4)``, ``(y_min, x_min, y_max, x_max)``, not
        clipped to the image.

    References:
        [1] J. Redmon, A. Farhadi. YOLOv3: An Incremental Improvement. 2018.
    """
    xp = backend.get_array_module(locs)
    if locs.dtype.char == 'e':
        locs = locs.astype('f')
    centre = 0.5 * xp.tanh(0.5 * locs[..., :2]) + 0.5
    centre += default_boxes.cell
    centre *= default_boxes.step_px[..., None]
    half_size = xp.exp(xp.clip(locs[..., 2:], -_MAX_LOG_SIZE, _MAX_LOG_SIZE))
    half_size *= 0.5 * default_boxes.anchor_px
    return xp.concatenate((centre - half_size, centre + half_size), axis=-1)
