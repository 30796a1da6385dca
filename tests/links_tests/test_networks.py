"""Structure of the four networks."""
import chainer
import numpy as np
import pytest

from yolo_dist.errors import InputError
from yolo_dist.links import Darknet19, Darknet53, YOLOv2, YOLOv3
from yolo_dist.links.yolo_v2 import reorg
from yolo_dist.links.yolo_v3 import upsample

MODELS = (Darknet19, Darknet53, YOLOv2, YOLOv3)


@pytest.mark.parametrize('build,n_class,n_param', [
    (Darknet19, 1000, 20_842_376), (Darknet53, 1000, 41_609_928),
    (YOLOv2, 20, 50_655_389), (YOLOv3, 20, 61_626_049)])
def test_number_of_parameters(build, n_class, n_param):
    """The full networks have exactly the paper's number of parameters, all initialised."""
    assert build(n_class).count_params() == n_param


@pytest.mark.parametrize('build', MODELS)
def test_initialisation_and_batch_normalisation(build):
    """He's weights, zero biases, BN decay and epsilon as Darknet's, at every layer."""
    n_bn = 0
    for link in build(3, width=0.25).links():
        if isinstance(link, chainer.links.BatchNormalization):
            n_bn += 1
            assert (link.decay, link.eps) == (0.99, 1e-5)
        elif isinstance(link, chainer.links.Convolution2D):
            w = link.W.array
            expected = np.sqrt(2 / w[0].size)
            assert w.std() == pytest.approx(expected, rel=6 / np.sqrt(w.size))
            assert link.b is None or not link.b.array.any()
    assert n_bn == {Darknet19: 18, Darknet53: 52, YOLOv2: 22, YOLOv3: 72}[build]
    model = build(3, width=0.05, bn_decay=0.9)
    assert {link.decay for link in model.links() if hasattr(link, 'decay')} == {0.9}


# Of two images of 32 x 64 px, for three classes: logits, or boxes, objectness and classes of five
# anchors on 1 x 2 cells (YOLOv2), of three on 1 x 2, 2 x 4 and 4 x 8 (YOLOv3).
OUTPUT_SHAPES = {
    Darknet19: [(2, 3)], Darknet53: [(2, 3)], YOLOv2: [(2, 10, 4), (2, 10), (2, 10, 3)],
    YOLOv3: [(2, 126, 4), (2, 126), (2, 126, 3)]}


@pytest.mark.parametrize('build', MODELS)
@pytest.mark.parametrize('width', [0.01, 0.05, 0.1])
def test_any_width_runs(build, width):
    """Very narrow networks compute too, where rounding leaves odd channel counts."""
    images = np.random.default_rng(0).random((2, 3, 32, 64)).astype('f')
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        outputs = build(3, width=width)(images)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    assert [output.shape for output in outputs] == OUTPUT_SHAPES[build]
    for output in outputs:
        assert np.isfinite(output.array).all()
        # An image has an output of its own: no layer is without channels.
        assert (output.array[0] != output.array[1]).any()


def test_classifiers_pool_on_different_sides_of_the_last_convolution():
    """Darknet19 pools logits, Darknet53 pools features; both take any multiple of 32."""
    for build, n_position in ((Darknet19, 4 * 6), (Darknet53, 1)):
        model = build(7, width=0.05)
        shapes = []
        forward = model.head.forward
        model.head.forward = lambda x, f=forward, s=shapes: s.append(x.shape) or f(x)
        assert model(np.zeros((2, 3, 128, 192), 'u1')).shape == (2, 7)
        assert np.prod(shapes[0][2:]) == n_position


def test_bytes_and_floats_give_the_same():
    """uint8 0..255 is divided by 255; floats are taken as they are."""
    imgs = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32)).astype('u1')
    model = Darknet53(4, width=0.05)
    with chainer.using_config('train', False):
        np.testing.assert_allclose(
            model(imgs).array, model(imgs.astype('f') / 255).array, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('dtype,expected', [
    ('float32', 'float32'), ('float16', 'float16'), (chainer.mixed16, 'float16')])
def test_compute_dtype_follows_the_configuration(dtype, expected):
    """Both uint8 and float images are computed on in Chainer's dtype."""
    with chainer.using_config('dtype', dtype), chainer.using_config('train', False):
        model = Darknet19(4, width=0.05)
        for imgs in (np.ones((1, 3, 32, 32), 'u1'), np.ones((1, 3, 32, 32), 'f')):
            assert model(imgs).dtype == expected


@pytest.mark.parametrize('build', [YOLOv2, YOLOv3])
def test_mixed16_keeps_parameters_and_gradients_in_float32(build):
    """Under mixed16 only activations are float16."""
    with chainer.using_config('dtype', chainer.mixed16):
        model = build(2, width=0.05)
        outputs = model(np.ones((2, 3, 64, 64), 'u1'))
        # the mean, as a sum over all outputs overflows float16 on its way back
        sum(chainer.functions.mean(chainer.functions.cast(x, 'f')) for x in outputs).backward()
    assert {x.dtype.name for x in outputs} == {'float16'}
    for param in model.params():
        assert (param.dtype.name, param.grad.dtype.name) == ('float32', 'float32')


def test_reorg_is_darknets():
    """The index arithmetic of Darknet's loop over the flat memory gives the same order."""
    c, h, w, stride = 8, 4, 6, 2
    memory = np.random.default_rng(0).random(c * h * w).astype('f')
    out = np.zeros_like(memory)
    for k in range(c):
        for j in range(h):
            for i in range(w):
                offset, c2 = divmod(k, c // stride ** 2)
                w2 = i * stride + offset % stride
                h2 = j * stride + offset // stride
                out[i + w * (j + h * k)] = memory[
                    w2 + w * stride * (h2 + h * stride * c2)]
    y = reorg(chainer.Variable(memory.reshape(1, c, h, w)))
    assert y.shape == (1, 4 * c, h // 2, w // 2)
    np.testing.assert_array_equal(y.array.ravel(), out)
    plain = memory.reshape(c, h // 2, 2, w // 2, 2).transpose(2, 4, 0, 1, 3)
    assert not (y.array.ravel() == plain.ravel()).all()  # negative control


def test_upsample_repeats():
    """Each value fills a 2x2 block."""
    x = np.random.default_rng(0).random((2, 3, 4, 5)).astype('f')
    np.testing.assert_array_equal(
        upsample(chainer.Variable(x)).array, x.repeat(2, axis=2).repeat(2, axis=3))


@pytest.mark.parametrize('build', MODELS)
@pytest.mark.parametrize('shape,dtype', [
    ((1, 3, 100, 96), 'u1'), ((1, 3, 96, 0), 'f'), ((3, 96, 96), 'u1'), ((1, 1, 96, 96), 'f'),
    ((1, 3, 96, 96), 'i')])
def test_images_that_do_not_fit(build, shape, dtype):
    """A size off the multiples of 32, missing axes, grey images and integers are refused."""
    with pytest.raises(InputError):
        build(2, width=0.02)(np.zeros(shape, dtype))


@pytest.mark.parametrize('kwargs', [{'width': 0}, {'width': -1.0}])
@pytest.mark.parametrize('build', MODELS)
def test_width_that_does_not_fit(build, kwargs):
    """A width of zero or less is refused."""
    with pytest.raises(InputError, match='width'):
        build(2, **kwargs)
