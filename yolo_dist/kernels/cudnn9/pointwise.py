"""Pooling, softmax and activations, by the functions of ``libcudnn``."""
import ctypes
import math

from yolo_dist.kernels.cudnn9 import constants, device, layout, library

_SOFTMAX_MODE_CHANNEL = 1


def _tensor(array):
    """Descriptor of a contiguous ``(N, C, H, W)``."""
    dims = layout.semantic_shape(array.shape, constants.CUDNN_TENSOR_NCHW)
    return library.tensor(array.dtype.char, dims,
                          layout.strides(dims, constants.CUDNN_TENSOR_NCHW))


def _flat_tensor(array, dims):
    return library.tensor(array.dtype.char, dims,
                          layout.strides(dims, constants.CUDNN_TENSOR_NCHW))


def pooling_forward(x, y, ksize, stride, pad, mode):
    """Pool two-dimensional planes.

    Args:
        x (cupy.ndarray): ``(N, C, H, W)``.
        y (cupy.ndarray): ``(N, C, H', W')``, contiguous; written.
        ksize, stride, pad (tuple of int): Vertical, horizontal.
        mode (int): ``CUDNN_POOLING_...``.

    Returns:
        cupy.ndarray: ``y``.

    Raises:
        ValueError: If ``y`` is not contiguous.
    """
    x = device.contiguous(x)
    if not y.flags.c_contiguous:
        raise ValueError('the array for the result is not contiguous')
    library.call(
        'cudnnPoolingForward', library.raw_handle(device.handle()),
        library.pooling(mode, tuple(ksize), tuple(pad), tuple(stride)),
        library.one(x.dtype), _tensor(x), device.pointer(x),
        library.zero(x.dtype), _tensor(y), device.pointer(y))
    return y


def pooling_backward(x, y, gy, ksize, stride, pad, mode):
    """Gradient of :func:`pooling_forward`, of the shape of ``x``."""
    x, y, gy = (device.contiguous(array) for array in (x, y, gy))
    gx = device.empty(x.shape, x.dtype)
    library.call(
        'cudnnPoolingBackward', library.raw_handle(device.handle()),
        library.pooling(mode, tuple(ksize), tuple(pad), tuple(stride)),
        library.one(x.dtype), _tensor(y), device.pointer(y), _tensor(gy), device.pointer(gy),
        _tensor(x), device.pointer(x), library.zero(x.dtype), _tensor(gx), device.pointer(gx))
    return gx


def _softmax_dims(shape, axis):
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1:]), 1


def softmax_forward(x, axis, algorithm):
    """Softmax, or its logarithm, along an axis.

    Args:
        x (cupy.ndarray): Of any shape.
        axis (int): Along which the results add up to one.
        algorithm (int): ``CUDNN_SOFTMAX_ACCURATE`` or ``CUDNN_SOFTMAX_LOG``.

    Returns:
        cupy.ndarray: Of the shape of ``x``.
    """
    x = device.contiguous(x)
    y = device.empty(x.shape, x.dtype)
    tensor = _flat_tensor(x, _softmax_dims(x.shape, axis))
    library.call(
        'cudnnSoftmaxForward', library.raw_handle(device.handle()), ctypes.c_int(algorithm),
        ctypes.c_int(_SOFTMAX_MODE_CHANNEL), library.one(x.dtype), tensor, device.pointer(x),
        library.zero(x.dtype), tensor, device.pointer(y))
    return y


def softmax_backward(y, gy, axis, algorithm):
    """Gradient of :func:`softmax_forward`, from its result."""
    y, gy = device.contiguous(y), device.contiguous(gy)
    gx = device.empty(y.shape, y.dtype)
    tensor = _flat_tensor(y, _softmax_dims(y.shape, axis))
    library.call(
        'cudnnSoftmaxBackward', library.raw_handle(device.handle()), ctypes.c_int(algorithm),
        ctypes.c_int(_SOFTMAX_MODE_CHANNEL), library.one(y.dtype), tensor, device.pointer(y),
        tensor, device.pointer(gy), library.zero(y.dtype), tensor, device.pointer(gx))
    return gx


def activation_forward(x, mode, coef=0.0):
    """Apply an activation to each element.

    Args:
        x (cupy.ndarray): Of any shape.
        mode (int): ``CUDNN_ACTIVATION_...``.
        coef (float): Ceiling of a clipped ReLU.

    Returns:
        cupy.ndarray: Of the shape of ``x``.
    """
    x = device.contiguous(x)
    y = device.empty(x.shape, x.dtype)
    tensor = _flat_tensor(x, (1, 1, 1, x.size))
    library.call(
        'cudnnActivationForward', library.raw_handle(device.handle()),
        library.activation(mode, float(coef)), library.one(x.dtype), tensor, device.pointer(x),
        library.zero(x.dtype), tensor, device.pointer(y))
    return y


def activation_backward(x, y, gy, mode, coef=0.0):
    """Gradient of :func:`activation_forward`, of the shape of ``x``."""
    x, y, gy = (device.contiguous(array) for array in (x, y, gy))
    gx = device.empty(x.shape, x.dtype)
    tensor = _flat_tensor(x, (1, 1, 1, x.size))
    library.call(
        'cudnnActivationBackward', library.raw_handle(device.handle()),
        library.activation(mode, float(coef)), library.one(x.dtype), tensor, device.pointer(y),
        tensor, device.pointer(gy), tensor, device.pointer(x), library.zero(x.dtype), tensor,
        device.pointer(gx))
    return gx
