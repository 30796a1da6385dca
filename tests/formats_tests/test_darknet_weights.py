import types

import numpy as np
import pytest
from chainer.serializers import DictionarySerializer, save_npz

from yolo_dist.convert import main
from yolo_dist.errors import InputError
from yolo_dist.formats import (
    VARIANCES,
    Network,
    build_link,
    read_any_weights,
    read_darknet_weights,
    write_darknet_cfg,
)
from yolo_dist.tasks import load_pretrained

WIDTH = 0.03
NETWORKS = [Network(name, 3, width=WIDTH)
            for name in ('darknet19', 'darknet53', 'yolo_v2', 'yolo_v3')]
networks = pytest.mark.parametrize('network', NETWORKS, ids=lambda network: network.name)
OLD, NEW = (0, 1, 0), (0, 2, 5)


def pretrain(path, link):
    model = types.SimpleNamespace(pretrained=str(path))
    return load_pretrained(types.SimpleNamespace(model=model), link)


def state(link):
    serializer = DictionarySerializer()
    serializer.save(link)
    return {name: np.array(value) for name, value in serializer.target.items()}


def write_weights(path, network, *, version=NEW, n_layers=None, seen=32013312):
    """A file as Darknet leaves it, of random numbers; returns its bytes."""
    n = sum(conv.size for conv in network.convolutions(n_layers))
    header = np.array(version, dtype='<i4').tobytes()
    header += seen.to_bytes(8 if version == NEW else 4, 'little')
    content = header + np.random.default_rng(0).random(n, dtype='f').astype('<f4').tobytes()
    path.write_bytes(content)
    return content


@networks
def test_names_and_shapes_are_those_of_the_links(network):
    """The layers of a .cfg keep as many numbers, of the same shapes, as the link."""
    expected = {name: value.shape for name, value in state(build_link(network)).items()
                if not name.endswith('/N')}
    assert dict(item for conv in network.convolutions() for item in conv.arrays()) == expected


@networks
@pytest.mark.parametrize('version', [OLD, NEW], ids=['old', 'new'])
def test_darknets_file_comes_back(network, version, tmp_path):
    """From .weights to npz and back: the same bytes, header included; the npz is whole."""
    content = write_weights(tmp_path / 'in.weights', network, version=version)
    write_darknet_cfg(tmp_path / 'in.cfg', network)
    main([f'{tmp_path}/in.weights', f'{tmp_path}/w.npz', '--cfg', f'{tmp_path}/in.cfg'])
    main([f'{tmp_path}/w.npz', f'{tmp_path}/out.weights'])
    assert (tmp_path / 'out.weights').read_bytes() == content
    pretrain(f'{tmp_path}/w.npz', build_link(network))


@networks
def test_our_file_comes_back(network, tmp_path):
    """From npz to .weights and back: the same arrays under the same names."""
    link = build_link(network)
    save_npz(tmp_path / 'in.npz', link)
    main([f'{tmp_path}/in.npz', f'{tmp_path}/w.weights'])
    main([f'{tmp_path}/w.weights', f'{tmp_path}/out.npz', '--cfg', f'{tmp_path}/w.cfg'])
    back = read_any_weights(tmp_path / 'out.npz', width=1)
    for name, value in state(link).items():
        np.testing.assert_array_equal(back[name], value, strict=True)


@pytest.mark.parametrize('network,n_layers,n_conv', [
    (NETWORKS[0], 23, 18), (NETWORKS[1], 74, 52), (NETWORKS[3], 81, 58)])
def test_partial_files_come_back(network, n_layers, n_conv, tmp_path):
    """The first N layers, read as *.conv.N and written as it, are the same bytes."""
    source, target = (tmp_path / f'{stem}.conv.{n_layers}' for stem in ('in', 'out'))
    content = write_weights(source, network, n_layers=n_layers)
    arrays = read_any_weights(source, width=WIDTH)
    assert sum(name.endswith('conv/W') for name in arrays) == n_conv
    np.savez(tmp_path / 'w.npz', **arrays, darknet_header=np.array([0, 2, 5, 32013312]))
    main([f'{tmp_path}/w.npz', str(target)])
    assert target.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 3  # no .cfg of a part


def test_a_part_of_a_whole_file(tmp_path):
    """Of a whole network *.conv.N takes the beginning, as `darknet partial` does."""
    content = write_weights(tmp_path / 'in.weights', NETWORKS[3])
    write_darknet_cfg(tmp_path / 'in.cfg', NETWORKS[3])
    part = tmp_path / 'out.conv.75'
    main([f'{tmp_path}/in.weights', str(part), '--cfg', f'{tmp_path}/in.cfg'])
    n = sum(conv.size for conv in NETWORKS[1].convolutions(75))
    assert part.read_bytes() == content[:20 + 4 * n]


@pytest.mark.parametrize('n_bytes,version,expected', [
    (248_007_048, NEW, 'yolo_v3 with 80 classes'),
    (203_934_260, OLD, 'yolo_v2 with 80 classes'),
    (162_482_580, NEW, 'darknet53 with 1 class'),
    (79_327_120, OLD, 'darknet19 with 1 class')])
def test_published_files_are_told_by_size(n_bytes, version, expected, tmp_path, monkeypatch):
    """yolov3.weights, yolov2.weights, darknet53.conv.74, darknet19_448.conv.23."""
    with open(tmp_path / 'w', 'wb') as file:
        file.write(np.array(version, dtype='<i4').tobytes())
        file.truncate(n_bytes)
    monkeypatch.setattr('yolo_dist.formats.darknet_weights._check_numbers', lambda *_: None)
    assert str(read_darknet_weights(tmp_path / 'w').network) == expected


@pytest.mark.parametrize('classifier,detector,n_layers', [
    (NETWORKS[0], NETWORKS[2], 23), (NETWORKS[1], NETWORKS[3], 74)])
@pytest.mark.parametrize('kind', ['partial', 'classifier', 'detector'])
def test_darknets_files_pretrain_a_detector(classifier, detector, n_layers, kind, tmp_path):
    """model.pretrained takes a part, a classifier and a detector of Darknet as they are."""
    path = tmp_path / 'w.weights'
    write_weights(path, detector if kind == 'detector' else classifier,
                  n_layers=n_layers if kind == 'partial' else None)
    link = build_link(detector)
    before, source = state(link), read_any_weights(path, width=WIDTH)
    line = pretrain(path, link)
    n_all = len(detector.convolutions())
    n_taken = n_all if kind == 'detector' else link.extractor.n_backbone_convs
    assert line.startswith(f'{path}: {n_taken} of {n_all} convolutions taken')
    assert (f'{n_all - n_taken} start anew: extractor/' in line) == (n_taken < n_all)
    for name, value in state(link).items():
        np.testing.assert_array_equal(value, (source if name in source else before)[name])


def test_darknets_file_pretrains_a_classifier(tmp_path):
    """A whole .weights of the same classes; statistics included."""
    path, link = tmp_path / 'w.weights', build_link(NETWORKS[1])
    write_weights(path, NETWORKS[1])
    pretrain(path, link)
    expected = read_any_weights(path, width=WIDTH)
    for name, value in state(link).items():
        np.testing.assert_array_equal(value, expected[name])


def test_box_outputs_change_places(tmp_path):
    """Darknet's x, y, w, h are y, x, h, w here, of each anchor; nothing else moves."""
    network = NETWORKS[2]
    content = write_weights(tmp_path / 'w', network)
    bias, filters = (read_any_weights(tmp_path / 'w', width=WIDTH)[f'subnet/{key}']
                     for key in ('b', 'W'))
    last = np.frombuffer(content[-4 * (bias.size + filters.size):], dtype='<f4')
    order = [1, 0, 3, 2, 4, 5, 6, 7]
    np.testing.assert_array_equal(bias.reshape(5, 8), last[:40].reshape(5, 8)[:, order])
    np.testing.assert_array_equal(
        filters.reshape(5, 8, -1), last[40:].reshape(5, 8, -1)[:, order])


V3 = NETWORKS[3]
WHOLE = 20 + 4 * sum(conv.size for conv in V3.convolutions())


@pytest.mark.parametrize('change,message', [
    (lambda b: b[:-1], f'ends at byte {WHOLE - 1:,}, inside subnet/2/1/W .* convolution 75 of 75'
                       f'.* takes bytes .* to {WHOLE:,}; expected {WHOLE:,} bytes'),
    (lambda b: b[:1000], r'ends at byte 1,000, inside extractor/4/1/conv/W \(4, 2, 3, 3\) of '
                         'convolution 7 of 75, which takes bytes 856 to 1,144'),
    (lambda b: b + bytes(8), f'has {WHOLE + 8:,} bytes, 8 too many; expected {WHOLE:,} for yolo'),
    (lambda b: b[:17], 'ends at byte 17, inside the header; expected 8 bytes .* from byte 12'),
    (lambda b: b[:7], 'begins with the bytes .*, expected three integers'),
    (lambda b: b'', "begins with the bytes b'', expected three integers"),
    (lambda b: b'\xff\xd8\xff\xe0\0\x10JFIF\0\1' + b, 'begins with the bytes b.*JFIF'),
    (lambda b: b'<!DOCTYPE html><html>404', 'begins with the bytes b.<!DOCTYPE ht.'),
    (lambda b: b[:20] + b'\0\0\xc0\x7f' + b[24:], 'byte 20 holds nan in extractor/0/bn/beta'),
    (lambda b: b[:32] + b'\0\0\x80\xbf' + b[36:],
     'byte 32 holds -1 in extractor/0/bn/avg_var, expected a variance of at least 0')])
def test_files_that_are_not_this_networks(change, message, tmp_path):
    """Short, long, foreign and damaged files: the place in the file, found, expected."""
    path = tmp_path / 'w.weights'
    path.write_bytes(change(write_weights(path, V3)))
    with pytest.raises(InputError, match=f'^{path}: .*{message}') as error:
        read_darknet_weights(path, V3)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('n_numbers,message', [
    (1234, r'has 4,956 bytes, that is 1,234 numbers after a header of 20; expected .*'
           r'\d+ \+ 1,025 a class \(darknet53\).*--cfg FILE'),
    (0, 'that is 0 numbers')])
def test_numbers_of_no_network(n_numbers, message, tmp_path):
    """Without a .cfg the number of numbers tells the network, or is said with what is possible."""
    path = tmp_path / 'w.weights'
    path.write_bytes(np.array(NEW, dtype='<i4').tobytes() + bytes(8 + 4 * n_numbers))
    with pytest.raises(InputError, match=message):
        read_darknet_weights(path)


def test_two_possible_networks_are_both_named(tmp_path):
    """A number of numbers that two networks have is refused, not guessed."""
    write_weights(tmp_path / 'w', Network('yolo_v2', 57, width=0.024))
    with pytest.raises(InputError, match='may be yolo_v2 with 57 classes of width 0.024 or '
                                         'yolo_v3 with 21 classes of width 0.024; .*--cfg'):
        read_any_weights(tmp_path / 'w', width=0.024)


def test_files_that_cannot_be_read(tmp_path):
    """A missing file and a folder are named."""
    for path in (tmp_path / 'absent.weights', tmp_path):
        with pytest.raises(InputError, match=f'^{path}: cannot be read'):
            read_darknet_weights(path)


def test_weights_of_another_backbone(tmp_path):
    """Darknet19 does not pretrain YOLOv3: a message, and nothing is loaded."""
    write_weights(tmp_path / 'w', NETWORKS[0], n_layers=23)
    link = build_link(V3)
    before = state(link)
    with pytest.raises(InputError, match='do not fit the backbone of YOLOv3'):
        pretrain(tmp_path / 'w', link)
    assert all((state(link)[name] == value).all() for name, value in before.items())


def test_exact_variances_are_undone_by_the_reader():
    """sqrt(v) + 1e-6 and sqrt(v + 1e-6) of the copy are sqrt(v + 1e-5) of the original."""
    v = np.array([0, 1e-6, 1e-3, 1, 50])
    ours = np.sqrt(v + 1e-5)
    np.testing.assert_allclose(np.sqrt(VARIANCES['darknet-cpu'](v)) + 1e-6, ours, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(VARIANCES['opencv'](v) + 1e-6), ours, rtol=1e-12)
