"""Operations and memory of a network, counted by hand and as published."""
import chainer
import numpy as np
import pytest

from yolo_dist.links import (
    Darknet19,
    Darknet53,
    YOLOv2,
    YOLOv3,
    count_activations,
    count_operations,
    list_layers,
)
from yolo_dist.links.conv_block import ConvBlock
from yolo_dist.links.prepare_images import prepare_images


class TwoBlocks(chainer.Chain):
    """3 -> 4 channels at full size, then 8 at half of it."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.a = ConvBlock(3, 4, 3, bn_decay=0.9)
            self.b = ConvBlock(4, 8, 3, stride=2, bn_decay=0.9)

    def forward(self, imgs):
        return self.b(self.a(prepare_images(imgs)))


def test_operations_of_two_convolutions():
    """Two for each multiplication and addition: 2 x outputs x weights of a filter."""
    by_hand = 2 * (96 * 96 * 4 * 3 * 9 + 48 * 48 * 8 * 4 * 9)
    assert count_operations(TwoBlocks(), input_size=96) == by_hand


def test_activations_of_two_blocks():
    """The image, and of each block the convolution's output and its own, in float32."""
    kept = count_activations(TwoBlocks(), input_size=96)
    image, first, second = 3 * 96 * 96, 4 * 96 * 96, 8 * 48 * 48
    assert kept.kept == 4 * (image + 2 * first + 2 * second)
    assert kept.largest == 4 * first


def test_counting_leaves_the_running_statistics():
    """A network that was counted is still freshly initialised."""
    model = TwoBlocks()
    count_activations(model, input_size=96)
    assert not np.any(model.a.bn.avg_mean)


@pytest.mark.parametrize('build', [Darknet53, YOLOv3])
@pytest.mark.parametrize('size', [32, 96, 320])
def test_operations_at_a_size_are_those_of_its_layers(build, size):
    """To the last one, though they were counted at two others."""
    model = build(7, width=0.125)
    assert count_operations(model, input_size=size) == sum(
        layer.n_operations for layer in list_layers(model, input_size=size))


@pytest.mark.parametrize('build, n_class, size, billions', [
    (Darknet19, 1000, 224, 5.58), (Darknet19, 1000, 256, 7.29), (Darknet53, 1000, 256, 18.57),
    (YOLOv2, 20, 416, 29.36), (YOLOv3, 20, 416, 65.43), (YOLOv3, 20, 608, 139.76)])
def test_published_operations(build, n_class, size, billions):
    """7.29 and 5.58 as YOLOv3's and YOLO9000's authors print them, the others from the cfgs."""
    counted = count_operations(build(n_class), input_size=size) / 1e9
    assert counted == pytest.approx(billions, abs=0.005)
