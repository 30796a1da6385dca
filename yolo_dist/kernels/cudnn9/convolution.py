"""Convolution and its two gradients as graphs of ``nvidia-cudnn-frontend``."""
from typing import NamedTuple

from yolo_dist.kernels.cudnn9 import device, layout

# Plans that autotuning times for one shape; cuDNN's heuristics put the good ones first.
_N_TUNED = 10

# Addresses of a graph's tensors are handed to it by these numbers.
FIRST, SECOND, RESULT = 1, 2, 3

_max_workspace_size = 1 << 30

_plans = {}


class Problem(NamedTuple):
    """What a plan is made for; one of each is built on each device.

    Attributes:
        operation ({'forward', 'backward_data', 'backward_filter'}): What is computed.
        x (tuple of int): Input of the forward pass, ``(N, C, H, W)``.
        w (tuple of int): Filter, ``(K, C, R, S)``.
        y (tuple of int): Output of the forward pass, ``(N, K, H', W')``.
        pad (tuple of int): Rows and columns of zeros around ``x``.
        stride (tuple of int): Vertical, horizontal.
        dilation (tuple of int): Vertical, horizontal.
        dtype_char ({'e', 'f', 'd'}): Of all three; sums are float32, or float64 for ``'d'``.
        x_layout (int): Of ``x`` and ``y``.
        w_layout (int): Of ``w``.
        tensor_cores (bool): Whether tensor cores may be used; for float32 that is TF32.
        deterministic (bool): Whether the result must be the same each time.
        max_workspace_size (int): Bytes.
    """

    operation: str
    x: tuple
    w: tuple
    y: tuple
    pad: tuple
    stride: tuple
    dilation: tuple
    dtype_char: str
    x_layout: int
    w_layout: int
    tensor_cores: bool
    deterministic: bool
    max_workspace_size: int


def get_max_workspace_size():
    """Scratch memory that a plan may use, bytes."""
    return _max_workspace_size


def set_max_workspace_size(size):
    """Set it, for plans that are not built yet."""
    global _max_workspace_size
    _max_workspace_size = int(size)


def is_tensor_core_available(dtype):
    """Whether ``use_cudnn_tensor_core = 'auto'`` means tensor cores for arrays of a dtype.

    For float16 yes, since Volta. For float32 no: TF32 keeps 10 bits of the factors, and the
    paper computed in float32.
    """
    return dtype.char == 'e' and device.compute_capability() >= 70


def use_tensor_cores(mode, dtype):
    """Read Chainer's ``use_cudnn_tensor_core``.

    Args:
        mode ({'always', 'auto', 'never'}): Its value; ``'always'`` allows TF32 for float32, on
            the GPUs that have it. (Older tensor cores would round float32 to float16.)
        dtype (numpy.dtype): Of the arrays.

    Returns:
        bool: Whether tensor cores may be used.

    Raises:
        ValueError: If the mode is another word.
    """
    if mode not in ('always', 'auto', 'never'):
        raise ValueError(f'use_cudnn_tensor_core is {mode!r}; '
                         "expected 'always' (also TF32), 'auto' (float16 only) or 'never'")
    if mode == 'always' and dtype.char == 'f':
        return device.compute_capability() >= 80
    return mode != 'never' and is_tensor_core_available(dtype)


def create_graph(problem, **where):
    """Describe a problem to cuDNN and collects the plans that solve it.

    Args:
        problem (Problem): What to compute.
        **where: ``handle`` of a device, or ``device_property`` of one that is not there.

    Returns:
        cudnn.pygraph: Tensors ``FIRST`` and ``SECOND`` are ``x, w``, or ``gy, w`` for
        ``'backward_data'``, or ``x, gy`` for ``'backward_filter'``; then ``RESULT``. No plan is
        built yet.

    Raises:
        cudnn.cudnnGraphNotSupportedError: If there is none.
    """
    import cudnn
    data_type = {'e': cudnn.data_type.HALF, 'f': cudnn.data_type.FLOAT,
                 'd': cudnn.data_type.DOUBLE}[problem.dtype_char]
    sums = cudnn.data_type.DOUBLE if problem.dtype_char == 'd' else cudnn.data_type.FLOAT
    graph = cudnn.pygraph(io_data_type=data_type, intermediate_data_type=sums,
                          compute_data_type=sums, **where)

    def operand(uid, dims, memory_layout):
        return graph.tensor(dim=list(dims), stride=list(layout.strides(dims, memory_layout)),
                            data_type=data_type, uid=uid)
    settings = {'padding': list(problem.pad), 'stride': list(problem.stride),
                'dilation': list(problem.dilation)}
    if problem.operation == 'forward':
        dims, memory_layout = problem.y, problem.x_layout
        result = graph.conv_fprop(image=operand(FIRST, problem.x, problem.x_layout),
                                  weight=operand(SECOND, problem.w, problem.w_layout), **settings)
    elif problem.operation == 'backward_data':
        dims, memory_layout = problem.x, problem.x_layout
        result = graph.conv_dgrad(loss=operand(FIRST, problem.y, problem.x_layout),
                                  filter=operand(SECOND, problem.w, problem.w_layout), **settings)
    else:
        dims, memory_layout = problem.w, problem.w_layout
        result = graph.conv_wgrad(image=operand(FIRST, problem.x, problem.x_layout),
                                  loss=operand(SECOND, problem.y, problem.x_layout), **settings)
    (result.set_output(True).set_data_type(data_type).set_dim(list(dims))
     .set_stride(list(layout.strides(dims, memory_layout))).set_uid(RESULT))
    graph.validate()
    graph.build_operation_graph()
    # For float32 without TF32, mode A often has nothing but TF32 plans and the fallback plans
    # are slow; mode B has others.
    graph.create_execution_plans(
        [cudnn.heur_mode.A, cudnn.heur_mode.B, cudnn.heur_mode.FALLBACK])
    graph.deselect_numeric_notes(_unwanted(problem, cudnn.numerical_note))
    graph.deselect_workspace_greater_than(problem.max_workspace_size)
    graph.check_support()
    return graph


def _unwanted(problem, notes):
    unwanted = []
    if not problem.tensor_cores:
        unwanted.append(notes.TENSOR_CORE)
    if problem.dtype_char == 'd' or (problem.dtype_char == 'f' and not problem.tensor_cores):
        unwanted.append(notes.DOWN_CONVERT_INPUTS)
    if problem.dtype_char == 'e':
        unwanted.append(notes.REDUCED_PRECISION_REDUCTION)
    if problem.deterministic:
        unwanted.append(notes.NONDETERMINISTIC)
    return unwanted


def build_plans(graph, n_wanted):
    """Build the first plans of a graph that can be built.

    Args:
        graph (cudnn.pygraph): Of :func:`create_graph`.
        n_wanted (int): How many.

    Returns:
        list of int: Their indices, at least one.

    Raises:
        cudnn.cudnnGraphNotSupportedError: If none can be.
    """
    import cudnn
    built, reason = [], None
    for index in range(graph.get_execution_plan_count()):
        try:
            graph.build_plan_at_index(index)
        # A plan that a filter excludes is a ValueError, or not supported, by version.
        except (cudnn.cudnnGraphNotSupportedError, ValueError, RuntimeError) as error:
            reason = error
            continue
        built.append(index)
        if len(built) == n_wanted:
            break
    if not built:
        raise cudnn.cudnnGraphNotSupportedError(f'no plan can be built; the last one: {reason}')
    return built


class _Plan:
    """A graph and the plan of it that is used."""

    def __init__(self, problem, handle):
        self.graph = create_graph(problem, handle=handle)
        self._choose(build_plans(self.graph, 1)[0])
        self.is_tuned = False

    def _choose(self, index):
        self.index = index
        self._n_bytes = self.graph.get_workspace_size_plan_at_index(index)

    def tune(self, arrays, handle):
        """Build and times some more plans and keep the fastest."""
        milliseconds = {}
        for index in build_plans(self.graph, _N_TUNED):
            self._choose(index)
            try:
                milliseconds[index] = device.milliseconds(lambda: self.run(arrays, handle))
            # A plan may want more memory than is left beside the network, or fail to start.
            except (MemoryError, RuntimeError) as error:
                reason = error
        if not milliseconds:
            raise reason
        self._choose(min(milliseconds, key=milliseconds.get))
        self.is_tuned = True

    def run(self, arrays, handle):
        """Compute; ``arrays`` in the order of the numbers."""
        memory = device.workspace(self._n_bytes) if self._n_bytes else None
        self.graph.execute_plan_at_index(
            {uid: device.pointer(array)
             for uid, array in zip((FIRST, SECOND, RESULT), arrays, strict=True)},
            memory.ptr if memory is not None else 0, self.index, handle)


def run(problem, arrays, *, auto_tune):
    """Compute a convolution or a gradient of it on the current stream.

    Args:
        problem (Problem): What to compute.
        arrays (tuple of cupy.ndarray): Two operands and the result, see :func:`create_graph`;
            all contiguous.
        auto_tune (bool): Whether to time plans when a problem first comes by; not done where
            the result must be the same each time, as another run may choose another plan.

    Raises:
        RuntimeError: If cuDNN has no plan for it; says what would have one.
    """
    handle = device.handle()
    # A plan belongs to the handle it was built with: one for each thread and device. Kept with the
    # handle, it cannot meet another one that has got the same number or address.
    plans = _plans.setdefault(id(handle), (handle, {}))[1]
    plan = plans.get(problem)
    if plan is None:
        import cudnn
        try:
            plan = plans[problem] = _Plan(problem, handle)
        except cudnn.cudnnGraphNotSupportedError as error:
            raise RuntimeError(
                f'cuDNN has no plan for {problem}; allow it more memory '
                '(chainer.backends.cuda.set_max_workspace_size), or let Chainer compute it: '
                f"`with chainer.using_config('use_cudnn', 'never')`. cuDNN says: {error}"
            ) from None
    if auto_tune and not problem.deterministic and not plan.is_tuned:
        plan.tune(arrays, handle)
    plan.run(arrays, handle)
