"""ONNX Runtime computes from the exported files what the links compute."""
import json
import sys

import chainer
import cv2
import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.formats import export_onnx
from yolo_dist.links import Darknet19, Darknet53, YOLOv2, YOLOv3

NETWORKS = [Darknet19, Darknet53, YOLOv2, YOLOv3]


def build(link, n_class=3):
    """A narrow network with statistics unlike a new one's; values neither grow nor vanish."""
    rng = np.random.default_rng(0)
    model = link(n_class, width=0.125)
    for child in model.links():
        if isinstance(child, chainer.links.BatchNormalization):
            child.avg_mean[:] = rng.normal(0, 0.1, child.avg_mean.shape)
            child.avg_var[:] = rng.uniform(0.5, 2, child.avg_var.shape)
            child.gamma.array[:] = rng.uniform(0.5, 1, child.gamma.shape)
            child.beta.array[:] = rng.normal(0, 0.1, child.beta.shape)
    return model


def run(path, images):
    """Outputs of ONNX Runtime by name, in the file's order."""
    runtime = pytest.importorskip('onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    outputs = session.run(None, {'images': images})
    return dict(zip((output.name for output in session.get_outputs()), outputs, strict=True))


def outputs(model, images):
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        y = model(images)
    if isinstance(y, tuple):
        return dict(zip(('locs', 'objs', 'confs'), (x.array for x in y), strict=True))
    return {'logits': y.array}


def images(batch, height, width):
    """Pictures of patches, each unlike the others, so that every output depends on its place."""
    rng = np.random.default_rng(batch)
    patches = rng.random((batch, 3, height // 8, width // 8), np.float32)
    return patches.repeat(8, axis=2).repeat(8, axis=3)


def assert_agree(found, expected):
    """Same names in the same order; values agree to 1e-5 of the largest (float32 gives 1e-6)."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == value.shape
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5 * abs(value).max())


@pytest.mark.parametrize('link', NETWORKS)
def test_runtime_agrees_for_any_batch_and_size(link, tmp_path):
    """One file serves batches of 1 and 3 and other heights and widths than its own."""
    model, path = build(link), tmp_path / 'model.onnx'
    export_onnx(model, path, insize=64)
    for batch, height, width in ((1, 64, 64), (3, 64, 64), (3, 96, 160)):
        x = images(batch, height, width)
        expected = outputs(model, x)
        assert all(value.std() > 0.01 for value in expected.values())
        assert_agree(run(path, x), expected)


@pytest.mark.skipif(int(cv2.__version__.split('.')[0]) < 5, reason='OpenCV 4 knows no free size')
@pytest.mark.parametrize('link', NETWORKS)
def test_opencv_agrees(link, tmp_path):
    """OpenCV 5, another reader, computes the same from the same file."""
    model, path = build(link), tmp_path / 'model.onnx'
    export_onnx(model, path, insize=64)
    x = images(2, 64, 96)
    expected = outputs(model, x)
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x, 'images')
    assert_agree(dict(zip(expected, net.forward(list(expected)), strict=True)), expected)


@pytest.mark.parametrize('link', [YOLOv2, YOLOv3])
def test_decoded_boxes_are_those_of_the_link(link, tmp_path):
    """With decoded boxes the outputs are boxes in pixels and scores, for any batch."""
    model, path = build(link), tmp_path / 'model.onnx'
    insize = (64, 96)
    export_onnx(model, path, insize=insize, decode_boxes=True)
    for batch in (1, 3):
        x = images(batch, *insize)
        raw = outputs(model, x)
        boxes = model.decode(raw['locs'], model.default_boxes(insize))
        assert_agree(run(path, x), {
            'boxes': boxes, 'scores': model._scores(raw['objs'], raw['confs'])})


def test_a_huge_size_is_clipped_as_in_the_link(tmp_path):
    """Boxes of a diverged network are huge and finite."""
    model = build(YOLOv2)
    model.subnet.b.array[:] = 100
    export_onnx(model, tmp_path / 'model.onnx', insize=32, decode_boxes=True)
    found = run(tmp_path / 'model.onnx', images(1, 32, 32))
    assert np.isfinite(found['boxes']).all() and found['boxes'].max() > 1e12


def test_file_holds_the_weights_and_says_what_it_is(tmp_path):
    """Each parameter and statistic is in the file bit for bit; names and size are metadata."""
    import onnx
    model, path = build(YOLOv3), tmp_path / 'model.onnx'
    before = {name: param.array.copy() for name, param in model.namedparams()}
    export_onnx(model, path, insize=64, class_names=['a', 'b', 'ü'])
    proto = onnx.load(path)
    stored = {onnx.numpy_helper.to_array(tensor).tobytes() for tensor in proto.graph.initializer}
    for name, value in before.items():
        assert value.tobytes() in stored, name
    for link in model.links():
        if isinstance(link, chainer.links.BatchNormalization):
            assert {link.avg_mean.tobytes(), link.avg_var.tobytes()} <= stored
    assert [value.name for value in proto.graph.input] == ['images']
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert metadata.pop('model') == 'YOLOv3'
    assert {key: json.loads(value) for key, value in metadata.items()} == {
        'insize': [64, 64], 'class_names': ['a', 'b', 'ü']}
    # The network computes on as before, in its own functions.
    assert type(model.extractor).upsample is model.extractor.upsample


@pytest.mark.parametrize('insize, words', [
    (100, r'input size \(100, 100\)'), (-32, 'positive multiple of 32'),
    ((64, 80), r'input size \(64, 80\)')])
@pytest.mark.parametrize('link', [Darknet19, YOLOv3])
def test_other_sizes_are_refused(link, insize, words, tmp_path):
    """A size that is no multiple of 32 is named, and no file is written."""
    with pytest.raises(InputError, match=words):
        export_onnx(link(2, width=0.01), tmp_path / 'model.onnx', insize=insize)
    assert not list(tmp_path.iterdir())


def test_boxes_of_a_classifier_are_refused(tmp_path):
    """The message names the file and the network."""
    with pytest.raises(InputError, match='model.onnx: .* Darknet53 is a classifier'):
        export_onnx(Darknet53(2, width=0.01), tmp_path / 'model.onnx', insize=32,
                    decode_boxes=True)


def test_class_names_of_another_length_are_refused(tmp_path):
    """The message gives both numbers."""
    with pytest.raises(InputError, match='model.onnx: found 3 class names, expected 2'):
        export_onnx(Darknet19(2, width=0.01), tmp_path / 'model.onnx', insize=32,
                    class_names=['a', 'b', 'c'])


def test_missing_package_is_named(tmp_path, monkeypatch):
    """Without onnx one line names the extra that brings it."""
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(InputError, match='onnx.* is not installed.*extra `onnx`') as error:
        export_onnx(Darknet19(2, width=0.01), tmp_path / 'model.onnx', insize=32)
    assert '\n' not in str(error.value)
