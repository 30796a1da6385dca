"""Batch normalisation, by the functions of ``libcudnn``.

They take any number of channels, both layouts, and float16 arrays with float32 parameters. The
graph API has kernels for some of these cases only, compiled at first use.
"""
import ctypes

import numpy as np

from yolo_dist.kernels.cudnn9 import constants, device, layout, library

_OPS_BN = 0  # CUDNN_BATCHNORM_OPS_BN: nothing fused


def _descriptors(x, is_for_conv2d, mode, d_layout):
    """Descriptors of ``x`` and of its parameters, and the dtype of these."""
    if is_for_conv2d:
        dims = layout.semantic_shape(x.shape, d_layout)
        strides = layout.strides(dims, d_layout)
    else:
        # Per activation of the last axis.
        dims = x.size // x.shape[-1], x.shape[-1], 1, 1
        strides = layout.strides(dims, constants.CUDNN_TENSOR_NCHW)
    tensor = library.tensor(x.dtype.char, dims, strides)
    parameters = library.normalization(tensor, mode)
    return tensor, parameters, np.dtype('d' if x.dtype.char == 'd' else 'f')


def _as(array, dtype):
    return device.contiguous(array if array.dtype == dtype else array.astype(dtype))


def _scratch(name, *arguments):
    n_bytes = library.size_from(name, *arguments)
    memory = device.empty((n_bytes,), np.uint8) if n_bytes else None
    return memory, None if memory is None else device.pointer(memory), ctypes.c_size_t(n_bytes)


def batch_normalization_forward_training_ex(
        x, gamma, beta, running_mean, running_var, mean, inv_std, eps, decay, is_for_conv2d,
        cudnn_mode, debug, d_layout=constants.CUDNN_TENSOR_NCHW):
    """Normalise a batch by its own statistics and move the running ones.

    Args:
        x (cupy.ndarray): ``(N, C, H, W)`` in the order of ``d_layout``; where not
            ``is_for_conv2d``, of any shape with the normalised values along the last axis.
        gamma, beta (cupy.ndarray): ``(C,)``.
        running_mean, running_var (cupy.ndarray): ``(C,)``; changed. The variance is the unbiased
            one.
        mean, inv_std (None): Not used.
        eps (float): Added to the variance.
        decay (float): Share of the old value in the running statistics.
        is_for_conv2d (bool): Whether the statistics are of channels.
        cudnn_mode (int): ``CUDNN_BATCHNORM_...``.
        debug (bool): Not used.
        d_layout (int): ``CUDNN_TENSOR_NCHW`` or ``CUDNN_TENSOR_NHWC``.

    Returns:
        tuple: What the backward pass wants to have, ``None`` for nothing; ``y``; mean of the
        batch; reciprocal of its standard deviation.
    """
    x = device.contiguous(x)
    handle = library.raw_handle(device.handle())
    tensor, parameters, dtype = _descriptors(x, is_for_conv2d, cudnn_mode, d_layout)
    gamma, beta = _as(gamma, dtype), _as(beta, dtype)
    running = [_as(array, dtype) for array in (running_mean, running_var)]
    y = device.empty(x.shape, x.dtype)
    saved = [device.empty(gamma.shape, dtype) for _ in range(2)]
    mode, ops = ctypes.c_int(cudnn_mode), ctypes.c_int(_OPS_BN)
    workspace, workspace_pointer, workspace_size = _scratch(
        'cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize',
        handle, mode, ops, tensor, tensor, tensor, parameters, None)
    reserve, reserve_pointer, reserve_size = _scratch(
        'cudnnGetBatchNormalizationTrainingExReserveSpaceSize', handle, mode, ops, None, tensor)
    library.call(
        'cudnnBatchNormalizationForwardTrainingEx', handle, mode, ops,
        library.one(x.dtype), library.zero(x.dtype),
        tensor, device.pointer(x), tensor, None, tensor, device.pointer(y),
        parameters, device.pointer(gamma), device.pointer(beta), ctypes.c_double(1 - decay),
        device.pointer(running[0]), device.pointer(running[1]), ctypes.c_double(eps),
        device.pointer(saved[0]), device.pointer(saved[1]), None,
        workspace_pointer, workspace_size, reserve_pointer, reserve_size)
    for given, moved in zip((running_mean, running_var), running, strict=True):
        if moved is not given:
            given[...] = moved
    return reserve, y, saved[0], saved[1]


def batch_normalization_forward_inference(
        x, gamma, beta, mean, var, eps, is_for_conv2d, cudnn_mode,
        d_layout=constants.CUDNN_TENSOR_NCHW):
    """Normalise by given statistics.

    Args:
        mean, var (cupy.ndarray): ``(C,)``; the others are as for
            :func:`batch_normalization_forward_training_ex`.

    Returns:
        cupy.ndarray: ``y``.
    """
    x = device.contiguous(x)
    handle = library.raw_handle(device.handle())
    tensor, parameters, dtype = _descriptors(x, is_for_conv2d, cudnn_mode, d_layout)
    vectors = [_as(array, dtype) for array in (gamma, beta, mean, var)]
    y = device.empty(x.shape, x.dtype)
    library.call(
        'cudnnBatchNormalizationForwardInference', handle, ctypes.c_int(cudnn_mode),
        library.one(x.dtype), library.zero(x.dtype),
        tensor, device.pointer(x), tensor, device.pointer(y), parameters,
        *(device.pointer(vector) for vector in vectors), ctypes.c_double(eps))
    return y


def batch_normalization_backward(
        x, gamma, gy, mean, inv_std, eps, is_for_conv2d, cudnn_mode, debug,
        d_layout=constants.CUDNN_TENSOR_NCHW, *, reserve_space=None):
    """Gradients of the normalisation of a batch by its own statistics.

    Args:
        gy (cupy.ndarray): Gradient of the output.
        mean, inv_std (cupy.ndarray): Of the batch, from the forward pass.
        reserve_space (cupy.ndarray): From the forward pass; the others are as for
            :func:`batch_normalization_forward_training_ex`.

    Returns:
        tuple of cupy.ndarray: Gradients of ``x``, in its dtype, and of ``gamma`` and ``beta``.
    """
    x, gy = device.contiguous(x), device.contiguous(gy)
    handle = library.raw_handle(device.handle())
    tensor, parameters, dtype = _descriptors(x, is_for_conv2d, cudnn_mode, d_layout)
    gamma, mean, inv_std = (_as(array, dtype) for array in (gamma, mean, inv_std))
    gx = device.empty(x.shape, x.dtype)
    ggamma, gbeta = (device.empty(gamma.shape, dtype) for _ in range(2))
    mode, ops = ctypes.c_int(cudnn_mode), ctypes.c_int(_OPS_BN)
    workspace, workspace_pointer, workspace_size = _scratch(
        'cudnnGetBatchNormalizationBackwardExWorkspaceSize',
        handle, mode, ops, tensor, tensor, tensor, tensor, tensor, parameters, None)
    reserve_size = ctypes.c_size_t(0 if reserve_space is None else reserve_space.size)
    library.call(
        'cudnnBatchNormalizationBackwardEx', handle, mode, ops,
        library.one(x.dtype), library.zero(x.dtype), library.one(x.dtype), library.zero(x.dtype),
        tensor, device.pointer(x), tensor, None, tensor, device.pointer(gy), tensor, None,
        tensor, device.pointer(gx), parameters, device.pointer(gamma), None,
        device.pointer(ggamma), device.pointer(gbeta), ctypes.c_double(eps),
        device.pointer(mean), device.pointer(inv_std), None,
        workspace_pointer, workspace_size,
        None if reserve_space is None else device.pointer(reserve_space), reserve_size)
    return gx, ggamma, gbeta
