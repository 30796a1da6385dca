"""A double of ``libcudnn``, in NumPy: what a function does with the addresses it is given.

The order of the arguments is that of cuDNN's own header files. Descriptors are numbers.
"""
import ctypes
import itertools

import numpy as np
from frontend_double import strided_array

_DTYPES = {0: 'f', 1: 'd', 2: 'e'}
_N_SCRATCH = 64  # bytes that batch normalisation asks for and then wants to have
PERSISTENT = 2


def _value(argument):
    return getattr(argument, 'value', argument)


def _number(pointer, dtype_char):
    """The factor that an argument points at, float32 unless the arrays are float64."""
    expected = ctypes.c_double if dtype_char == 'd' else ctypes.c_float
    assert type(pointer._obj) is expected
    return pointer._obj.value


class Libcudnn:
    """The library; ``calls`` are the names of the functions that were called."""

    def __init__(self):
        self.calls = []
        self.descriptors = {}

    def __getattribute__(self, name):
        if name.startswith('cudnn'):
            self.calls.append(name)
        return super().__getattribute__(name)

    def cudnnGetVersion(self):  # noqa: N802
        return 92800

    def cudnnGetErrorString(self, status):  # noqa: N802
        return {3: b'CUDNN_STATUS_BAD_PARAM'}[status.value]

    def _create(self, pointer):
        number = 1000 + len(self.descriptors)
        pointer._obj.value = number
        self.descriptors[number] = None
        return 0

    cudnnCreateTensorDescriptor = _create  # noqa: N815
    cudnnCreatePoolingDescriptor = _create  # noqa: N815
    cudnnCreateActivationDescriptor = _create  # noqa: N815

    def _set(self, descriptor, *values):
        assert _value(descriptor) in self.descriptors
        self.descriptors[_value(descriptor)] = tuple(map(_value, values))
        return 0

    def cudnnSetTensor4dDescriptorEx(self, descriptor, dtype, n, c, h, w, *strides):  # noqa: N802
        return self._set(descriptor, dtype, n, c, h, w, *strides)

    def cudnnDeriveBNTensorDescriptor(self, derived, x, mode):  # noqa: N802
        dtype, _, c, h, w, *_ = self.descriptors[x.value]
        if mode.value != 0:
            h = w = 1
        dtype = 1 if dtype == 1 else 0
        return self._set(derived, dtype, 1, c, h, w, c * h * w, h * w, w, 1)

    def cudnnSetPooling2dDescriptor(  # noqa: N802
            self, descriptor, mode, nan, height, width, v_pad, h_pad, v_stride, h_stride):
        return self._set(descriptor, mode, (height.value, width.value),
                         (v_pad.value, h_pad.value), (v_stride.value, h_stride.value))

    def cudnnSetActivationDescriptor(self, descriptor, mode, nan, coefficient):  # noqa: N802
        assert type(coefficient) is ctypes.c_double
        return self._set(descriptor, mode, coefficient)

    def _dtype(self, descriptor):
        return _DTYPES[self.descriptors[descriptor.value][0]]

    def _array(self, descriptor, pointer):
        _, *numbers = self.descriptors[descriptor.value]
        return strided_array(pointer.value, numbers[:4], numbers[4:], self._dtype(descriptor))

    def _store(self, descriptor, pointer, values, alpha, beta):
        dtype = self._dtype(descriptor)
        if _number(alpha, dtype) != 1 or _number(beta, dtype) != 0:
            return 3
        self._array(descriptor, pointer)[...] = values
        return 0

    def _axes(self, mode):
        return (0,) if mode.value == 0 else (0, 2, 3)

    # Batch normalisation.

    def cudnnBatchNormalizationForwardInference(  # noqa: N802
            self, handle, mode, alpha, beta, x_desc, x, y_desc, y, parameters, scale, bias, mean,
            var, epsilon):
        assert type(epsilon) is ctypes.c_double
        scale, bias, mean, var = (self._array(parameters, pointer).astype('d')
                                  for pointer in (scale, bias, mean, var))
        x = self._array(x_desc, x).astype('d')
        return self._store(y_desc, y, (x - mean) / np.sqrt(var + epsilon.value) * scale + bias,
                           alpha, beta)

    def cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(  # noqa: N802
            self, handle, mode, ops, x, z, y, parameters, activation, size):
        size._obj.value = _N_SCRATCH
        return 0

    def cudnnGetBatchNormalizationTrainingExReserveSpaceSize(  # noqa: N802
            self, handle, mode, ops, activation, x, size):
        size._obj.value = _N_SCRATCH if mode.value == PERSISTENT else 0
        return 0

    def cudnnGetBatchNormalizationBackwardExWorkspaceSize(  # noqa: N802
            self, handle, mode, ops, x, y, dy, dz, dx, parameters, activation, size):
        size._obj.value = _N_SCRATCH
        return 0

    def cudnnBatchNormalizationForwardTrainingEx(  # noqa: N802
            self, handle, mode, ops, alpha, beta, x_desc, x, z_desc, z, y_desc, y, parameters,
            scale, bias, factor, running_mean, running_var, epsilon, saved_mean, saved_inv_std,
            activation, workspace, workspace_size, reserve, reserve_size):
        assert z is None and activation is None
        assert type(factor) is type(epsilon) is ctypes.c_double
        assert workspace_size.value == _N_SCRATCH and workspace.value
        x, axes = self._array(x_desc, x).astype('d'), self._axes(mode)
        mean, var = (f(x, axis=axes, keepdims=True) for f in (np.mean, np.var))
        inv_std = 1 / np.sqrt(var + epsilon.value)
        n = x.size / mean.size
        for pointer, value in ((running_mean, mean), (running_var, var * n / max(n - 1, 1))):
            kept = self._array(parameters, pointer)
            kept[...] = (1 - factor.value) * kept + factor.value * value
        self._array(parameters, saved_mean)[...] = mean
        self._array(parameters, saved_inv_std)[...] = inv_std
        if mode.value == PERSISTENT:
            assert reserve_size.value == _N_SCRATCH
            ctypes.memset(reserve.value, 7, _N_SCRATCH)
        else:
            assert reserve is None and reserve_size.value == 0
        scale, bias = (self._array(parameters, pointer) for pointer in (scale, bias))
        return self._store(y_desc, y, (x - mean) * inv_std * scale + bias, alpha, beta)

    def cudnnBatchNormalizationBackwardEx(  # noqa: N802
            self, handle, mode, ops, alpha, beta, alpha_of_parameters, beta_of_parameters, x_desc,
            x, y_desc, y, dy_desc, dy, dz_desc, dz, dx_desc, dx, parameters, scale, bias,
            d_scale, d_bias, epsilon, saved_mean, saved_inv_std, activation, workspace,
            workspace_size, reserve, reserve_size):
        assert y is None and dz is None and bias is None and activation is None
        assert workspace_size.value == _N_SCRATCH and workspace.value
        if mode.value == PERSISTENT:
            # What the forward pass left there comes back.
            assert ctypes.string_at(reserve.value, reserve_size.value) == b'\7' * _N_SCRATCH
        else:
            assert reserve is None and reserve_size.value == 0
        x, dy = self._array(x_desc, x).astype('d'), self._array(dy_desc, dy).astype('d')
        scale, mean, inv_std = (self._array(parameters, pointer).astype('d')
                                for pointer in (scale, saved_mean, saved_inv_std))
        axes, x_hat = self._axes(mode), (x - mean) * inv_std
        g_scale, g_bias = (g.sum(axis=axes, keepdims=True) for g in (dy * x_hat, dy))
        n = x.size / mean.size
        for pointer, value in ((d_scale, g_scale), (d_bias, g_bias)):
            self._store(parameters, pointer, value, alpha_of_parameters, beta_of_parameters)
        return self._store(dx_desc, dx, scale * inv_std * (dy - (x_hat * g_scale + g_bias) / n),
                           alpha, beta)

    # Pooling, by loops over all outputs.

    def _windows(self, descriptor, x, y_shape):
        _, size, pad, stride = self.descriptors[descriptor.value]
        for i, j in itertools.product(range(y_shape[2]), range(y_shape[3])):
            begins = [k * s - p for k, s, p in zip((i, j), stride, pad, strict=True)]
            yield (..., i, j), tuple(
                slice(max(begin, 0), begin + n)
                for begin, n in zip(begins, size, strict=True))

    def cudnnPoolingForward(  # noqa: N802
            self, handle, descriptor, alpha, x_desc, x, beta, y_desc, y):
        x = self._array(x_desc, x)
        values = np.empty(self.descriptors[y_desc.value][1:5])
        is_max = self.descriptors[descriptor.value][0] in (0, 3)
        n_window = np.prod(self.descriptors[descriptor.value][1])
        for place, window in self._windows(descriptor, x, values.shape):
            part = x[(..., *window)].astype('d')
            values[place] = part.max((2, 3)) if is_max else part.sum((2, 3)) / n_window
        return self._store(y_desc, y, values, alpha, beta)

    def cudnnPoolingBackward(  # noqa: N802
            self, handle, descriptor, alpha, y_desc, y, dy_desc, dy, x_desc, x, beta, dx_desc, dx):
        x, y, dy = (self._array(desc, pointer).astype('d')
                    for desc, pointer in ((x_desc, x), (y_desc, y), (dy_desc, dy)))
        is_max = self.descriptors[descriptor.value][0] in (0, 3)
        n_window = np.prod(self.descriptors[descriptor.value][1])
        values = np.zeros(x.shape)
        for place, window in self._windows(descriptor, x, y.shape):
            part = x[(..., *window)]
            share = (part == y[place][..., None, None]) if is_max else 1 / n_window
            values[(..., *window)] += share * dy[place][..., None, None]
        return self._store(dx_desc, dx, values, alpha, beta)

    # Softmax along the channels, activations.

    def cudnnSoftmaxForward(  # noqa: N802
            self, handle, algorithm, mode, alpha, x_desc, x, beta, y_desc, y):
        assert mode.value == 1
        x = self._array(x_desc, x).astype('d')
        e = np.exp(x - x.max(1, keepdims=True))
        values = e / e.sum(1, keepdims=True)
        return self._store(y_desc, y, np.log(values) if algorithm.value == 2 else values,
                           alpha, beta)

    def cudnnSoftmaxBackward(  # noqa: N802
            self, handle, algorithm, mode, alpha, y_desc, y, dy_desc, dy, beta, dx_desc, dx):
        y, dy = self._array(y_desc, y).astype('d'), self._array(dy_desc, dy).astype('d')
        if algorithm.value == 2:
            values = dy - np.exp(y) * dy.sum(1, keepdims=True)
        else:
            values = y * (dy - (y * dy).sum(1, keepdims=True))
        return self._store(dx_desc, dx, values, alpha, beta)

    def cudnnActivationForward(  # noqa: N802
            self, handle, descriptor, alpha, x_desc, x, beta, y_desc, y):
        mode, ceiling = self.descriptors[descriptor.value]
        x = self._array(x_desc, x).astype('d')
        values = {0: lambda: 1 / (1 + np.exp(-x)), 1: lambda: np.maximum(x, 0),
                  2: lambda: np.tanh(x), 3: lambda: np.clip(x, 0, ceiling)}[mode]()
        return self._store(y_desc, y, values, alpha, beta)

    def cudnnActivationBackward(  # noqa: N802
            self, handle, descriptor, alpha, y_desc, y, dy_desc, dy, x_desc, x, beta, dx_desc, dx):
        mode, ceiling = self.descriptors[descriptor.value]
        y, dy, x = (self._array(desc, pointer).astype('d')
                    for desc, pointer in ((y_desc, y), (dy_desc, dy), (x_desc, x)))
        values = {0: lambda: dy * y * (1 - y), 1: lambda: dy * (x > 0),
                  2: lambda: dy * (1 - y * y),
                  3: lambda: dy * ((x > 0) & (x < ceiling))}[mode]()
        return self._store(dx_desc, dx, values, alpha, beta)
