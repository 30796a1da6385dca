from collections import deque
from itertools import islice

import chainer
import chainer.functions as F

from yolo_dist.links.classifier_base import ClassifierBase
from yolo_dist.links.conv_block import ConvBlock, scale_channels
from yolo_dist.links.prepare_images import prepare_images
from yolo_dist.links.residual_block import ResidualBlock

_N_BLOCKS = (1, 2, 8, 8, 4)  # residual blocks of each stage, [1, Table 1]


class Darknet53Extractor(chainer.ChainList):
    """The 52 convolutions of Darknet53 below its classifier.

    Children are numbered as in ChainerCV's YOLOv3: the first convolution,
    then for each stage a convolution of stride 2 and its residual blocks.

    Args:
        width (float): Factor on the number of channels.
        bn_decay (float): See :class:`~yolo_dist.links.conv_block.ConvBlock`.

    Attributes:
        n_backbone_links (int): Children that belong to Darknet53; a detector
            appends its own children after them.
        n_backbone_convs (int): Convolutions in these children, 52.
    """

    n_backbone_links = 1 + len(_N_BLOCKS) + sum(_N_BLOCKS)
    n_backbone_convs = 1 + len(_N_BLOCKS) + 2 * sum(_N_BLOCKS)

    def __init__(self, *, width=1.0, bn_decay=0.99):
        super().__init__()
        hidden = scale_channels(32, width)
        self.append(ConvBlock(3, hidden, 3, bn_decay=bn_decay))
        for k, n_block in enumerate(_N_BLOCKS):
            channels = scale_channels(64 << k, width)
            self.append(ConvBlock(hidden, channels, 3, stride=2, bn_decay=bn_decay))
            for _ in range(n_block):
                self.append(ResidualBlock(channels, hidden, bn_decay=bn_decay))
            hidden = channels

    def stages(self, x):
        """Yield the feature map at the end of each stage, stride 2 to 32.

        Args:
            x (ndarray or ~chainer.Variable): Images ``(B, 3, H, W)``, float in 0..1.

        Yields:
            ~chainer.Variable: Float ``(B, C, H / stride, W / stride)``.
        """
        links = iter(self)
        h = next(links)(x)
        for n_block in _N_BLOCKS:
            for link in islice(links, 1 + n_block):
                h = link(h)
            yield h

    def forward(self, x):
        """Compute the last feature map, stride 32; same arguments as :meth:`stages`."""
        return deque(self.stages(x), maxlen=1).pop()


class Darknet53(ClassifierBase):
    """Darknet53 image classifier [1, Table 1].

    It has 52 convolutions, average pooling, and one more 1x1 convolution with bias
    in the place of the fully connected layer (``darknet53.cfg``). It has 41,609,928
    parameters for 1000 classes.

    See :class:`~yolo_dist.links.classifier_base.ClassifierBase` for the arguments.

    References:
        [1] J. Redmon, A. Farhadi. YOLOv3: An Incremental Improvement. 2018.
    """

    extractor_class = Darknet53Extractor

    def forward(self, imgs):
        """Compute the class logits of a batch.

        Args:
            imgs (ndarray or ~chainer.Variable): See
                :func:`~yolo_dist.links.prepare_images.prepare_images`.

        Returns:
            ~chainer.Variable: Float ``(B, n_class)``.

        Raises:
            InputError: If the images are not as expected.
        """
        h = self.extractor(prepare_images(imgs))
        h = F.average(h, axis=(2, 3), keepdims=True)
        return F.reshape(self.head(h), (-1, self.n_class))
