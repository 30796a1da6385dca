import numpy as np
import pytest
from chainer.serializers import DictionarySerializer, save_npz

from yolo_dist.errors import InputError
from yolo_dist.links import Darknet19, Darknet53, YOLOv2, YOLOv3, load_layers, load_weights

WIDTH = 0.03


def state(link):
    """Parameters and persistent values by name, copied."""
    serializer = DictionarySerializer()
    serializer.save(link)
    return {name: np.array(value) for name, value in serializer.target.items()}


def disturb(model):
    """Make weights, statistics and counters unlike those of any new model."""
    model(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64)).astype('u1'))
    for link in model.links():
        if hasattr(link, 'avg_mean'):
            link.N = 3
    return model


@pytest.mark.parametrize('build', [Darknet19, Darknet53, YOLOv2, YOLOv3])
def test_weights_come_back(build, tmp_path):
    """Parameters and statistics of a saved model are those of the loaded one."""
    saved, loaded = disturb(build(3, width=WIDTH)), build(3, width=WIDTH)
    save_npz(tmp_path / 'w.npz', saved)
    load_weights(loaded, tmp_path / 'w.npz')
    expected = state(saved)
    for name, value in state(loaded).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize('classifier,detector,n_conv', [
    (Darknet19, YOLOv2, 18), (Darknet53, YOLOv3, 52)])
def test_backbone_is_the_classifiers_and_the_rest_untouched(
        classifier, detector, n_conv, tmp_path):
    """The 18 or 52 convolutions with their statistics are transferred, and nothing else."""
    saved, model = disturb(classifier(5, width=WIDTH)), detector(3, width=WIDTH)
    save_npz(tmp_path / 'w.npz', saved)
    before, source = state(model), state(saved)
    assert len(load_layers(model, tmp_path / 'w.npz').taken) == n_conv
    transferred = set()
    for name, value in state(model).items():
        if name in source:
            transferred.add(name)
            np.testing.assert_array_equal(value, source[name])
        else:
            np.testing.assert_array_equal(value, before[name])
    assert transferred == {name for name in source if name.startswith('extractor/')}
    assert sum(name.endswith('conv/W') for name in transferred) == n_conv
    assert any((before[name] != source[name]).any() for name in transferred)


@pytest.mark.parametrize('build,heads', [
    (YOLOv3, ['subnet/0/1', 'subnet/1/1', 'subnet/2/1']), (YOLOv2, ['subnet']),
    (Darknet53, ['head'])])
@pytest.mark.parametrize('n_class', [3, 4])
def test_of_the_same_network_all_is_taken_but_an_output_for_other_classes(
        build, heads, n_class, tmp_path):
    """Every layer is named once, as taken or left; what is left stays as it was."""
    saved, model = disturb(build(n_class, width=WIDTH)), build(3, width=WIDTH)
    save_npz(tmp_path / 'w.npz', saved)
    before, source = state(model), state(saved)
    taken, left = load_layers(model, tmp_path / 'w.npz')
    assert left == ([] if n_class == 3 else heads)
    for name, value in state(model).items():
        assert any(name.startswith(f'{layer}/') for layer in (*taken, *left))
        expected = before if any(name.startswith(f'{layer}/') for layer in left) else source
        np.testing.assert_array_equal(value, expected[name])
    assert len(taken) + len(left) == sum(name.endswith('W') for name in before)


def test_a_classifier_starts_from_a_detector(tmp_path):
    """Its backbone is the detector's; the head, which the detector lacks, is left."""
    model = Darknet53(3, width=WIDTH)
    save_npz(tmp_path / 'w.npz', disturb(YOLOv3(3, width=WIDTH)))
    taken, left = load_layers(model, tmp_path / 'w.npz')
    assert (len(taken), left) == (52, ['head'])


@pytest.mark.parametrize('target,saved', [
    (lambda: YOLOv3(3, width=WIDTH), lambda: YOLOv3(4, width=WIDTH)),
    (lambda: YOLOv3(3, width=WIDTH), lambda: YOLOv3(3, width=2 * WIDTH)),
    (lambda: YOLOv3(3, width=WIDTH), lambda: Darknet53(3, width=WIDTH)),
    (lambda: Darknet53(3, width=WIDTH), lambda: YOLOv3(3, width=WIDTH))])
def test_weights_of_another_model(target, saved, tmp_path):
    """Other classes, width or model: a short message, and the link is unchanged."""
    link, path = target(), tmp_path / 'w.npz'
    save_npz(path, saved())
    before = state(link)
    with pytest.raises(InputError, match='w.npz.*do not fit') as error:
        load_weights(link, path)
    assert len(str(error.value).splitlines()) <= 6
    after = state(link)
    assert all((after[name] == value).all() for name, value in before.items())


@pytest.mark.parametrize('saved', [
    lambda: Darknet19(3, width=WIDTH), lambda: Darknet53(3, width=2 * WIDTH)])
def test_backbone_of_another_model(saved, tmp_path):
    """Another backbone or width: a message, and the detector is unchanged."""
    detector = YOLOv3(3, width=WIDTH)
    save_npz(tmp_path / 'w.npz', saved())
    before = state(detector)
    with pytest.raises(InputError, match='backbone of YOLOv3 of width 0.03'):
        load_layers(detector, tmp_path / 'w.npz')
    assert all((state(detector)[name] == value).all() for name, value in before.items())


@pytest.mark.parametrize('load', [load_weights, load_layers])
@pytest.mark.parametrize('content', [None, b'', b'text', b'PK\x03\x04 cut off', 'npy'])
def test_files_that_are_no_weights(load, content, tmp_path):
    """Missing, empty, foreign and truncated files are refused by name."""
    path = tmp_path / 'w.npz'
    if content == 'npy':
        with open(path, 'wb') as f:
            np.save(f, np.zeros(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match='w.npz'):
        load(YOLOv2(2, width=WIDTH), path)


@pytest.mark.parametrize('build', [Darknet19, YOLOv2])
def test_a_snapshot_of_training_serves_as_weights(build, tmp_path):
    """Of a trainer's snapshot the model is read, and nothing but the model."""
    saved, loaded = disturb(build(3, width=WIDTH)), build(3, width=WIDTH)
    arrays = {f'updater/model:main/model/{name}': value for name, value in state(saved).items()}
    np.savez(tmp_path / 'w.npz', **arrays, **{'updater/iteration': 3})
    load_weights(loaded, tmp_path / 'w.npz')
    expected = state(saved)
    for name, value in state(loaded).items():
        np.testing.assert_array_equal(value, expected[name])
