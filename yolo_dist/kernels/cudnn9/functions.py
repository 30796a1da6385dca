"""What Chainer asks of ``cupyx.cudnn``, with the same names and arguments.

Only what the networks of this package use is here. Arrays are CuPy's; those that
are not contiguous are copied first.
"""
from yolo_dist.kernels.cudnn9 import constants, convolution, device, layout
from yolo_dist.kernels.cudnn9.convolution import (
    get_max_workspace_size,
    is_tensor_core_available,
    set_max_workspace_size,
)
from yolo_dist.kernels.cudnn9.normalization import (
    batch_normalization_backward,
    batch_normalization_forward_inference,
    batch_normalization_forward_training_ex,
)
from yolo_dist.kernels.cudnn9.pointwise import (
    activation_backward,
    activation_forward,
    pooling_backward,
    pooling_forward,
    softmax_backward,
    softmax_forward,
)

__all__ = [
    'activation_backward', 'activation_forward', 'batch_normalization_backward',
    'batch_normalization_forward_inference', 'batch_normalization_forward_training_ex',
    'convolution_backward_data', 'convolution_backward_filter', 'convolution_forward',
    'get_max_workspace_size', 'is_tensor_core_available', 'pooling_backward', 'pooling_forward',
    'set_max_workspace_size', 'softmax_backward', 'softmax_forward',
]


def __getattr__(name):
    raise AttributeError(
        f'cuDNN 9 is not set up for {name}, which no network of yolo_dist calls; let Chainer '
        "compute it: `with chainer.using_config('use_cudnn', 'never')`")


def _run(operation, x, w, y, arrays, pad, stride, dilation, groups, tensor_core, deterministic,
         auto_tune, d_layout, w_layout):
    if groups != 1:
        raise ValueError(f'found {groups} groups of channels, but cuDNN 9 is set up for one only; '
                         "let Chainer compute it: `with chainer.using_config('use_cudnn', "
                         "'never')`")
    result = arrays[-1]
    if not result.flags.c_contiguous:
        raise ValueError('the array for the result is not contiguous')
    if any(array.dtype != result.dtype for array in arrays):
        raise ValueError(f'found dtypes {[str(array.dtype) for array in arrays]}, '
                         'expected one for all arrays')
    problem = convolution.Problem(
        operation, layout.semantic_shape(x.shape, d_layout),
        layout.semantic_shape(w.shape, w_layout), layout.semantic_shape(y.shape, d_layout),
        tuple(pad), tuple(stride), tuple(dilation), result.dtype.char, d_layout, w_layout,
        convolution.use_tensor_cores(tensor_core, result.dtype), bool(deterministic),
        get_max_workspace_size())
    operands = tuple(device.contiguous(array) for array in arrays[:-1])
    convolution.run(problem, (*operands, result), auto_tune=auto_tune)


def convolution_forward(x, W, b, y, pad, stride, dilation, groups, *,  # noqa: N803
                        auto_tune, tensor_core, d_layout=constants.CUDNN_TENSOR_NCHW,
                        w_layout=constants.CUDNN_TENSOR_NCHW):
    """Write the convolution of ``x`` with ``W``, plus the bias ``b`` unless ``None``, to ``y``.

    Args:
        x (cupy.ndarray): ``(N, C, H, W)`` in the order of ``d_layout``.
        W (cupy.ndarray): ``(K, C, R, S)`` in the order of ``w_layout``.
        b (cupy.ndarray): ``(K,)`` or ``None``.
        y (cupy.ndarray): ``(N, K, H', W')`` like ``x``.
        pad, stride, dilation (tuple of int): Vertical, horizontal.
        groups (int): 1.
        auto_tune (bool): Chainer's ``autotune``.
        tensor_core ({'always', 'auto', 'never'}): Chainer's ``use_cudnn_tensor_core``.
        d_layout, w_layout (int): ``CUDNN_TENSOR_NCHW`` or ``CUDNN_TENSOR_NHWC``.
    """
    _run('forward', x, W, y, (x, W, y), pad, stride, dilation, groups, tensor_core,
         False, auto_tune, d_layout, w_layout)
    if b is not None:
        y += layout.along_channels(b, d_layout)


def convolution_backward_filter(x, gy, gW, pad, stride, dilation, groups, *,  # noqa: N803
                                deterministic, auto_tune, tensor_core,
                                d_layout=constants.CUDNN_TENSOR_NCHW,
                                w_layout=constants.CUDNN_TENSOR_NCHW):
    """Write the gradient of the filter to ``gW``; arguments as of :func:`convolution_forward`."""
    _run('backward_filter', x, gW, gy, (x, gy, gW), pad, stride, dilation, groups, tensor_core,
         deterministic, auto_tune, d_layout, w_layout)


def convolution_backward_data(W, x, b, y, pad, stride, dilation, groups, *,  # noqa: N803
                              deterministic, auto_tune, tensor_core,
                              d_layout=constants.CUDNN_TENSOR_NCHW,
                              w_layout=constants.CUDNN_TENSOR_NCHW):
    """Write the gradient of a convolution's input to ``y``, plus ``b`` unless ``None``.

    Named after deconvolution, which it is: ``x`` is the gradient of the convolution's output.
    Arguments otherwise as of :func:`convolution_forward`.
    """
    _run('backward_data', y, W, x, (x, W, y), pad, stride, dilation, groups, tensor_core,
         deterministic, auto_tune, d_layout, w_layout)
    if b is not None:
        y += layout.along_channels(b, d_layout)
