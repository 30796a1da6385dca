import numpy as np
import pytest
from chainer.serializers import save_npz

from yolo_dist.links import Darknet19, Darknet53, YOLOv2, YOLOv3, build_from_weights


@pytest.mark.parametrize('link', [Darknet19, Darknet53, YOLOv2, YOLOv3])
@pytest.mark.parametrize('n_class, width', [(1, 0.03), (7, 0.0625)])
def test_network_width_and_classes_are_those_of_the_file(link, n_class, width, tmp_path):
    """The four networks are told apart, and filled with what was saved."""
    saved = link(n_class, width=width)
    save_npz(tmp_path / 'w.npz', saved, compression=False)
    built = build_from_weights(tmp_path / 'w.npz')
    assert (type(built), built.width) == (link, width)
    assert getattr(built, 'n_fg_class', getattr(built, 'n_class', None)) == n_class
    for (name, expected), (other, param) in zip(
            saved.namedparams(), built.namedparams(), strict=True):
        assert name == other
        np.testing.assert_array_equal(param.array, expected.array)
