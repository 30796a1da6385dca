import chainer
import chainer.functions as F
import chainer.links as L

from yolo_dist.kernels.cpu.backend_switch import is_cpu_backend_on
from yolo_dist.kernels.cpu.convolution_2d import n_pixels
from yolo_dist.kernels.cpu.fixed_weights import keep
from yolo_dist.kernels.cpu.layout import are_supported


def conv_bn_leaky_relu(x, conv, bn, *, slope, shortcut=None):
    """Apply convolution, batch normalisation and leaky ReLU, and add a shortcut.

    The same as ``shortcut + F.leaky_relu(bn(conv(x)), slope)``, running statistics included;
    on NumPy arrays, where the CPU backend is on, in one function. With fixed statistics and no
    graph the shortcut is a part of it, see
    :func:`~yolo_dist.kernels.cpu.fixed_weights.fixed_weights`.

    Args:
        x (ndarray or ~chainer.Variable): Float ``(B, C, H, W)``.
        conv (~chainer.links.Convolution2D): The convolution.
        bn (~chainer.links.BatchNormalization): The normalisation.
        slope (float): Slope of the ReLU where its input is not positive.
        shortcut (~chainer.Variable): Float ``(B, C', H', W')``; ``None`` for nothing.

    Returns:
        ~chainer.Variable: Float ``(B, C', H', W')``.
    """
    x = chainer.as_variable(x)
    # Hooks of links see each link called.
    if is_cpu_backend_on() and not (chainer._get_link_hooks() or conv.local_link_hooks
                                    or bn.local_link_hooks):
        if chainer.config.train:
            if _is_plain(conv, bn) and _fits(x, conv) and n_pixels(
                    x.shape, conv.W.shape, conv.stride, conv.pad) > 1:
                return _train(x, conv, bn, slope, shortcut)
        elif not chainer.config.enable_backprop:
            block = _fixed_block(conv, bn, slope)
            if block is not None and _fits(x, conv):
                return _infer(x.array, block, shortcut)
    return _add(shortcut, F.leaky_relu(bn(conv(x)), slope=slope))


def _geometry(conv):
    from yolo_dist.kernels.cpu.conv_algorithms import get_geometry
    return get_geometry(conv.W.shape, tuple(conv.stride), tuple(conv.pad))


def _train(x, conv, bn, slope, shortcut):
    from yolo_dist.kernels.cpu.conv_bn_leaky_relu_function import ConvBNLeakyReLUFunction
    # A forward pass that only repeats another must not move the statistics again.
    running = (None, None) if chainer.config.in_recomputing else (bn.avg_mean, bn.avg_var)
    function = ConvBNLeakyReLUFunction(
        _geometry(conv), eps=bn.eps, slope=slope, running_mean=running[0],
        running_var=running[1], decay=bn.decay)
    inputs = x, conv.W, bn.gamma, bn.beta
    if shortcut is not None and are_supported(x.array, chainer.as_array(shortcut)):
        return function.apply((*inputs, shortcut))[0]
    return _add(shortcut, function.apply(inputs)[0])


def _add(shortcut, y):
    return y if shortcut is None else shortcut + y


def _fixed_block(conv, bn, slope):
    """Return the kept block of two links, or ``None`` where the kernels do not know the links."""
    def create():
        from yolo_dist.kernels.cpu.fixed_block import FixedBlock
        if not _is_plain(conv, bn):
            return None
        return FixedBlock(*arrays, geometry=_geometry(conv), eps=bn.eps, slope=slope)

    if type(bn) is not L.BatchNormalization or bn.gamma is None or bn.beta is None:
        return None
    arrays = conv.W.array, bn.gamma.array, bn.beta.array, bn.avg_mean, bn.avg_var
    return keep((*map(id, arrays), conv.stride, conv.pad, bn.eps, slope), create)


def _infer(x, block, shortcut):
    array = chainer.as_array(shortcut)
    if shortcut is None or are_supported(x, array):
        return chainer.as_variable(block(x, array))
    return _add(shortcut, chainer.as_variable(block(x)))


def _is_plain(conv, bn):
    """Whether the kernels know what the two links compute."""
    return (isinstance(conv, L.Convolution2D) and type(bn) is L.BatchNormalization
            and conv.b is None and conv.groups == 1 and tuple(conv.dilate) == (1, 1)
            and not conv.cudnn_fast and bn.axis is None
            and all(value is not None for value in (bn.gamma, bn.beta, bn.avg_mean))
            and conv.W.array is not None and _are_supported(conv.W.array, bn))


def _are_supported(w, bn):
    vectors = bn.gamma.array, bn.beta.array, bn.avg_mean, bn.avg_var
    return are_supported(w, *vectors) and all(vector.shape == w.shape[:1] for vector in vectors)


def _fits(x, conv):
    return (x.ndim == 4 and x.layout is None and x.shape[1] == conv.W.shape[1]
            and are_supported(x.array, conv.W.array)
            and n_pixels(x.shape, conv.W.shape, conv.stride, conv.pad) > 0)
