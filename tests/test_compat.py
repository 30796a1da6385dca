"""Chainer, ChainerMN and ChainerCV work here, and other libraries notice nothing of it."""
import importlib.util
import pathlib
import warnings

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import testing
from chainercv.datasets import VOCBboxDataset
from chainercv.utils import bbox_iou, mask_to_bbox, non_maximum_suppression, scale_mask
from chainercv.visualizations import vis_bbox
from chainermn.communicators import _memory_utility

from yolo_dist import compat

IMPORTS = """
import yolo_dist
import chainer.training.extensions, chainer.testing, chainermn.extensions, chainercv
"""

BLOCK = """
import sys
GONE = ('setuptools', 'pkg_resources', 'distutils', '_distutils_hack', 'numpy.distutils')
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in GONE or name.startswith(tuple(gone + '.' for gone in GONE)):
            raise ModuleNotFoundError(f'{name} is blocked', name=name)
sys.meta_path.insert(0, Block())
for name in [name for name in sys.modules if name.split('.')[0] in GONE]:
    del sys.modules[name]
"""

SNAPSHOT = """
import sys, types, numpy
before = dict(vars(numpy))
def changes():
    now = vars(numpy)
    # Submodules become attributes when anyone imports them.
    loaded = {name for name, value in now.items() if isinstance(value, types.ModuleType)
              and sys.modules.get('numpy.' + name) is value
              and value.__spec__.loader is not None}
    return sorted(name for name in before.keys() | now.keys()
                  if name not in loaded and before.get(name) is not now.get(name))
"""

CUPY = """
import sys, types, unittest.mock, warnings
class Fake(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return unittest.mock.MagicMock(name=name)
def module(name, **names):
    parent, _, child = name.rpartition('.')
    sys.modules[name] = fake = Fake(name)
    vars(fake).update(names)
    if parent:
        setattr(sys.modules[parent], child, fake)
module('cupy', __version__=VERSION, ndarray=type('ndarray', (), {}),
       memoize=lambda *args, **kwargs: lambda function: function,
       fuse=lambda *args, **kwargs: lambda function: function)
module('cupy.cuda', Device=type('Device', (), {}), Event=type('Event', (), {}),
       Stream=type('Stream', (), {}))
for name in ('cupy.cuda.cublas', 'cupy.cuda.nccl', 'cupy._util', 'cupy.lib',
             'cupy.lib.stride_tricks', 'cupy.random', 'cupyx', 'cupyx.scipy',
             'cupyx.scipy.linalg', 'cupyx.scipy.special'):
    module(name)
sys.modules['cupy._util'].PerformanceWarning = type('PerformanceWarning', (Warning,), {})
class Deprecated:
    def find_spec(self, name, path=None, target=None):
        if name == 'cupy.cudnn':
            warnings.warn('cupy.cudnn is deprecated', DeprecationWarning)
            module(name)
            return sys.modules[name].__spec__
if CUDNN == "CuPy's":
    module('cupy.cuda.cudnn', getVersion=lambda: 8900)
    module('cupyx.cudnn')
if CUDNN == 'own':
    import ctypes
    module('cudnn', backend_version=lambda: 92800)
    load_library = ctypes.CDLL
    ctypes.CDLL = lambda name, *args, **kwargs: (
        types.SimpleNamespace(cudnnGetVersion=Function(), cudnnGetErrorString=Function())
        if name == 'libcudnn.so.9' else load_library(name, *args, **kwargs))
class Function:
    def __call__(self):
        return 92800
sys.meta_path.insert(0, Deprecated())
"""


@pytest.mark.parametrize('prelude', ['', BLOCK], ids=['as installed', 'without setuptools'])
def test_import_is_silent_and_leaves_numpy_alone(python, prelude):
    """Importing everything prints nothing, and adds nothing to numpy or to sys.modules."""
    result = python('-W', 'default', '-c', prelude + SNAPSHOT + IMPORTS + """
assert not changes(), changes()
assert 'pkg_resources' not in sys.modules
assert 'numpy.distutils' not in sys.modules
assert 'chainercv.utils.bbox._nms_gpu_post' not in sys.modules
""")
    assert result.stderr + result.stdout == ''
    assert result.returncode == 0


def test_import_is_silent_without_bytecode(python, tmp_path):
    """Chainer's sources are compiled without a word, as on the first start after a copy."""
    result = python('-W', 'default', '-X', f'pycache_prefix={tmp_path}', '-c', """
import numpy, six, matplotlib.pyplot, cv2, PIL.Image, google.protobuf, mpi4py.MPI, scipy.special
import sys
sys.stderr.flush()
print('before Chainer', file=sys.stderr)
""" + IMPORTS, env={'PYTHONDONTWRITEBYTECODE': '1'})
    assert result.returncode == 0, result.stderr
    assert result.stderr.partition('before Chainer\n')[2] == ''


@pytest.mark.parametrize('first', [
    'import chainer', 'import chainer.links as L', 'from chainer.training import extensions',
    'import chainermn', 'import chainermn.extensions', 'import onnx_chainer'])
def test_import_after_a_failed_import(python, first):
    """A Chainer that could not be imported first is imported whole afterwards."""
    result = python('-W', 'default', '-c', BLOCK + f"""
try:
    {first}
except (AttributeError, ImportError):
    assert any(name.startswith('chainer.') for name in sys.modules)
else:
    raise AssertionError('chainer imports without help: this test tests nothing')
""" + IMPORTS + """
import numpy
chainer.backends.cuda, chainer.functions.resize_images
optimizer = chainer.optimizers.SGD().setup(chainer.links.Linear(2, 1))
optimizer.update(lambda x: chainer.functions.sum(optimizer.target(x)), numpy.ones((1, 2), 'f'))
assert optimizer.target.b.array == -.01
""")
    assert result.stderr == ''
    assert result.returncode == 0


def test_import_after_a_failed_import_of_chainercv(python):
    """The same where ChainerCV came first (it warns of setuptools' own module itself)."""
    result = python('-W', 'ignore', '-c', """
try:
    import chainercv
except (AttributeError, ImportError):
    pass
else:
    raise AssertionError('chainercv imports without help: this test tests nothing')
""" + IMPORTS + 'chainercv.utils.bbox_iou, chainer.functions.resize_images')
    assert result.stderr == ''
    assert result.returncode == 0


def test_import_after_chainer_warns(python):
    """Whoever imports Chainer first, by other means, is told to change the order."""
    result = python('-c', """
import sys, types
sys.modules['chainer'] = sys.modules['chainer.backends.cuda'] = types.ModuleType('chainer')
import yolo_dist
""")
    assert result.returncode == 0
    assert 'RuntimeWarning: chainer was imported before yolo_dist' in result.stderr


@pytest.mark.parametrize('version, cudnn', [('12.3.0', "CuPy's"), ('13.6.0', "CuPy's"),
                                            ('13.6.0', None), ('14.2.0', None), ('14.2.0', 'own')])
def test_cupy_is_accepted(python, version, cudnn):
    """With CuPy 12 to 14, its cuDNN, cuDNN 9 or none, Chainer sees CUDA and all of its modules
    are imported without a word (CuPy is a fake)."""
    result = python('-W', 'default', '-c', f"""
VERSION, CUDNN = {version!r}, {cudnn!r}
""" + CUPY + IMPORTS + """
from chainer.backends import cuda
assert cuda.available, cuda._resolution_error
assert cuda.cudnn_enabled is (CUDNN is not None), cuda._resolution_error
from yolo_dist.kernels.cudnn9.choice import name_of
assert CUDNN is None or name_of(cuda.cudnn) == CUDNN
assert cuda._cudnn_version == {"CuPy's": 8900, 'own': 92800, None: -1}[CUDNN]
cuda.check_cuda_available()
""")
    assert result.stderr == ''
    assert result.returncode == 0


def test_chainermn_averages_gradients(mpiexec):
    """ChainerMN on mpi4py 4 gives three processes the mean of their gradients, silently."""
    result = mpiexec(3, '-W', 'default', '-c', """
import yolo_dist, chainer, chainermn, numpy
comm = chainermn.create_communicator('naive')
link = chainer.links.Linear(2, 1)
comm.bcast_data(link)
link.W.grad = numpy.full((1, 2), comm.rank, numpy.float32)
link.b.grad = numpy.full(1, 3 * comm.rank, numpy.float32)
comm.multi_node_mean_grad(link)
assert link.W.grad.tolist() == [[1, 1]] and link.b.grad.tolist() == [3]
assert comm.allreduce_obj(comm.rank) == 3
""")
    assert result.stderr == ''
    assert result.returncode == 0


@pytest.mark.parametrize('repair', compat.REPAIRS, ids=lambda repair: repair.module)
def test_repair_finds_its_line(repair):
    """No repair is stale: the pinned sources hold the old text, and not the new one."""
    path = pathlib.Path(importlib.util.find_spec(repair.module).origin)
    source = path.read_text()
    assert repair.old in source
    assert not repair.new.strip() or repair.new not in source.replace(repair.old, '')


@pytest.mark.parametrize('align_corners', [True, False])
def test_resize_images(align_corners):
    """resize_images doubles a ramp exactly, and its gradient sums to the output's size."""
    ramp = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4) * np.ones((4, 1), np.float32)
    x = chainer.Variable(ramp)
    y = F.resize_images(x, (4, 7), align_corners=align_corners)
    expected = (np.linspace(0, 3, 7) if align_corners
                else np.clip((np.arange(7) + .5) * 4 / 7 - .5, 0, 3))
    np.testing.assert_allclose(y.array[0, 0, 1], expected, atol=1e-6)
    F.sum(y).backward()
    np.testing.assert_allclose(x.grad.sum(), y.size, rtol=1e-6)


def test_as_strided():
    """Overlapping windows are cut out, and each element's gradient counts its windows."""
    x = chainer.Variable(np.arange(5, dtype=np.float32))
    y = F.as_strided(x, (3, 3), (1, 1))
    np.testing.assert_array_equal(y.array, [[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    F.sum(y).backward()
    np.testing.assert_array_equal(x.grad, [1, 2, 3, 2, 1])


def test_multiprocess_iterator_is_silent(python):
    """Worker processes deliver the examples in order, and no deprecated call is made."""
    result = python('-W', 'error::DeprecationWarning', '-c', """
import yolo_dist
from chainer.iterators import MultiprocessIterator
iterator = MultiprocessIterator(list(range(6)), 2, shuffle=False, n_processes=1)
assert [iterator.next() for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
iterator.finalize()
""")
    assert result.stderr == ''
    assert result.returncode == 0


def test_chainercv_reads_voc(tmp_path):
    """ChainerCV's VOC dataset returns difficult flags as bool."""
    for folder in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'ImageSets' / 'Main' / 'trainval.txt').write_text('one\n')
    (tmp_path / 'Annotations' / 'one.xml').write_text(
        '<annotation><object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin>'
        '<ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>')
    dataset = VOCBboxDataset(tmp_path, 'trainval', use_difficult=True, return_difficult=True)
    bbox, label, difficult = dataset._get_annotations(0)
    np.testing.assert_array_equal(bbox, [[1, 0, 39, 29]])
    assert (difficult.dtype, difficult.tolist()) == (np.bool_, [True])
    assert label.dtype == np.int32


def test_chainercv_draws_without_warnings():
    """Boxes are drawn on an image; a mask twice the size has a box twice the size."""
    matplotlib = pytest.importorskip('matplotlib')
    matplotlib.use('agg')
    img = np.zeros((3, 20, 30), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        ax = vis_bbox(img, np.array([[2, 3, 10, 12]], np.float32), np.array([0]), np.array([.5]),
                      label_names=('dog',))
        assert [patch.get_bbox().bounds for patch in ax.patches] == [(3, 2, 9, 8)]
    mask = np.zeros((1, 20, 30), bool)
    mask[0, 2:10, 3:12] = True
    scaled = scale_mask(mask, mask_to_bbox(mask), 40)
    np.testing.assert_array_equal(mask_to_bbox(scaled), [[4, 6, 20, 24]])
    matplotlib.pyplot.close('all')


@pytest.mark.parametrize('n_bbox', [1, 64, 65, 200])
def test_nms_gpu_post(n_bbox):
    """From the words the GPU kernel writes, it chooses the boxes that the CPU chooses."""
    rng = np.random.default_rng(n_bbox)
    corner = rng.uniform(0, 60, (n_bbox, 2))
    bbox = np.hstack([corner, corner + rng.uniform(10, 40, (n_bbox, 2))]).astype(np.float32)
    overlaps = np.triu(bbox_iou(bbox, bbox) >= .4, k=1)
    n_words = -(-n_bbox // 64)
    bits = np.zeros((n_bbox, n_words * 64), np.uint8)
    bits[:, :n_bbox] = overlaps
    mask = np.packbits(bits, axis=1, bitorder='little').view(np.uint64).ravel()

    selection, n_selected = compat.nms_gpu_post(mask, n_bbox, 64, np.int32(n_words))
    np.testing.assert_array_equal(selection[:n_selected], non_maximum_suppression(bbox, .4))
    assert selection.dtype == np.int32
    assert n_bbox < 64 or n_selected < n_bbox


def test_received_parameters_are_cast():
    """Float32 parameters take what was sent as float16 (mixed16 on `pure_nccl`)."""
    class Buffer:
        def to_device(self, array, size, offset, stream):
            assert (array.dtype, size) == (np.float16, array.nbytes)
            array[...] = offset + .5

    params = [chainer.Parameter(np.zeros(shape, np.float32)) for shape in ((2, 3), (4,))]
    _memory_utility.unpack_params(params, 'data', Buffer(), np.float16, False)
    np.testing.assert_array_equal(params[0].array, np.full((2, 3), .5, np.float32))
    np.testing.assert_array_equal(params[1].array, np.full(4, 12.5, np.float32))
    assert params[1].dtype == np.float32


@pytest.mark.filterwarnings('ignore:pkg_resources is deprecated')
def test_chainer_with_requires():
    """Chainer's marker for its own tests still works where pkg_resources is installed."""
    pytest.importorskip('pkg_resources')
    assert not getattr(testing.with_requires('numpy>=1')(object), '__unittest_skip__', False)
    assert testing.with_requires('numpy<1')(type('Case', (), {})).__unittest_skip__


def test_strtobool():
    """The switches of distutils.util.strtobool are read alike."""
    assert [compat.strtobool(text) for text in ('ON', 'yes', 't', '1')] == [1] * 4
    assert [compat.strtobool(text) for text in ('off', 'No', 'f', '0')] == [0] * 4
    with pytest.raises(ValueError, match='perhaps'):
        compat.strtobool('perhaps')
