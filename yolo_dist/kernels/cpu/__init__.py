"""What computes on a CPU in the place of Chainer's own accelerator, which is gone.

The links and the optimizer of this package call these kernels by name, for NumPy arrays of
float32 or float64. Nothing of Chainer is replaced, and ``YOLO_DIST_CPU_BACKEND=off`` leaves
everything to Chainer.
"""
from yolo_dist.kernels.cpu.backend_switch import is_cpu_backend_on, using_cpu_backend
from yolo_dist.kernels.cpu.conv_bn_leaky_relu import conv_bn_leaky_relu
from yolo_dist.kernels.cpu.convolution_2d import convolution_2d
from yolo_dist.kernels.cpu.fixed_weights import fixed_weights

__all__ = ['conv_bn_leaky_relu', 'convolution_2d', 'fixed_weights', 'is_cpu_backend_on',
           'using_cpu_backend']
