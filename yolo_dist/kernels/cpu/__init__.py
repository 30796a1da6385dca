"""What makes Chainer fast where its own accelerators are gone.

The CPU backend runs Chainer's convolution, batch normalisation, leaky ReLU and
momentum SGD on NumPy arrays in kernels made for them; nothing changes for the
models, and ``YOLO_DIST_CPU_BACKEND=off`` leaves everything to Chainer.
"""
from yolo_dist.kernels.cpu.chainer_functions import install
from yolo_dist.kernels.cpu.conv_bn_leaky_relu import conv_bn_leaky_relu
from yolo_dist.kernels.cpu.switch import is_cpu_backend_on, using_cpu_backend

install()

__all__ = ['conv_bn_leaky_relu', 'is_cpu_backend_on', 'using_cpu_backend']
