import pathlib
import re

import pytest

from yolo_dist.errors import InputError
from yolo_dist.formats import Network, read_darknet_cfg, write_darknet_cfg

DEBIAN = pathlib.Path('/usr/share/darknet/cfg')
V3_ANCHORS = [[[80, 60], [100, 80]], [[44, 26]], [[8.5, 5], [13, 8], [20, 12]]]


@pytest.mark.parametrize('network', [
    Network('darknet19', 1000), Network('darknet53', 10, insize=(64, 96)),
    Network('yolo_v2', 20, anchors=[[1.5, 2.25]]), Network('yolo_v3', 80, anchors=V3_ANCHORS)],
    ids=lambda network: network.name)
@pytest.mark.parametrize('width', [1.0, 0.25, 0.3, 0.0371, 2.0])
def test_a_network_comes_back(network, width, tmp_path):
    """Width, classes, anchors and input size stand in the .cfg."""
    network = Network(network.name, network.n_class, width=width, anchors=network.anchors,
                      insize=network.insize)
    write_darknet_cfg(tmp_path / 'n.cfg', network)
    found = read_darknet_cfg(tmp_path / 'n.cfg')
    assert found.layers() == network.layers()
    assert found == network or width == 0.0371  # several widths round to the same channels


@pytest.mark.skipif(not DEBIAN.exists(), reason="no Debian package 'darknet'")
@pytest.mark.parametrize('file,expected', [
    ('darknet19', ('darknet19', 1000, 256)), ('darknet19_448', ('darknet19', 1000, 448)),
    ('darknet53', ('darknet53', 1000, 256)), ('yolov2-voc', ('yolo_v2', 20, 416)),
    ('yolov2', ('yolo_v2', 80, 608)), ('yolov3-voc', ('yolo_v3', 20, 416)),
    ('yolov3', ('yolo_v3', 80, 608)),
    ('yolov3-spp', r'line 576: layer 78 is \[maxpool\], but yolo_v3 .* has \[convolutional\]'),
    ('yolov3-tiny', r'line 174: found 2 \[yolo\] layers, expected 3'),
    ('yolov1', r'line 233: found a layer \[local\], expected one of conv'),
    ('resnet50', r'line 34: layer 0, \[convolutional\], has size=7, but darknet53 .* has 3'),
    ('darknet9000', r'line 201: layer 25, \[softmax\], has tree=.*, but .* has nothing')])
def test_darknets_own_files(file, expected):
    """Those of the four networks are read as what they are, others refused by line."""
    path = DEBIAN / f'{file}.cfg'
    if isinstance(expected, str):
        with pytest.raises(InputError, match=f'^{path}, {expected}'):
            read_darknet_cfg(path)
    else:
        network = read_darknet_cfg(path)
        assert (network.name, network.n_class, network.insize[0]) == expected
        assert network.width == 1
        ours = Network(network.name, network.n_class).layers()[-1].options['anchors'] \
            if network.is_detector else None
        if file.endswith('-voc'):
            assert network.layers()[-1].options['anchors'] == ours


def test_anchors_of_a_mask(tmp_path):
    """Each [yolo] has those that its mask names, in its order; coarse scale first."""
    write_darknet_cfg(tmp_path / 'n.cfg', Network('yolo_v3', 2, width=0.03))
    text = (tmp_path / 'n.cfg').read_text().replace('mask=6,7,8', 'mask = 8, 7, 6')
    (tmp_path / 'n.cfg').write_text(text)
    assert read_darknet_cfg(tmp_path / 'n.cfg').anchors[0] == [[326, 373], [198, 156], [90, 116]]


@pytest.mark.parametrize('old,new,message', [
    ('[upsample]', '[lstm]', r', line \d+: found a layer \[lstm\], expected one of convolution'),
    ('[upsample]', 'words', r", line \d+: found 'words', expected key=value"),
    ('[net]\n', '', r", line 3: found 'batch=1', expected \[net\] first"),
    ('[net]', '[maxpool]', r', line 3: found \[maxpool\], expected \[net\] first'),
    ('height=416', 'height=400', ', line 7: found height=400 in .net., expected .*multiple of 32'),
    ('channels=3', 'channels=1', r', line 8: found channels=1 in \[net\], expected 3'),
    ('width=416', 'width=wide', ', line 6: found width=wide, expected a number'),
    ('filters=4\n', 'filters=7\n', r', line \d+: layer \d+, .* has filters=7, but'),
    ('activation=leaky', 'activation=mish', r', line 16: layer 0, .* has activation=mish, but'),
    ('from=-3', 'from=-4', r', line \d+: layer 4, \[shortcut\], has from=0, but yolo_v3 .* has 1'),
    ('layers=-1,61', 'layers=-1,60', r'\[route\], has layers=85,60, but .* has 85,61'),
    ('num=9', 'num=8', r'\[yolo\] has 18 numbers of anchors, num=8, mask=6,7,8; expected two'),
    ('mask=6,7,8', 'mask=6,7,9', r'\[yolo\] has 18 numbers .* mask=6,7,9; expected'),
    ('anchors=10', 'anchors=x', ', line .*: found anchors=x,13.*, expected numbers'),
    ('classes=2', 'classes=3', 'has filters=21, but yolo_v3 with 3 classes .* has 24'),
    ('classes=2', 'classes=-4', 'found classes=-4')])
def test_what_is_wrong_is_named_by_its_line(old, new, message, tmp_path):
    """Another network, or none: file, line, found, expected; no traceback."""
    path = tmp_path / 'n.cfg'
    write_darknet_cfg(path, Network('yolo_v3', 2, width=0.03))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) if 'classes' not in old
                    else text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        read_darknet_cfg(path)
    assert str(error.value).startswith(str(path))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [None, b'', b'\xff\xfe\0', b'PK\x03\x04\0\0', b'# nothing\n',
                                     b'[net]\nwidth=32\nheight=32\nchannels=3\n'])
def test_files_that_are_no_cfg(content, tmp_path):
    """Missing, empty, binary: by name."""
    path = tmp_path / 'n.cfg'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f'^{re.escape(str(path))}.*expected'):
        read_darknet_cfg(path)


def test_a_network_cut_short(tmp_path):
    """What goes on is named."""
    path = tmp_path / 'n.cfg'
    write_darknet_cfg(path, Network('darknet53', 2, width=0.03))
    path.write_text(path.read_text().replace('[softmax]\n\ngroups=1', '').replace('[softmax]', ''))
    with pytest.raises(InputError, match=r'n.cfg: ends after 77 layers, but .* \[softmax\]'):
        read_darknet_cfg(path)
