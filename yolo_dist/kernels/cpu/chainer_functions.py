"""Puts the backend under Chainer's own functions.

Each replacement takes the arrays that it knows (NumPy, float32 or float64, no
groups, no dilation) and leaves all others, CuPy's among them, to Chainer. Only the
arrays are computed elsewhere: graph, retained variables and types stay Chainer's,
and derivatives of derivatives are Chainer's altogether.
"""
import functools

import chainer
import numpy as np
from chainer.functions.activation import leaky_relu
from chainer.functions.connection import convolution_2d
from chainer.functions.normalization import batch_normalization
from chainer.optimizer_hooks import WeightDecay
from chainer.optimizers import corrected_momentum_sgd

from yolo_dist.kernels.cpu.layout import are_supported, channels_first, channels_last, constant
from yolo_dist.kernels.cpu.switch import is_cpu_backend_on

_installed = False


def install():
    """Replaces the methods, once; :func:`is_cpu_backend_on` is asked at each call."""
    global _installed
    if _installed:
        return
    _installed = True
    for owner, name, replacement in (
            (convolution_2d.Convolution2DFunction, 'forward_cpu', _convolution_forward),
            (convolution_2d.Convolution2DFunction, 'backward', _convolution_backward),
            (batch_normalization.GeneralBatchNormalizationImpl, 'forward', _normalization_forward),
            (batch_normalization.GeneralBatchNormalizationImpl, 'backward',
             _normalization_backward),
            (batch_normalization.FixedBatchNormalization, 'forward',
             _fixed_normalization_forward),
            (leaky_relu.LeakyReLU, 'forward_cpu', _leaky_relu_forward),
            (leaky_relu._LeakyReLUGrad, 'forward_cpu', _leaky_relu_gradient),
            (corrected_momentum_sgd.CorrectedMomentumSGDRule, 'update_core_cpu',
             _momentum_update),
            (WeightDecay, '__call__', _weight_decay)):
        _replace(owner, name, replacement)


def _replace(owner, name, replacement):
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(self, *args, **kwargs):
        if is_cpu_backend_on():
            result = replacement(self, *args, **kwargs)
            if result is not NotImplemented:
                return result
        return original(self, *args, **kwargs)
    setattr(owner, name, method)


def _geometry(function, w):
    from yolo_dist.kernels.cpu.convolution import get_geometry
    return get_geometry(w.shape, (function.sy, function.sx), (function.ph, function.pw))


def _is_known_convolution(function, arrays):
    return (function.groups == 1 and (function.dy, function.dx) == (1, 1)
            and not function.cover_all and not function.cudnn_fast
            and all(layout is None for layout in function.input_layouts)
            and are_supported(*arrays))


def _convolution_forward(function, inputs):
    if not _is_known_convolution(function, inputs):
        return NotImplemented
    from yolo_dist.kernels.cpu import convolution
    x, w, *bias = inputs
    # Chainer's own checks of the size, with its messages.
    function._get_out_size(x.shape, w.shape)
    function.retain_inputs((0, 1))
    y = convolution.forward(x, w, _geometry(function, w))
    for b in bias:
        y += b
    return channels_first(y),


def _convolution_backward(function, indexes, grad_outputs):
    if chainer.config.enable_backprop:
        return NotImplemented
    x, w = (variable.array for variable in function.get_retained_inputs())
    gy = grad_outputs[0].array
    if not _is_known_convolution(function, (x, w, gy)):
        return NotImplemented
    from yolo_dist.kernels.cpu import convolution
    geometry = _geometry(function, w)
    gy = channels_last(gy)
    gradients = []
    if 0 in indexes:
        gradients.append(convolution.backward_data(gy, w, x.shape, geometry))
    if 1 in indexes:
        gradients.append(convolution.backward_weights(x, gy, w.shape, geometry))
    if 2 in indexes:
        gradients.append(gy.sum(axis=(0, 1, 2)))
    return [constant(gradient) for gradient in gradients]


def _is_known_normalization(x, axis, vectors):
    return x.ndim == 4 and tuple(axis) == (0, 2, 3) and are_supported(x, *vectors)


def _normalization_forward(impl, axis, gamma, x, x_layout, xp, expander, beta, eps, decay,
                           running_mean, running_var):
    running = [array for array in (running_mean, running_var) if array is not None]
    if x_layout is not None or not _is_known_normalization(x, axis, (gamma, beta, *running)):
        return NotImplemented
    if type(impl) is not batch_normalization.GeneralBatchNormalizationImpl:
        return NotImplemented  # such as the one that averages over processes
    from yolo_dist.kernels.cpu import normalization
    x = channels_last(x)
    mean, var = normalization.moments(x)
    inv_std = np.reciprocal(np.sqrt(var + x.dtype.type(eps)))
    y = normalization.normalize(x, mean, gamma * inv_std, beta, 1)
    normalization.update_running_statistics(
        running_mean, running_var, mean, var, x.size // gamma.size, decay)
    return channels_first(y), x_layout, running_mean, running_var, mean, var, inv_std, None


def _normalization_backward(impl, axis, gamma, gy, x, x_layout, xp, expander, mean, inv_std, eps,
                            var, forward_data):
    if x_layout is not None or not _is_known_normalization(x, axis, (gamma, gy, mean, inv_std)):
        return NotImplemented
    if type(impl) is not batch_normalization.GeneralBatchNormalizationImpl:
        return NotImplemented
    from yolo_dist.kernels.cpu import normalization
    gx, ggamma, gbeta = normalization.backward(
        channels_last(x), channels_last(gy), mean, inv_std, gamma, np.zeros_like(gamma), 1)
    return channels_first(gx), None, ggamma, gbeta


def _fixed_normalization_forward(function, inputs):
    x, gamma, beta, mean, var = inputs
    axis = (0, 2, 3) if function.axis is None else function.axis
    if not _is_known_normalization(x, axis, (gamma, beta, mean, var)) or gamma.ndim != 1:
        return NotImplemented
    from yolo_dist.kernels.cpu import normalization
    function.retain_inputs((0, 1, 3, 4))
    function.axis = axis
    function.key_axis = (1,)
    function.expander = (None, slice(None), None, None)
    function.inv_var = np.reciprocal(var + var.dtype.type(function.eps))
    function.inv_std = np.sqrt(function.inv_var)
    y = normalization.normalize(channels_last(x), mean, gamma * function.inv_std, beta, 1)
    return channels_first(y),


def _flat(*arrays):
    """Views of equally laid out arrays as flat memory; ``None`` where they are not."""
    if not are_supported(*arrays):
        return None
    if arrays[0].ndim == 4:
        arrays = [array.transpose(0, 2, 3, 1) for array in arrays]
        if all(array.flags.c_contiguous for array in arrays):
            return arrays, channels_first
        arrays = [channels_first(array) for array in arrays]
    if all(array.flags.c_contiguous for array in arrays):
        return arrays, lambda y: y
    return None


def _leaky_relu_forward(function, inputs):
    known = _flat(*inputs)
    if known is None:
        return NotImplemented
    from yolo_dist.kernels.cpu import normalization
    (x,), restore = known
    if function.slope >= 0:
        function.retain_outputs((0,))
    else:
        function.retain_inputs((0,))
    return restore(normalization.leaky_relu(x, function.slope)),


def _leaky_relu_gradient(function, inputs):
    known = _flat(function.cond, *inputs)
    if known is None:
        return NotImplemented
    from yolo_dist.kernels.cpu import normalization
    (condition, gy), restore = known
    return restore(normalization.leaky_relu_gradient(condition, gy, function.slope)),


def _momentum_update(rule, param):
    arrays = param.array, param.grad, rule.state['v']
    if param.grad is None or not are_supported(*arrays) \
            or not all(array.flags.c_contiguous for array in arrays):
        return NotImplemented
    from yolo_dist.kernels.cpu import updates
    updates.momentum(*arrays, lr=rule.hyperparam.lr, momentum=rule.hyperparam.momentum)
    return None


def _weight_decay(hook, rule, param):
    arrays = param.array, param.grad
    if any(array is None for array in arrays) or not are_supported(*arrays) \
            or not all(array.flags.c_contiguous for array in arrays):
        return NotImplemented
    from yolo_dist.kernels.cpu import updates
    updates.weight_decay(*arrays, rate=hook.rate * (param._loss_scale or 1))
    return None
