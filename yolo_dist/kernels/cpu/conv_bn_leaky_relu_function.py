"""Convolution, batch normalisation and leaky ReLU as one function."""
import chainer
import chainer.functions as F
import numpy as np

from yolo_dist.kernels.cpu import conv_algorithms, normalization
from yolo_dist.kernels.cpu.layout import channels_first, channels_last, constant


class ConvBNLeakyReLUFunction(chainer.FunctionNode):
    """Training-mode convolution, batch normalisation and leaky ReLU, and the sum with a shortcut.

    Three functions of Chainer in one, which reads each array fewer times and
    costs a third of the bookkeeping. Asked for gradients that can themselves be
    differentiated, it builds the graph of the three.

    Args:
        geometry (~yolo_dist.kernels.cpu.conv_algorithms.Geometry): Of the convolution.
        eps (float): Added to the variance.
        slope (float): Of the ReLU.
        running_mean (ndarray): Updated in place; ``None`` where it is not kept.
        running_var (ndarray): Updated in place.
        decay (float): Share of the old value in the running statistics.

    A fifth input is a shortcut ``(B, C', H', W')``, added to the output.

    Raises:
        ValueError: If the shortcut's shape is another than the output's.
    """

    def __init__(self, geometry, *, eps, slope, running_mean, running_var, decay):
        super().__init__()
        self.geometry = geometry
        self.eps = eps
        self.slope = slope
        self.running = running_mean, running_var
        self.decay = decay

    @property
    def label(self):
        return 'Conv2DBNActiv'

    def forward(self, inputs):
        x, w, gamma, beta, *shortcut = inputs
        self.retain_inputs((0, 1, 2, 3))
        h = conv_algorithms.forward(x, w, self.geometry)
        shortcut = [channels_last(array) for array in shortcut]
        if shortcut and shortcut[0].shape != h.shape:
            raise ValueError(f'shortcut {shortcut[0].shape} does not fit the output {h.shape}')
        mean, var = normalization.moments(h)
        inv_std = np.reciprocal(np.sqrt(var + h.dtype.type(self.eps)))
        y = normalization.normalize(
            h, mean, gamma * inv_std, beta, self.slope, *shortcut)
        normalization.update_running_statistics(
            *self.running, mean, var, h.size // len(mean), self.decay)
        self.saved = h, mean, inv_std
        return channels_first(y),

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        if chainer.config.enable_backprop:
            return self._differentiable_backward(inputs, indexes, *grad_outputs)
        x, w, gamma, beta = (variable.array for variable in inputs)
        h, mean, inv_std = self.saved
        gy = channels_last(grad_outputs[0].array)
        gh, ggamma, gbeta = normalization.backward(h, gy, mean, inv_std, gamma, beta, self.slope)
        gx = gw = None
        if 0 in indexes:
            gx = conv_algorithms.backward_data(gh, w, x.shape, self.geometry)
        if 1 in indexes:
            gw = conv_algorithms.backward_weights(x, gh, w.shape, self.geometry)
        gradients = gx, gw, ggamma, gbeta, grad_outputs[0].array
        return tuple(constant(gradients[i]) for i in indexes)

    def _differentiable_backward(self, inputs, indexes, gy):
        x, w, gamma, beta = inputs
        h = F.convolution_2d(x, w, stride=self.geometry.stride, pad=self.geometry.pad)
        h = F.batch_normalization(h, gamma, beta, eps=self.eps)
        y = F.leaky_relu(h, slope=self.slope)
        gradients = chainer.grad([y], inputs, [gy], enable_double_backprop=True)
        return [(*gradients, gy)[i] for i in indexes]
