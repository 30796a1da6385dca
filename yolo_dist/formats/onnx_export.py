"""ONNX files of the networks, by Chainer's own exporter."""
import importlib.util
import json
import warnings

import chainer
import chainer.functions as F
import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.kernels.cpu import using_cpu_backend
from yolo_dist.links import height_and_width

# The newest operator set that onnx_chainer writes, and the file version that came with it.
_OPSET = 11
_IR_VERSION = 6
# As in `functions.decode_bboxes`.
_MAX_LOG_SIZE = 30


def export_onnx(model, path, *, insize, decode_boxes=False, class_names=None):
    """Write a network as an ONNX file (operator set 11).

    The batch size is free. Height and width are free multiples of 32, except with decoded
    boxes, whose grid belongs to one size. The input ``images`` is float32 ``(batch, 3, height,
    width)``, RGB in 0..1. The outputs are float32:

    ==========  ==============================  ==============================================
    name        shape                           meaning
    ==========  ==============================  ==============================================
    ``logits``  ``(batch, n_class)``            of a classifier, before the softmax
    ``locs``    ``(batch, N, 4)``               of a detector, ``(t_y, t_x, t_h, t_w)``
    ``objs``    ``(batch, N)``                  of a detector, logits
    ``confs``   ``(batch, N, n_fg_class)``      of a detector, logits
    ``boxes``   ``(batch, N, 4)``               decoded, ``(y_min, x_min, y_max, x_max)`` in
                                                pixels of the input, not clipped to it
    ``scores``  ``(batch, N, n_fg_class)``      decoded, objectness times class probability
    ==========  ==============================  ==============================================

    Non-maximum suppression is not in the file. Its metadata are ``model`` (the name of the
    class), ``insize`` and ``class_names``, both as JSON.

    Args:
        model (~chainer.Chain): Darknet19, Darknet53, YOLOv2 or YOLOv3 with float32 weights, on
            a CPU.
        path (str or ~pathlib.Path): File to write.
        insize (int or tuple of int): Side, or ``(height, width)``, of the input in pixels;
            multiples of 32.
        decode_boxes (bool): Whether a detector gives ``boxes`` and ``scores`` in place of its
            raw outputs.
        class_names (sequence of str): Names of the classes, or ``None``.

    Raises:
        InputError: If ``insize`` is no positive multiple of 32, boxes of a classifier are
            asked for, there is not one name for each class, or the package ``onnx`` is not
            installed.
    """
    insize = height_and_width(insize)
    name, n_class = type(model).__name__, getattr(model, 'n_class', None) or model.n_fg_class
    if decode_boxes and not hasattr(model, 'n_fg_class'):
        raise InputError(f'{path}: boxes are to be decoded, but {name} is a classifier, which '
                         'has none; export it without')
    if class_names is not None and len(class_names) != n_class:
        raise InputError(f'{path}: found {len(class_names)} class names, expected {n_class}, '
                         f'one for each class of this {name}')
    if importlib.util.find_spec('onnx') is None:
        raise InputError(f'{path}: the package onnx, which writes this file, is not installed; '
                         "it comes with the extra `onnx`: pip install '.[onnx]'")
    import onnx
    shapes = _output_shapes(model, n_class, insize, decode_boxes)
    proto = _trace(_Traced(model, insize if decode_boxes else None), insize, list(shapes))
    _declare(proto, insize if decode_boxes else ('height', 'width'), shapes)
    metadata = {'model': name, 'insize': json.dumps(insize)}
    if class_names is not None:
        metadata['class_names'] = json.dumps(list(class_names), ensure_ascii=False)
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def _output_shapes(model, n_class, insize, decode_boxes):
    """Return the outputs by name, in their order; axes that are free have a name."""
    if not hasattr(model, 'n_fg_class'):
        return {'logits': ('batch', n_class)}
    if not decode_boxes:
        return {'locs': ('batch', 'N', 4), 'objs': ('batch', 'N'),
                'confs': ('batch', 'N', n_class)}
    n_box = len(model.default_boxes(insize).cell)
    return {'boxes': ('batch', n_box, 4), 'scores': ('batch', n_box, n_class)}


class _Traced(chainer.Chain):
    """A network whose operations do not depend on the size of the batch and of the image.

    Args:
        model (~chainer.Chain): The network. It stays as it is.
        decode_insize (tuple of int): Size for which boxes are decoded; ``None`` leaves them.
    """

    def __init__(self, model, decode_insize):
        super().__init__()
        self.decode_insize = decode_insize
        with self.init_scope():
            self.model = model.copy(mode='share')
        self._name('upsample', 'Upsample')
        self._name('reorg', 'Reorg')

    def _name(self, attribute, name):
        """Let the exporter see a function of the extractor as one, which it then converts."""
        from onnx_chainer.replace_func import fake_as_funcnode
        extractor = self.model.extractor
        if hasattr(extractor, attribute):
            setattr(extractor, attribute, fake_as_funcnode(
                getattr(extractor, attribute), name, experimental_warning=False))

    def forward(self, images):
        outputs = self.model(images)
        if self.decode_insize is None:
            return outputs
        locs, objs, confs = outputs
        boxes = self.model.default_boxes(self.decode_insize)
        centre, log_size = F.split_axis(locs, 2, axis=2)
        centre = (F.sigmoid(centre) + boxes.cell) * boxes.step_px[:, None]
        half_size = F.exp(F.clip(log_size, -_MAX_LOG_SIZE, _MAX_LOG_SIZE))
        half_size *= 0.5 * boxes.anchor_px
        scores = F.expand_dims(F.sigmoid(objs), 2) * self.model.class_probabilities(confs)
        return F.concat((centre - half_size, centre + half_size), axis=2), scores


def _trace(traced, insize, output_names):
    import onnx_chainer
    from onnx_chainer.functions.converter import FunctionConverter
    images = np.zeros((1, 3, *insize), np.float32)
    converters = {'Reshape': _convert_reshape, 'Reorg': FunctionConverter(_convert_reorg),
                  'Upsample': FunctionConverter(_convert_upsample)}
    # Chainer's own functions alone: the exporter knows no others.
    with using_cpu_backend(False), chainer.using_config('dtype', np.dtype(np.float32)), \
            warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)
        return onnx_chainer.export(
            traced, images, opset_version=_OPSET, input_names=['images'],
            output_names=output_names, external_converters=converters, no_testcase=True)


def _convert_reshape(params):
    """Convert ``F.reshape`` so that the first axis, the batch, keeps its length."""
    from onnx_chainer.mapping import converters
    params.func.shape = (0, *params.func.shape[1:])
    return converters['Reshape'](params)


def _convert_upsample(func, opset_version, input_names, output_names, context):
    """Convert YOLOv3's ``upsample``. Chainer's ``unpooling_2d`` becomes what OpenCV refuses."""
    from onnx_chainer.onnx_helper import make_node
    region = context.add_const(np.zeros(0, np.float32), 'no_region')
    scales = context.add_const(np.array((1, 1, 2, 2), np.float32), 'scales')
    return make_node('Resize', [*input_names, region, scales], output_names, mode='nearest',
                     coordinate_transformation_mode='asymmetric', nearest_mode='floor'),


def _convert_reorg(func, opset_version, input_names, output_names, context):
    """Convert YOLOv2's ``reorg``, see there. In a shape, 0 keeps an axis and -1 is the rest."""
    from onnx_chainer.onnx_helper import GraphBuilder

    def const(name, *values):
        return context.add_const(np.array(values, np.int64), name)
    graph = GraphBuilder()
    n_channel = func.inputs[0].shape[1]
    h = graph.op('Reshape', [*input_names, const('split', 0, n_channel // 4, 0, 2, -1, 2)])
    h = graph.op('Transpose', [h], perm=(0, 3, 5, 1, 2, 4))
    shape = graph.op('Div', [graph.op('Shape', input_names), const('halve', 1, 1, 2, 2)])
    shape = graph.op('Mul', [shape, const('quadruple', 1, 4, 1, 1)])
    graph.op('Reshape', [h, shape])
    return graph.nodes(output_names)


def _declare(proto, size, output_shapes):
    """Name the free axes; parameters are no inputs, so that a runtime may fold them."""
    from onnx import TensorProto, helper
    proto.ir_version = _IR_VERSION
    del proto.graph.input[:], proto.graph.output[:]
    proto.graph.input.append(helper.make_tensor_value_info(
        'images', TensorProto.FLOAT, ('batch', 3, *size)))
    proto.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in output_shapes.items())
