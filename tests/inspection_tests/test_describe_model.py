"""The table of a network's layers."""
import pathlib

import pytest

from yolo_dist.config import load_config
from yolo_dist.inspection import describe_model
from yolo_dist.links import YOLOv2, YOLOv3, list_layers

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / 'experiments'


def test_layers_of_yolo_v3():
    """75 convolutions as in yolov3-voc.cfg; shapes and strides of its three outputs."""
    model = YOLOv3(20, width=0.125)
    layers = list_layers(model, input_size=64)
    assert len(layers) == 75
    assert layers[0].in_shape == (3, 64, 64) and layers[0].kind == 'conv 3x3/1, bn, leaky'
    assert [layer.out_shape for layer in layers if layer.kind.endswith('bias')] == [
        (75, 2, 2), (75, 4, 4), (75, 8, 8)]
    assert sum(layer.n_parameters for layer in layers) == model.count_params()


def test_parameters_and_operations_of_one_layer():
    """By hand: weights, gamma and beta of a block; two operations a weight and output."""
    first = list_layers(YOLOv2(2, width=0.125), input_size=64)[0]
    assert first.n_parameters == 4 * 3 * 9 + 2 * 4
    assert first.n_operations == 2 * 64 * 64 * 4 * 3 * 9


@pytest.mark.parametrize('name', ['quickstart_darknet19', 'quickstart_yolo_v2'])
def test_the_table(name):
    """Each layer has a row; the sums stand below, with anchors to be fitted as well."""
    overrides = ['model.width=0.03', 'data.input_size_px=64', 'model.pretrained=null']
    overrides += ['model.anchors=fit'] * ('yolo' in name)
    text = describe_model(load_config(EXPERIMENTS / f'{name}.yaml', overrides=overrides))
    rows, _, sums = text.partition('\n\n')
    n_convolutions = {'quickstart_darknet19': 19, 'quickstart_yolo_v2': 23}[name]
    assert len(rows.splitlines()) == 1 + n_convolutions
    assert f'{n_convolutions} convolutions' in sums
    strides = [line.split()[-4] for line in rows.splitlines()[1:]]
    assert strides[0] == '1' and '32' in strides
