"""What is written computes the same in Debian's Darknet and in OpenCV 4.

Both are other people's code. Outputs are of the order of 1. The tolerances are those of another
epsilon in 75 batch normalisations, and of float32 alone where the variances make up for it.
"""
import pathlib
import shutil

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer.serializers import save_npz

from yolo_dist.convert import main
from yolo_dist.formats import Network

ROOT = pathlib.Path(__file__).resolve().parents[2]
ORACLES = ROOT / 'tests' / 'oracles'
OPENCV_4 = ROOT / '.venv' / 'oracles'
LIBRARY = pathlib.Path('/usr/lib/darknet/libdarknet.so')

NETWORKS = [Network(name, 7, width=0.125)
            for name in ('darknet19', 'darknet53', 'yolo_v2', 'yolo_v3')]
networks = pytest.mark.parametrize('network', NETWORKS, ids=lambda network: network.name)
needs_darknet = pytest.mark.skipif(
    not LIBRARY.exists() or not shutil.which('darknet'), reason="no Debian package 'darknet'")
needs_opencv_4 = pytest.mark.skipif(
    not (OPENCV_4 / 'cv2').exists(), reason='no OpenCV 4 in .venv/oracles; make test installs it')


def export(link, tmp_path, *options):
    """Weights of a link in Darknet's files, by the command; returns their stem."""
    stem = tmp_path / '-'.join(['net', *options[1:]])
    if not (tmp_path / 'net.npz').exists():
        save_npz(tmp_path / 'net.npz', link)
    main([str(tmp_path / 'net.npz'), f'{stem}.weights', *options])
    return stem


def raw_outputs(link, network, x):
    """Logits ``(n_class,)``, or of a detector ``(N, 5 + n_class)``, boxes as x, y, w, h."""
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        outputs = link(x[None])
    if not network.is_detector:
        return outputs.array[0]
    locs, objs, confs = (output.array[0] for output in outputs)
    return np.hstack((locs[:, [1, 0, 3, 2]], objs[:, None], confs))


def detections(link, network, raw):
    """Boxes as shares of the input, objectness and probabilities, of :func:`raw_outputs`."""
    height, width = network.insize
    boxes = link.decode(raw[:, [1, 0, 3, 2]], link.default_boxes(network.insize))
    (y0, x0, y1, x1) = boxes.T / np.array([[height], [width], [height], [width]])
    objs = F.sigmoid(raw[:, 4]).array
    probabilities = link.class_probabilities(raw[:, 5:]).array * objs[:, None]
    return np.column_stack(((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, objs, probabilities))


def random_image(network):
    return np.random.default_rng(1).random((3, *network.insize)).astype('f')


def run_in_darknet(python, stem, network, x, tmp_path):
    np.save(tmp_path / 'x.npy', x)
    kind = 'detector' if network.is_detector else 'classifier'
    done = python(ORACLES / 'darknet_forward.py', LIBRARY, f'{stem}.cfg', f'{stem}.weights',
                  tmp_path / 'x.npy', tmp_path / 'y.npy', network.n_class, kind)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / 'y.npy')
    if network.name == 'yolo_v2':  # Darknet lists anchor by anchor there
        found = found.reshape(5, -1, found.shape[1]).swapaxes(0, 1).reshape(found.shape)
    return found


@needs_darknet
@networks
@pytest.mark.parametrize('options,tolerance', [
    ((), 2e-4), (('--exact-for', 'darknet-cpu'), 1e-5)], ids=['as-is', 'exact'])
def test_darknet_computes_the_same(network, options, tolerance, live_link, python, tmp_path):
    """Logarithms of class probabilities, or all boxes, objectness and probabilities."""
    link, x = live_link(network), random_image(network)
    stem = export(link, tmp_path, *options)
    expected = raw_outputs(link, network, x)
    expected = (detections(link, network, expected) if network.is_detector
                else F.log_softmax(expected[None]).array[0])
    found = run_in_darknet(python, stem, network, x, tmp_path)
    found = found if network.is_detector else np.log(found)
    assert expected.std(axis=0).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@needs_opencv_4
@networks
@pytest.mark.parametrize('options,tolerance', [
    ((), 2e-4), (('--exact-for', 'opencv'), 1e-5)], ids=['as-is', 'exact'])
def test_opencv_computes_the_same(network, options, tolerance, live_link, python, tmp_path):
    """Logarithms of class probabilities, or the raw outputs of all scales."""
    link, x = live_link(network), random_image(network)
    stem = export(link, tmp_path, *options)
    expected = raw_outputs(link, network, x)
    layers = [f'conv_{i - 1}' for i, layer in enumerate(network.layers())
              if layer.kind in ('region', 'yolo')]
    np.save(tmp_path / 'x.npy', x)
    done = python(ORACLES / 'opencv_forward.py', f'{stem}.cfg', f'{stem}.weights',
                  tmp_path / 'x.npy', tmp_path / 'y.npz', *layers,
                  env={'PYTHONPATH': str(OPENCV_4)})
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / 'y.npz') as found:
        found = list(found.values())
    if network.is_detector:
        found = np.concatenate([y[0].transpose(1, 2, 0).reshape(-1, 5 + network.n_class)
                                for y in found])
    else:
        found, expected = np.log(found[0].ravel()), F.log_softmax(expected[None]).array[0]
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
