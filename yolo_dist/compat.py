"""Make Chainer 7.8.1 and ChainerCV 0.13.1 run on current Python, NumPy and CuPy.

A few lines of the two packages no longer work. They are replaced in memory while their modules
are imported: see ``REPAIRS``. Nothing is added to ``numpy`` or to ``sys.modules``. No installed
file is changed. A module without the old line (a repaired Chainer) is loaded unchanged.
"""
import importlib.abc
import importlib.machinery
import sys
import warnings
from typing import NamedTuple


class Repair(NamedTuple):
    """One replacement in the source text of one module, every time ``old`` occurs."""

    module: str
    old: str
    new: str


# Modules of ChainerCV that make arrays of the former alias of `bool`.
_BOOL_MODULES = (
    'chainercv.datasets.coco.coco_instances_base_dataset',
    'chainercv.datasets.cub.cub_keypoint_dataset',
    'chainercv.datasets.voc.voc_bbox_dataset',
    'chainercv.datasets.voc.voc_utils',
    'chainercv.links.model.fpn.mask_head',
    'chainercv.links.model.fpn.mask_utils',
    'chainercv.utils.mask.scale_mask',
    'chainercv.visualizations.vis_point',
)

# Modules of Chainer that read the constants and version of cuDNN from CuPy.
_CUDNN_MODULES = (
    'chainer.functions.activation.clipped_relu',
    'chainer.functions.activation.log_softmax',
    'chainer.functions.activation.relu',
    'chainer.functions.connection.convolution_2d',
    'chainer.functions.connection.deconvolution_2d',
    'chainer.functions.normalization.group_normalization',
    'chainer.functions.pooling.average_pooling_2d',
    'chainer.functions.pooling.average_pooling_nd',
    'chainer.functions.pooling.max_pooling_nd',
)

# Modules of Chainer's exporter that look up the ONNX number of a dtype.
_ONNX_MODULES = ('onnx_chainer.export', 'onnx_chainer.functions.array',
                 'onnx_chainer.functions.math')

REPAIRS = (
    # numpy.distutils left with Python 3.12, pkg_resources with setuptools 82.
    Repair('chainer._environment_check',
           'import numpy.distutils.system_info\nimport pkg_resources\n', '\n\n'),
    # The two checks that used them: one for vecLib on old macOS, one for a CuPy other than 7.
    Repair('chainer._environment_check',
           '    _check_osx_numpy_backend()\n    _check_optional_dependencies()\n', ''),
    # pkg_resources again, in a helper for Chainer's own tests. It is now imported where used.
    Repair('chainer.testing.helper', 'import pkg_resources\n', '\n'),
    Repair('chainer.testing.helper', '    ws = pkg_resources.WorkingSet()',
           '    import pkg_resources; ws = pkg_resources.WorkingSet()'),
    # CuPy 14 has no cuDNN. CuPy 12 and 13 warn about the old name: see kernels.cudnn9.choice.
    Repair('chainer.backends.cuda',
           'if 7 < _cupy_major:\n            import cupy.cuda.cudnn\n        import cupy.cudnn\n',
           'from yolo_dist.kernels.cudnn9.choice import load as _load_cudnn\n        \n\n'),
    Repair('chainer.backends.cuda',
           'cudnn = cupy.cudnn  # type: tp.Optional[types.ModuleType]\n'
           '        libcudnn = cupy.cuda.cudnn  # type: tp.Any # NOQA',
           'cudnn, libcudnn = _load_cudnn()\n'),
    # Chainer's own name for that module, instead of CuPy's.
    Repair('chainer.backends.cuda', '_cudnn_version = cuda.cudnn.getVersion()',
           '_cudnn_version = libcudnn.getVersion()'),
    Repair('chainer.backends.cuda', 'cuda.cudnn.CUDNN_TENSOR_', 'libcudnn.CUDNN_TENSOR_'),
    *(Repair(module, 'cuda.cuda.cudnn', 'cuda.libcudnn') for module in _CUDNN_MODULES),
    Repair('chainer.functions.normalization.batch_normalization',
           'cuda.cuda.cudnn.getVersion()', 'libcudnn.getVersion()'),
    # Without cuDNN Chainer warns on import, with advice that no longer helps. `doctor` has advice.
    Repair('chainer.backends.cuda',
           '    if (not cudnn_enabled and\n            not _cudnn_disabled_by_user and',
           '    if (False and not cudnn_enabled and\n            not _cudnn_disabled_by_user and'),
    # numpy.sctypes left with NumPy 2.
    Repair('chainer.functions.array.as_strided',
           "np.sctypes['int']", '(np.int8, np.int16, np.int32, np.int64)'),
    Repair('chainer.functions.array.as_strided',
           "np.sctypes['float']", '(np.float16, np.float32, np.float64)'),
    # numpy.float, an alias of the builtin, left with NumPy 1.24.
    Repair('chainer.functions.array.resize_images', 'dtype=numpy.float)', 'dtype=numpy.float64)'),
    # Thread.setDaemon is deprecated since Python 3.10.
    Repair('chainer.iterators.multiprocess_iterator',
           'thread.setDaemon(True)', 'thread.daemon = True'),
    # CuPy 14 and NumPy 2 read copy=False as "never copy": bcast_data of mixed16 would fail.
    Repair('chainermn.communicators._memory_utility',
           'xp.array(v, copy=False, dtype=transfer_dtype)',
           'v.astype(transfer_dtype, copy=False)'),
    # pkg_resources again, used only for the version.
    Repair('chainercv', 'import pkg_resources\n', 'from importlib import metadata\n'),
    Repair('chainercv', "pkg_resources.get_distribution('chainercv').version",
           "metadata.version('chainercv')"),
    # distutils left with Python 3.12 and warns in earlier versions.
    Repair('chainercv.utils.download',
           'from distutils.util import strtobool', 'from yolo_dist.compat import strtobool'),
    # The one C extension of ChainerCV does not compile on Python >= 3.11.
    Repair('chainercv.utils.bbox.non_maximum_suppression',
           'from chainercv.utils.bbox._nms_gpu_post import _nms_gpu_post',
           'from yolo_dist.compat import nms_gpu_post as _nms_gpu_post'),
    # onnx.mapping left with onnx 1.19. Its replacement, a function, gives the same table.
    *(Repair(module, 'from onnx.mapping import NP_TYPE_TO_TENSOR_TYPE',
             'from yolo_dist.compat import tensor_types as NP_TYPE_TO_TENSOR_TYPE')
      for module in _ONNX_MODULES),
    # onnx.mapping again, for constants written as text. Bytes work equally well.
    Repair('onnx_chainer.context',
           'field_name = onnx.mapping.STORAGE_TENSOR_TYPE_TO_FIELD.get(\n'
           '        tensor.data_type, None)', 'field_name = None\n'),
    # numpy.bool was missing from NumPy 1.24 to 1.26 (CuPy 12 needs NumPy 1).
    *(Repair(module, 'np.bool)', 'np.bool_)') for module in _BOOL_MODULES),
)

# Classes of ChainerCV that override `to_cpu` and `to_gpu`. Chainer 7 warns about this.
_OVERRIDING_MODULES = (
    'chainercv.links.model.pixelwise_softmax_classifier',
    'chainercv.links.model.ssd.multibox_coder',
    'chainercv.links.model.ssd.ssd',
    'chainercv.links.model.yolo.yolo_v2',
    'chainercv.links.model.yolo.yolo_v3',
    'chainercv.utils.testing.constant_stub_link',
)

_PACKAGES = ('chainer', 'chainercv', 'chainermn', 'chainerx', 'onnx_chainer')


def install():
    """Make Chainer, ChainerMN and ChainerCV importable. Call it before they are imported.

    A Chainer whose import failed earlier leaves half of its modules behind. These modules are
    removed, and the next import starts again. A Chainer that was imported successfully stays
    unchanged, and a ``RuntimeWarning`` says that its modules are not repaired.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    for package in _PACKAGES:
        if package not in sys.modules:
            for name in [name for name in sys.modules if name.startswith(package + '.')]:
                del sys.modules[name]
    if any(repair.module in sys.modules for repair in REPAIRS):
        warnings.warn('chainer was imported before yolo_dist, which could not adapt it to this '
                      'Python and NumPy; import yolo_dist first', RuntimeWarning, stacklevel=3)
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of ``_PACKAGES`` and has ``_Loader`` load them."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition('.')[0] not in _PACKAGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles repaired source. Other modules come from their bytecode cache as usual."""

    def exec_module(self, module):
        if module.__name__ not in _OVERRIDING_MODULES:
            return super().exec_module(module)
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'Overriding method', DeprecationWarning)
            super().exec_module(module)

    def get_code(self, fullname):
        repairs = [repair for repair in REPAIRS if repair.module == fullname]
        if not repairs:
            return super().get_code(fullname)
        source = self.get_source(fullname)
        for repair in repairs:
            source = source.replace(repair.old, repair.new)
        return self.source_to_code(source, self.path)

    def source_to_code(self, data, path, **options):
        with warnings.catch_warnings():
            # Hide warnings about escapes such as '\_' in docstrings and `is` with a string.
            warnings.simplefilter('ignore', SyntaxWarning)
            warnings.simplefilter('ignore', DeprecationWarning)
            return super().source_to_code(data, path, **options)


def strtobool(text):
    """Read a switch of the environment in the way of ``distutils.util.strtobool``.

    Args:
        text (str): ``y, yes, t, true, on, 1`` or ``n, no, f, false, off, 0``, in any case.

    Returns:
        int: 1 or 0.

    Raises:
        ValueError: If ``text`` is none of these.
    """
    text = text.lower()
    if text in ('y', 'yes', 't', 'true', 'on', '1'):
        return 1
    if text in ('n', 'no', 'f', 'false', 'off', '0'):
        return 0
    raise ValueError(f'found {text!r}, expected a switch such as "on" or "off"')


class _TensorTypes:
    """Table of the ONNX numbers of dtypes, in the place of ``onnx.mapping``."""

    def __getitem__(self, dtype):
        import onnx  # here, as this package works without it
        return onnx.helper.np_dtype_to_tensor_dtype(dtype)


tensor_types = _TensorTypes()


def nms_gpu_post(mask, n_bbox, threads_per_block, col_blocks):
    """Choose boxes from the overlaps that ChainerCV's GPU kernel found.

    Args:
        mask (numpy.ndarray): ``(n_bbox * col_blocks,)`` uint64. Bit ``k`` of word ``c`` of row
            ``i`` says that box ``i`` overlaps box ``threads_per_block * c + k``, which comes
            after it.
        n_bbox (int): Boxes, best first.
        threads_per_block (int): Boxes in one word, 64.
        col_blocks (int): Words in one row.

    Returns:
        tuple of (numpy.ndarray, int): Indices of the boxes to keep in the front of an int32
        ``(n_bbox,)``, and their number.
    """
    import numpy as np  # here, as `doctor` also runs where NumPy is missing
    rows = mask.reshape(n_bbox, col_blocks)
    suppressed = np.zeros(col_blocks, dtype=np.uint64)
    selection = np.zeros(n_bbox, dtype=np.int32)
    n_selected = 0
    for i in range(n_bbox):
        word, bit = divmod(i, threads_per_block)
        if not int(suppressed[word]) >> bit & 1:
            selection[n_selected] = i
            n_selected += 1
            suppressed |= rows[i]
    return selection, n_selected
