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
    is_training = chainer.config.train
    is_known = is_cpu_backend_on() and _is_known(x, conv, bn)
    if is_known and not is_training and not chainer.config.enable_backprop:
        return chainer.as_variable(_infer(x.array, conv, bn, slope, shortcut))
    if is_known and is_training:
        return _train(x, conv, bn, slope, shortcut)
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


def _infer(x, conv, bn, slope, shortcut):
    from yolo_dist.kernels.cpu.fixed_block import FixedBlock
    arrays = conv.W.array, bn.gamma.array, bn.beta.array, bn.avg_mean, bn.avg_var
    geometry = _geometry(conv)
    block = keep((*map(id, arrays), geometry, bn.eps, slope), lambda: FixedBlock(
        *arrays, geometry=geometry, eps=bn.eps, slope=slope))
    return block(x, None if shortcut is None else chainer.as_array(shortcut))


def _is_known(x, conv, bn):
    # Hooks of links see each link called.
    return (isinstance(conv, L.Convolution2D) and type(bn) is L.BatchNormalization
            and conv.b is None and conv.groups == 1 and tuple(conv.dilate) == (1, 1)
            and not conv.cudnn_fast and bn.axis is None
            and not chainer._get_link_hooks()
            and not conv.local_link_hooks and not bn.local_link_hooks
            and all(value is not None for value in (bn.gamma, bn.beta, bn.avg_mean))
            and x.ndim == 4 and x.layout is None and conv.W.array is not None
            and x.shape[1] == conv.W.shape[1]
            and _are_supported(x.array, conv.W.array, bn)
            and n_pixels(x.shape, conv.W.shape, conv.stride, conv.pad) > 1)


def _are_supported(x, w, bn):
    vectors = bn.gamma.array, bn.beta.array, bn.avg_mean, bn.avg_var
    return (are_supported(x, w, *vectors)
            and all(vector.shape == w.shape[:1] for vector in vectors))
