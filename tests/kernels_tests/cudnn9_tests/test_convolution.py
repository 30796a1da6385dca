"""Convolutions by cuDNN 9: numbers, plans, choices and messages; all on doubles."""
import itertools

import chainer
import chainer.functions as F
import numpy as np
import pytest
from frontend_double import N, Plan, heur_mode

from yolo_dist.kernels.cpu import using_cpu_backend
from yolo_dist.kernels.cudnn9 import constants, convolution, device, functions
from yolo_dist.kernels.cudnn9.layout import semantic_shape, strides

NCHW, NHWC = constants.CUDNN_TENSOR_NCHW, constants.CUDNN_TENSOR_NHWC

# x, w, stride, pad, dilation: the four kinds of the networks, and one with unequal pairs.
CASES = [
    ((2, 3, 8, 10), (5, 3, 3, 3), (1, 1), (1, 1), (1, 1)),
    ((2, 4, 8, 6), (6, 4, 3, 3), (2, 2), (1, 1), (1, 1)),
    ((3, 4, 5, 7), (2, 4, 1, 1), (1, 1), (0, 0), (1, 1)),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0), (1, 1)),
    ((2, 3, 9, 11), (4, 3, 2, 3), (2, 1), (1, 2), (1, 2)),
]


def draw(*shape, dtype='f'):
    return np.random.normal(size=shape).astype(dtype)


def arrays(x, w, stride, pad, dilation, dtype='f'):
    """Operands of a case and Chainer's own results for them, in float64."""
    x, w = draw(*x, dtype=dtype), draw(*w, dtype=dtype)
    with using_cpu_backend(False):
        variables = [chainer.Variable(a.astype('d')) for a in (x, w)]
        y = F.convolution_2d(*variables, stride=stride, pad=pad, dilate=dilation)
        gy = draw(*y.shape, dtype=dtype)
        y.grad = gy.astype('d')
        y.backward()
    gx, gw = (variable.grad for variable in variables)
    return x, w, gy, y.array, gx, gw


def lay(array, layout):
    """An array as it lies in memory in a layout."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if layout == NHWC else array


def semantic(array, layout):
    return array.transpose(0, 3, 1, 2) if layout == NHWC else array


def tolerance(dtype):
    return {'e': {'rtol': 2e-3, 'atol': 2e-2}, 'f': {'rtol': 1e-5, 'atol': 1e-5},
            'd': {'rtol': 1e-12, 'atol': 1e-12}}[dtype]


SETTINGS = {'groups': 1, 'auto_tune': False, 'tensor_core': 'auto'}


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('dtype', 'efd')
@pytest.mark.parametrize('x_layout, w_layout',
                         list(itertools.product((NCHW, NHWC), repeat=2)))
def test_numbers(frontend, case, dtype, x_layout, w_layout):
    """Result and gradients are Chainer's for every dtype and both layouts of x and of w."""
    stride, pad, dilation = case[2:]
    x, w, gy, y, gx, gw = arrays(*case, dtype=dtype)
    settings = {**SETTINGS, 'pad': pad, 'stride': stride, 'dilation': dilation,
                'd_layout': x_layout, 'w_layout': w_layout}
    x, gy = lay(x, x_layout), lay(gy, x_layout)
    w = lay(w, w_layout)
    found_y, found_gx, found_gw = (np.full_like(a, np.nan) for a in (gy, x, w))
    functions.convolution_forward(x, w, None, found_y, **settings)
    functions.convolution_backward_data(w, gy, None, found_gx, deterministic=False, **settings)
    functions.convolution_backward_filter(x, gy, found_gw, deterministic=False, **settings)
    for found, expected, layout in ((found_y, y, x_layout), (found_gx, gx, x_layout),
                                    (found_gw, gw, w_layout)):
        np.testing.assert_allclose(semantic(found, layout), expected, **tolerance(dtype))


@pytest.mark.parametrize('layout', (NCHW, NHWC))
def test_bias(frontend, layout):
    """The bias is added along the channels, of a convolution and of a deconvolution."""
    x, w, gy, y, gx, _ = arrays(*CASES[0])
    settings = {**SETTINGS, 'pad': (1, 1), 'stride': (1, 1), 'dilation': (1, 1),
                'd_layout': layout}
    b, c = draw(5), draw(3)
    x, gy = lay(x, layout), lay(gy, layout)
    found_y, found_gx = np.empty_like(gy), np.empty_like(x)
    functions.convolution_forward(x, w, b, found_y, **settings)
    functions.convolution_backward_data(w, gy, c, found_gx, deterministic=False, **settings)
    np.testing.assert_allclose(semantic(found_y, layout), y + b[:, None, None], atol=1e-4)
    np.testing.assert_allclose(semantic(found_gx, layout), gx + c[:, None, None], atol=1e-4)


def test_operands_that_are_not_contiguous_are_copied(frontend):
    """A transposed view gives the numbers of its copy."""
    x, w, _, y, *_ = arrays(*CASES[0])
    found = np.empty(y.shape, 'f')
    functions.convolution_forward(
        np.asfortranarray(x), w[:, :, ::-1][:, :, ::-1], None, found, (1, 1), (1, 1), (1, 1),
        **SETTINGS)
    np.testing.assert_allclose(found, y, atol=1e-4)


@pytest.mark.parametrize('case', CASES)
def test_under_chainer(request, frontend, case):
    """F.convolution_2d and its gradients take Chainer's cuDNN path and give its own numbers."""
    x, w, gy, y, gx, gw = arrays(*case)
    request.getfixturevalue('chainer_on_cudnn')
    variables = [chainer.Variable(a) for a in (x, w)]
    found = F.convolution_2d(*variables, stride=case[2], pad=case[3], dilate=case[4])
    np.testing.assert_allclose(found.array, y, atol=1e-4)
    found.grad = gy
    found.backward()
    for variable, expected in zip(variables, (gx, gw), strict=True):
        np.testing.assert_allclose(variable.grad, expected, atol=1e-4)
    assert len(frontend.executed) == 3


def test_fast_mode_of_chainer(request, frontend):
    """compute_mode cudnn_fast lays arrays and filters channels last, with the same numbers."""
    x, w, gy, y, gx, gw = arrays(*CASES[1])
    request.getfixturevalue('chainer_on_cudnn')
    with chainer.using_config('compute_mode', 'cudnn_fast'):
        link = chainer.links.Convolution2D(4, 6, 3, stride=2, pad=1, nobias=True)
    link.W.raw_array[...] = lay(w, NHWC)
    link.cleargrads()
    assert link.W.layout is not None
    given = chainer.Variable(x)
    found = link(given.as_layout(link.x_layout)).as_layout(None)
    np.testing.assert_allclose(found.array, y, atol=1e-4)
    found.grad = gy
    found.backward()
    np.testing.assert_allclose(given.grad, gx, atol=1e-4)
    with chainer.variable._AllowArrayAccessWithNonstandardLayout():
        np.testing.assert_allclose(semantic(link.W.grad, NHWC), gw, atol=1e-4)
    assert len(frontend.graphs) == 3
    for graph in frontend.graphs:
        for tensor in (*graph.operands, graph.result):
            assert tensor.stride == list(strides(tensor.dim, NHWC))


# Plans.

PROBLEM = convolution.Problem(
    'forward', (2, 3, 8, 10), (5, 3, 3, 3), (2, 5, 8, 10), (1, 1), (1, 1), (1, 1), 'f', NCHW, NCHW,
    False, False, 1 << 20)


def run(auto_tune=False, **changes):
    problem = PROBLEM._replace(**changes)
    shapes = {'forward': (problem.x, problem.w, problem.y),
              'backward_filter': (problem.x, problem.y, problem.w)}[problem.operation]
    convolution.run(problem, tuple(np.zeros(shape, problem.dtype_char) for shape in shapes),
                    auto_tune=auto_tune)


def test_plan_is_kept(frontend):
    """The same problem has one graph; one that differs in any field has another."""
    run()
    run()
    assert len(frontend.graphs) == 1
    changes = [
        {'operation': 'backward_filter'}, {'x': (1, 3, 8, 10), 'y': (1, 5, 8, 10)},
        {'w': (5, 3, 1, 1), 'pad': (0, 0)},
        {'pad': (0, 1), 'y': (2, 5, 6, 10)}, {'stride': (2, 1), 'y': (2, 5, 4, 10)},
        {'dilation': (2, 1), 'pad': (2, 1)}, {'dtype_char': 'e'}, {'x_layout': NHWC},
        {'w_layout': NHWC}, {'tensor_cores': True}, {'deterministic': True},
        {'max_workspace_size': 0}]
    for n, change in enumerate(changes, start=2):
        run(**change)
        run(**change)
        assert len(frontend.graphs) == n, change


def test_plan_of_each_handle(frontend, monkeypatch):
    """Handles do not share a plan: a thread that got the number of an ended one has another."""
    handles = [object(), object()]
    for n, handle in enumerate([handles[0], handles[1], handles[0], handles[1]]):
        monkeypatch.setattr(device, 'handle', lambda handle=handle: handle)
        run()  # the double refuses a plan of another handle
        assert len(frontend.graphs) == min(n + 1, 2)


def test_plans_of_a_later_thread(frontend, monkeypatch):
    """A handle that is gone leaves no plan to one that is made at its address."""
    for n in range(5):
        monkeypatch.setattr(device, 'handle', [object()].pop)
        run()
        assert len(frontend.graphs) == n + 1


@pytest.mark.parametrize('changes, expected', [
    ({}, 'atomic'),
    ({'deterministic': True}, 'plain'),
    ({'tensor_cores': True}, 'tf32'),
    ({'tensor_cores': True, 'max_workspace_size': 0}, 'half sums'),
    ({'tensor_cores': True, 'dtype_char': 'e', 'max_workspace_size': 4 << 30}, 'tf32'),
    ({'tensor_cores': True, 'dtype_char': 'e', 'max_workspace_size': 600}, 'atomic'),
    ({'dtype_char': 'd', 'max_workspace_size': 0}, 'plain'),
])
def test_choice_of_a_plan(frontend, changes, expected):
    """The first one that keeps to precision, to determinism and to the memory allowed."""
    run(**changes)
    assert frontend.executed == [expected]


def test_float16_is_summed_in_float32(frontend):
    """In and out float16, sums float32, and no plan that sums in less."""
    frontend.plans = [Plan('half sums', (N.TENSOR_CORE, N.REDUCED_PRECISION_REDUCTION)),
                      Plan('float sums', (N.TENSOR_CORE,))]
    run(dtype_char='e', tensor_cores=True)
    graph, = frontend.graphs
    assert (graph.io_data_type.value, graph.sums.value) == ('e', 'f')
    assert frontend.executed == ['float sums']


def test_all_heuristics_are_asked(frontend):
    """Mode B finds float32 plans without TF32 where mode A has none."""
    run()
    assert frontend.graphs[0].modes == [heur_mode.A, heur_mode.B, heur_mode.FALLBACK]


TIMED = [Plan('default', milliseconds=3), Plan('fast', milliseconds=1, n_bytes=64),
         Plan('middle', milliseconds=2)]


def test_tuning_chooses_the_fastest_once(frontend):
    """All plans run when a shape first comes by; later only the fastest."""
    frontend.plans = TIMED
    run(auto_tune=True)
    assert set(frontend.executed) == {'default', 'fast', 'middle'}
    assert frontend.executed[-1] == 'fast'
    frontend.executed.clear()
    run(auto_tune=True)
    run()
    assert frontend.executed == ['fast', 'fast']


def test_tuning_after_a_first_use_without(frontend):
    """A plan that was built untuned is tuned when that is asked for."""
    frontend.plans = TIMED
    run()
    run(auto_tune=True)
    assert frontend.executed[0] == 'default' and frontend.executed[-1] == 'fast'


def test_nothing_is_tuned_where_results_must_repeat(frontend):
    """A deterministic problem takes the heuristics' plan: another run would time differently."""
    frontend.plans = TIMED
    run(auto_tune=True, deterministic=True)
    assert frontend.executed == ['default']


@pytest.mark.parametrize('error', [MemoryError('no memory left'), RuntimeError('cannot start')])
def test_tuning_passes_over_what_fails(frontend, error):
    """A plan that finds no memory or does not start is not chosen; if all fail, it is said."""
    frontend.plans = [TIMED[0], Plan('broken', milliseconds=.1, error=error)]
    run(auto_tune=True)
    assert frontend.executed[-1] == 'default'
    frontend.plans = frontend.plans[1:]
    with pytest.raises(type(error), match=str(error)):
        run(auto_tune=True, stride=(1, 1), max_workspace_size=1)


def test_workspace_size_is_that_of_chainer(chainer_on_cudnn, frontend):
    """Chainer's functions read and set it, and plans keep to it."""
    assert chainer.backends.cuda.get_max_workspace_size() == 1 << 30
    chainer.backends.cuda.set_max_workspace_size(100)
    assert chainer.backends.cuda.get_max_workspace_size() == 100
    with chainer.using_config('use_cudnn_tensor_core', 'always'):
        F.convolution_2d(draw(2, 3, 8, 8), draw(5, 3, 3, 3), pad=1)
    assert frontend.executed == ['half sums']


@pytest.mark.parametrize('capability, mode, dtype, expected', [
    (90, 'auto', 'f', False), (90, 'always', 'f', True), (90, 'never', 'f', False),
    (90, 'auto', 'e', True), (90, 'never', 'e', False), (90, 'always', 'd', False),
    (70, 'always', 'f', False), (70, 'auto', 'e', True), (61, 'always', 'e', False)])
def test_tensor_cores(frontend, monkeypatch, capability, mode, dtype, expected):
    """float16 from Volta on; float32 only as TF32, from Ampere on, and only if asked for."""
    monkeypatch.setattr(device, 'compute_capability', lambda: capability)
    assert convolution.use_tensor_cores(mode, np.dtype(dtype)) is expected


def test_tensor_cores_by_another_word(frontend):
    """The message names the word and the three that there are."""
    with pytest.raises(ValueError, match="is 'maybe'; expected 'always'"):
        convolution.use_tensor_cores('maybe', np.dtype('f'))


# Messages.

def forward(x=(2, 3, 4, 4), w=(5, 3, 1, 1), y=(2, 5, 4, 4), y_dtype='f', groups=1, layout=NCHW,
            order='C'):
    settings = {**SETTINGS, 'groups': groups}
    functions.convolution_forward(
        np.zeros(x, 'f'), np.zeros(w, 'f'), None, np.zeros(y, y_dtype, order=order), (0, 0),
        (1, 1), (1, 1), **settings, d_layout=layout)


@pytest.mark.parametrize('arguments, message', [
    ({'groups': 3}, 'found 3 groups.*use_cudnn'),
    ({'order': 'F'}, 'result is not contiguous'),
    ({'y_dtype': 'e'}, "float32', 'float32', 'float16.*expected one"),
    ({'x': (2, 3, 4)}, r'shape \(2, 3, 4\).*four axes'),
    ({'layout': 7}, 'layout 7, expected CUDNN_TENSOR_NCHW')])
def test_what_is_not_set_up(frontend, arguments, message):
    """The message says what was found and what to do."""
    with pytest.raises(ValueError, match=message):
        forward(**arguments)


def test_no_plan(frontend):
    """Where no plan is left the message names the problem and what would have one."""
    frontend.plans = [Plan('greedy', n_bytes=1 << 40)]
    with pytest.raises(RuntimeError, match=r'(?s)no plan for Problem.*set_max_workspace_size'):
        forward()


def test_no_plan_that_can_be_built(frontend, monkeypatch):
    """A graph whose plans are supported but cannot be built has no plan either."""
    def build_plan_at_index(self, index):
        raise RuntimeError('the compiler is missing')
    import frontend_double
    monkeypatch.setattr(frontend_double._Graph, 'build_plan_at_index', build_plan_at_index)
    with pytest.raises(RuntimeError, match='(?s)no plan for.*the compiler is missing'):
        forward()


def test_functions_that_are_not_here():
    """A function of CuPy's module that no network calls is an AttributeError with advice."""
    assert not hasattr(functions, 'create_rnn_descriptor')
    with pytest.raises(AttributeError, match="create_rnn_descriptor.*'never'"):
        functions.create_rnn_descriptor()


# Layout.

@pytest.mark.parametrize('layout', (NCHW, NHWC))
def test_strides_are_those_of_numpy(layout):
    """Elements that the strides lead to are NumPy's, of an array that lies in the layout."""
    memory = lay(np.arange(2 * 3 * 4 * 5.).reshape(2, 3, 4, 5), layout)
    dims = semantic_shape(memory.shape, layout)
    assert dims == (2, 3, 4, 5)
    assert strides(dims, layout) == tuple(s // 8 for s in semantic(memory, layout).strides)
