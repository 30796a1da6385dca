"""Convolution as a function of Chainer's graph."""
import chainer
import chainer.functions as F

from yolo_dist.kernels.cpu import conv_algorithms
from yolo_dist.kernels.cpu.layout import channels_first, channels_last, constant


class Convolution2DFunction(chainer.FunctionNode):
    """Convolution, with or without a bias.

    Asked for gradients that can themselves be differentiated, it builds the graph of
    Chainer's functions.

    Args:
        geometry (~yolo_dist.kernels.cpu.conv_algorithms.Geometry): Stride, padding, algorithm.
    """

    def __init__(self, geometry):
        super().__init__()
        self.geometry = geometry

    def forward(self, inputs):
        x, w, *bias = inputs
        self.retain_inputs((0, 1))
        y = conv_algorithms.forward(x, w, self.geometry)
        for b in bias:
            y += b
        return channels_first(y),

    def backward(self, indexes, grad_outputs):
        x, w = self.get_retained_inputs()
        if chainer.config.enable_backprop:
            return self._differentiable_backward(x, w, indexes, grad_outputs[0])
        x, w = x.array, w.array
        gy = channels_last(grad_outputs[0].array)
        gradients = []
        if 0 in indexes:
            gradients.append(conv_algorithms.backward_data(gy, w, x.shape, self.geometry))
        if 1 in indexes:
            gradients.append(conv_algorithms.backward_weights(x, gy, w.shape, self.geometry))
        if 2 in indexes:
            gradients.append(gy.sum(axis=(0, 1, 2)))
        return [constant(gradient) for gradient in gradients]

    def _differentiable_backward(self, x, w, indexes, gy):
        y = F.convolution_2d(x, w, stride=self.geometry.stride, pad=self.geometry.pad)
        gradients = chainer.grad([y], [x, w], [gy], enable_double_backprop=True)
        return [F.sum(gy, axis=(0, 2, 3)) if i == 2 else gradients[i] for i in indexes]
