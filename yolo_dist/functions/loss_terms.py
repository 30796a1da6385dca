from typing import NamedTuple

import chainer
import chainer.functions as F
from chainer import backend


class LossTerms(NamedTuple):
    """The four parts of a detection loss, to be added up.

    Attributes:
        xy (~chainer.Variable): Box centres; scalar, dimensionless like the others.
        wh (~chainer.Variable): Box sizes.
        obj (~chainer.Variable): Objectness.
        conf (~chainer.Variable): Classes.
    """

    xy: chainer.Variable
    wh: chainer.Variable
    obj: chainer.Variable
    conf: chainer.Variable


def check_outputs(locs, objs, confs, default_boxes):
    """Check a network's outputs against each other and lift float16 to float32.

    Args:
        locs (ndarray or ~chainer.Variable): Float ``(B, N, 4)``.
        objs (ndarray or ~chainer.Variable): Float ``(B, N)``.
        confs (ndarray or ~chainer.Variable): Float ``(B, N, C)``.
        default_boxes (DefaultBoxes): ``N`` boxes.

    Returns:
        tuple of ~chainer.Variable: The same three, float32 or float64.

    Raises:
        ValueError: If they disagree in ``B`` or ``N``.
    """
    batch_shape = (len(objs), len(default_boxes.step_px))
    if (locs.shape != batch_shape + (4,) or objs.shape != batch_shape
            or confs.shape[:2] != batch_shape or confs.ndim != 3):
        raise ValueError(
            f'locs {locs.shape}, objs {objs.shape} and confs {confs.shape} do not fit '
            f'{batch_shape[1]} default boxes; expected (B, N, 4), (B, N) and (B, N, C)')
    return tuple(
        F.cast(x, 'float32') if x.dtype.char == 'e' else chainer.as_variable(x)
        for x in (locs, objs, confs))


def loss_divisor(loss_norm, objs, valid):
    """Give the number that a summed loss is divided by.

    Args:
        loss_norm ({'image', 'positive', 'cell'}): ``'image'`` is Darknet's
            mean over images; ``'positive'`` the number of truths in the
            batch, at least 1; ``'cell'`` the number of default boxes in the
            batch.
        objs (~chainer.Variable): ``(B, N)``.
        valid (ndarray): Bool ``(B, T)``, truths that count.

    Returns:
        int or ndarray: Scalar; for ``'positive'`` on the device.

    Raises:
        ValueError: If ``loss_norm`` is another word.
    """
    if loss_norm == 'image':
        return len(objs)
    if loss_norm == 'cell':
        return objs.size
    if loss_norm == 'positive':
        xp = backend.get_array_module(valid)
        return xp.maximum(valid.sum(), 1).astype(objs.dtype)
    raise ValueError(f"loss_norm is {loss_norm!r}, must be 'image', 'positive' or 'cell'")
