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
    """Check the shapes of a network's outputs and convert float16 to float32.

    Args:
        locs (ndarray or ~chainer.Variable): Float ``(B, N, 4)``.
        objs (ndarray or ~chainer.Variable): Float ``(B, N)``.
        confs (ndarray or ~chainer.Variable): Float ``(B, N, C)``.
        default_boxes (DefaultBoxes): ``N`` boxes.

    Returns:
        tuple of ~chainer.Variable: The same three, float32 or float64.

    Raises:
        ValueError: If the outputs disagree in ``B`` or ``N``.
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


LOSS_NORMS = ('image', 'positive', 'cell', 'element')


def normalize_terms(terms, loss_norm, confs, valid):
    """Divide the sums of a loss over a batch.

    Args:
        terms (sequence of ~chainer.Variable): The four sums, in the order of :class:`LossTerms`.
        loss_norm ({'image', 'positive', 'cell', 'element'}): The divisor of each sum.
            ``'image'``: the number of images ``B``, as in Darknet. ``'positive'``: the number of
            truths in the batch, at least 1. ``'cell'``: the number of default boxes ``B N``.
            ``'element'``: the number of elements of the output that the term is computed from,
            ``4 B N`` for boxes, ``B N`` for objectness and ``B N C`` for classes.
        confs (~chainer.Variable): ``(B, N, C)``.
        valid (ndarray): Bool ``(B, T)``, the truths that count.

    Returns:
        LossTerms: The four quotients.

    Raises:
        ValueError: If ``loss_norm`` is another word.
    """
    n_images, n_boxes, n_class = confs.shape
    if loss_norm == 'element':
        divisors = [n_images * n_boxes * n for n in (4, 4, 1, n_class)]
    elif loss_norm == 'positive':
        xp = backend.get_array_module(valid)
        divisors = 4 * [xp.maximum(valid.sum(), 1).astype(confs.dtype)]
    elif loss_norm in LOSS_NORMS:
        divisors = 4 * [{'image': n_images, 'cell': n_images * n_boxes}[loss_norm]]
    else:
        raise ValueError(f'loss_norm is {loss_norm!r}, must be one of {LOSS_NORMS}')
    return LossTerms(*(term / divisor for term, divisor in zip(terms, divisors, strict=True)))
