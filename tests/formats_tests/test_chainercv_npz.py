"""Weights go to ChainerCV's classes and come back bit for bit."""
import chainer
import chainercv
import numpy as np
import pytest
from chainer.serializers import save_npz

from yolo_dist.errors import InputError
from yolo_dist.formats import write_chainercv
from yolo_dist.links import Darknet53, YOLOv2, YOLOv3, load_weights


@pytest.fixture(scope='module')
def chainercv_file(tmp_path_factory):
    """A YOLOv2 of ChainerCV with 3 classes, its statistics unlike a new one's, and its file."""
    rng = np.random.default_rng(0)
    model = chainercv.links.YOLOv2(n_fg_class=3)
    with chainer.using_config('train', False):
        model(np.zeros((1, 3, 32, 32), np.float32))  # creates the weights
    for link in model.links():
        if isinstance(link, chainer.links.BatchNormalization):
            link.avg_var[:] = rng.uniform(.5, 2, link.avg_var.shape)
            link.N = 7
    path = tmp_path_factory.mktemp('chainercv') / 'yolo_v2.npz'
    save_npz(path, model, compression=False)
    return path


def arrays(path):
    with np.load(path, allow_pickle=False) as npz:
        return {name: npz[name] for name in npz.files}


def test_round_trip_is_bit_exact(chainercv_file, tmp_path):
    """ChainerCV's file fills our network, whose file ChainerCV's class loads and saves alike."""
    model = YOLOv2(3)
    load_weights(model, chainercv_file)
    write_chainercv(model, tmp_path / 'out.npz')
    twin = chainercv.links.YOLOv2(n_fg_class=3, pretrained_model=str(tmp_path / 'out.npz'))
    save_npz(tmp_path / 'twin.npz', twin, compression=False)
    expected = arrays(chainercv_file)
    for path in (tmp_path / 'out.npz', tmp_path / 'twin.npz'):
        found = arrays(path)
        assert found.keys() == expected.keys()
        assert all(found[name].tobytes() == value.tobytes() for name, value in expected.items())
        path.unlink()


@pytest.mark.parametrize('model, words', [
    (lambda: YOLOv2(20, width=0.02), 'YOLOv2 of width 0.02 with 20 classes'),
    (lambda: YOLOv3(3, width=0.02), 'YOLOv3 of width 0.02 with 3 classes'),
])
def test_another_network_or_class_count_is_refused(model, words, chainercv_file):
    """The message names ChainerCV's file, the network that was expected, and what differs."""
    with pytest.raises(InputError, match=f'yolo_v2.npz: .* do not fit {words}; .*') as error:
        load_weights(model(), chainercv_file)
    assert 'expected ' in str(error.value) or 'missing' in str(error.value)


@pytest.mark.parametrize('model, words', [
    (lambda: Darknet53(3, width=0.02), 'found a Darknet53, expected YOLOv2 or YOLOv3'),
    (lambda: YOLOv3(3, width=0.02), 'found YOLOv3 of width 0.02, expected width 1'),
])
def test_what_chainercv_lacks_is_refused(model, words, tmp_path):
    """Classifiers and narrow networks have no class in ChainerCV; no file is written."""
    with pytest.raises(InputError, match=f'out.npz: {words}'):
        write_chainercv(model(), tmp_path / 'out.npz')
    assert not list(tmp_path.iterdir())


def test_other_anchors_are_refused(tmp_path):
    """ChainerCV would decode boxes of other anchors wrongly, so no file is written."""
    model = YOLOv2(3, width=0.02, anchors=((1, 2), (3, 4)))
    model.width = 1
    with pytest.raises(InputError, match=r'found the anchors \[\[32.0, 64.0\], .* expected \[\['):
        write_chainercv(model, tmp_path / 'out.npz')
    assert not list(tmp_path.iterdir())
