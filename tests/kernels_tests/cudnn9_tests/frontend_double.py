"""A double of ``nvidia-cudnn-frontend`` that computes in NumPy, from bare addresses.

Names, arguments and their order are those of the frontend's 1.27 and 1.28. A convolution is
computed from the addresses, sizes and strides that a graph was told, by float64 loops over the
filter's taps; so a wrong stride or an exchanged operand gives wrong numbers here, too.
"""
import ctypes
import enum
import itertools

import numpy as np


class data_type(enum.Enum):  # noqa: N801  the frontend's name, as below
    HALF = 'e'
    FLOAT = 'f'
    DOUBLE = 'd'


heur_mode = enum.Enum('heur_mode', 'A B FALLBACK OPENSOURCE')
numerical_note = enum.Enum('numerical_note', (
    'TENSOR_CORE DOWN_CONVERT_INPUTS REDUCED_PRECISION_REDUCTION FFT NONDETERMINISTIC WINOGRAD'))
N = numerical_note


class cudnnGraphNotSupportedError(Exception):  # noqa: N801, N818
    pass


class Plan:
    """One way to compute a graph, made up for a test."""

    def __init__(self, name, notes=(), n_bytes=0, milliseconds=1., error=None):
        self.name, self.notes, self.n_bytes = name, frozenset(notes), n_bytes
        self.milliseconds, self.error = milliseconds, error


# What an H100 has for float32: TF32 first, of float32 one that is not deterministic.
PLANS = (Plan('tf32', (N.TENSOR_CORE, N.DOWN_CONVERT_INPUTS), 4096),
         Plan('half sums', (N.TENSOR_CORE, N.REDUCED_PRECISION_REDUCTION)),
         Plan('exact products', (N.TENSOR_CORE,), 2 << 30),
         Plan('atomic', (N.NONDETERMINISTIC,), 512),
         Plan('plain'))


class Frontend:
    """The module ``cudnn``; puts down what it was asked.

    Attributes:
        plans (sequence of Plan): Of every graph, in the order of the heuristics.
        graphs (list of _Graph): All that were made.
        executed (list of str): Names of the plans that ran.
        elapsed (float): Sum of their milliseconds.
    """

    data_type, heur_mode, numerical_note = data_type, heur_mode, numerical_note
    cudnnGraphNotSupportedError = cudnnGraphNotSupportedError

    def __init__(self):
        self.plans, self.graphs, self.executed, self.elapsed = PLANS, [], [], 0.
        self.streams = []

    def pygraph(self, name='test_graph', io_data_type=None, intermediate_data_type=None,
                compute_data_type=None, handle=None):
        self.graphs.append(_Graph(self, io_data_type, intermediate_data_type, compute_data_type,
                                  handle))
        return self.graphs[-1]

    def backend_version(self):
        return 92800

    def create_handle(self):
        return object()

    def set_stream(self, handle, stream):
        self.streams.append(stream)


class _Tensor:
    def __init__(self, dim, stride, data_type, uid):
        self.dim, self.stride, self.data_type, self.uid = dim, stride, data_type, uid
        self.is_output = False

    def set_output(self, value):
        self.is_output = value
        return self

    def set_data_type(self, value):
        self.data_type = value
        return self

    def set_dim(self, value):
        assert isinstance(value, list)
        self.dim = value
        return self

    def set_stride(self, value):
        assert isinstance(value, list)
        self.stride = value
        return self

    def set_uid(self, value):
        self.uid = value
        return self

    def array(self, address):
        """The memory at an address, as ``(N, C, H, W)``."""
        return strided_array(address, self.dim, self.stride, self.data_type.value)


def strided_array(address, dims, strides, dtype_char):
    """What lies at an address, as an array that can be written."""
    dtype = np.dtype(dtype_char)
    n_elements = 1 + sum((n - 1) * stride for n, stride in zip(dims, strides, strict=True))
    memory = (ctypes.c_char * (n_elements * dtype.itemsize)).from_address(address)
    return np.lib.stride_tricks.as_strided(
        np.frombuffer(memory, dtype), tuple(dims), [stride * dtype.itemsize for stride in strides],
        writeable=True)


class _Graph:
    def __init__(self, frontend, io_data_type, intermediate_data_type, compute_data_type, handle):
        assert handle is not None
        self.io_data_type, self.sums = io_data_type, compute_data_type
        self.handle, self.unwanted, self.max_n_bytes = handle, set(), np.inf
        self.modes, self._frontend, self._built, self._stage = None, frontend, set(), 0

    def tensor(self, dim, stride, data_type=None, is_virtual=False, is_pass_by_value=False,
               ragged_offset=None, reordering_type=None, name='', uid=-1):
        assert isinstance(dim, list) and isinstance(stride, list)
        return _Tensor(dim, stride, data_type, uid)

    def _add(self, compute, first, second, padding, stride, dilation):
        assert all(isinstance(pair, list) for pair in (padding, stride, dilation))
        self.compute, self.operands = compute, (first, second)
        self.window = tuple(padding), tuple(stride), tuple(dilation)
        self.result = _Tensor(None, None, None, None)
        return self.result

    def conv_fprop(self, image, weight, padding, stride, dilation):
        return self._add(_forward, image, weight, padding, stride, dilation)

    def conv_dgrad(self, loss, filter, padding, stride, dilation):
        return self._add(_backward_data, loss, filter, padding, stride, dilation)

    def conv_wgrad(self, image, loss, padding, stride, dilation):
        return self._add(_backward_filter, image, loss, padding, stride, dilation)

    def _proceed(self, stage):
        assert self._stage == stage - 1, 'the frontend wants these calls in this order'
        self._stage = stage

    def validate(self):
        self._proceed(1)
        assert self.result.is_output

    def build_operation_graph(self):
        self._proceed(2)

    def create_execution_plans(self, modes):
        self._proceed(3)
        self.modes, self.plans = modes, tuple(self._frontend.plans)

    def deselect_numeric_notes(self, notes):
        self.unwanted |= set(notes)

    def deselect_workspace_greater_than(self, n_bytes):
        self.max_n_bytes = n_bytes

    def _is_wanted(self, plan):
        return not plan.notes & self.unwanted and plan.n_bytes <= self.max_n_bytes

    def check_support(self):
        self._proceed(4)
        if not any(map(self._is_wanted, self.plans)):
            raise cudnnGraphNotSupportedError('no plan supports the graph')

    def get_execution_plan_count(self):
        return len(self.plans)

    def build_plan_at_index(self, index):
        if not self._is_wanted(self.plans[index]):
            raise ValueError(f'plan {index} is deselected')
        self._built.add(index)

    def get_workspace_size_plan_at_index(self, index):
        assert index in self._built
        return self.plans[index].n_bytes

    def execute_plan_at_index(self, tensors, workspace, index, handle):
        plan = self.plans[index]
        assert index in self._built and handle is self.handle
        assert bool(workspace) == bool(plan.n_bytes)
        if plan.error is not None:
            raise plan.error
        first, second, result = (
            tensor.array(tensors[tensor.uid]) for tensor in (*self.operands, self.result))
        result[...] = 0
        sums = np.zeros(result.shape, np.float64)
        self.compute(first.astype(np.float64), second.astype(np.float64), sums, *self.window)
        result[...] = sums
        self._frontend.executed.append(plan.name)
        self._frontend.elapsed += plan.milliseconds


def _taps(w_shape, y_shape, padding, stride, dilation):
    """For each tap of a filter: its place, and what it reads of the padded input."""
    for i, j in itertools.product(range(w_shape[2]), range(w_shape[3])):
        rows, columns = (
            slice(tap * d, tap * d + s * (n - 1) + 1, s)
            for tap, d, s, n in zip((i, j), dilation, stride, y_shape[2:], strict=True))
        yield (..., i, j), (..., rows, columns)


def _padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))


def _forward(x, w, y, padding, stride, dilation):
    x = _padded(x, padding)
    for tap, place in _taps(w.shape, y.shape, padding, stride, dilation):
        y += np.einsum('nchw,kc->nkhw', x[place], w[tap])


def _backward_data(gy, w, gx, padding, stride, dilation):
    padded = _padded(gx, padding)
    for tap, place in _taps(w.shape, gy.shape, padding, stride, dilation):
        padded[place] += np.einsum('nkhw,kc->nchw', gy, w[tap])
    h, w = gx.shape[2:]
    gx[...] = padded[:, :, padding[0]:padding[0] + h, padding[1]:padding[1] + w]


def _backward_filter(x, gy, gw, padding, stride, dilation):
    x = _padded(x, padding)
    for tap, place in _taps(gw.shape, gy.shape, padding, stride, dilation):
        gw[tap] = np.einsum('nchw,nkhw->kc', x[place], gy)
