from collections import deque
from itertools import islice

import chainer
import chainer.functions as F

from yolo_dist.links.classifier_base import ClassifierBase
from yolo_dist.links.conv_block import ConvBlock, scale_channels
from yolo_dist.links.prepare_images import prepare_images

_N_CONVS = (1, 1, 3, 3, 5, 5)  # convolutions between two max poolings, [1, Table 6]


class Darknet19Extractor(chainer.ChainList):
    """The 18 convolutions of Darknet19 below its classifier.

    Children are numbered as in ChainerCV's YOLOv2. A stage alternates 3x3
    and 1x1 convolutions. A 2x2 max pooling stands between stages.

    Args:
        width (float): Factor on the number of channels.
        bn_decay (float): See :class:`~yolo_dist.links.conv_block.ConvBlock`.

    Attributes:
        n_backbone_links (int): Children that belong to Darknet19; a detector
            appends its own children after them.
        n_backbone_convs (int): Convolutions in these children, 18.
    """

    n_backbone_links = sum(_N_CONVS)
    n_backbone_convs = sum(_N_CONVS)

    def __init__(self, *, width=1.0, bn_decay=0.99):
        super().__init__()
        previous = 3
        for k, n_conv in enumerate(_N_CONVS):
            for i in range(n_conv):
                paper_channels, ksize = (32 << k, 3) if i % 2 == 0 else (16 << k, 1)
                channels = scale_channels(paper_channels, width)
                self.append(ConvBlock(previous, channels, ksize, bn_decay=bn_decay))
                previous = channels

    def stages(self, x):
        """Yield the feature map at the end of each stage, stride 1 to 32.

        Args:
            x (ndarray or ~chainer.Variable): Images ``(B, 3, H, W)``, float in 0..1.

        Yields:
            ~chainer.Variable: Float ``(B, C, H / stride, W / stride)``.
        """
        links = iter(self)
        h = x
        for k, n_conv in enumerate(_N_CONVS):
            if k > 0:
                h = F.max_pooling_2d(h, 2, cover_all=False)
            for link in islice(links, n_conv):
                h = link(h)
            yield h

    def forward(self, x):
        """Compute the last feature map, stride 32; same arguments as :meth:`stages`."""
        return deque(self.stages(x), maxlen=1).pop()


class Darknet19(ClassifierBase):
    """Darknet19 image classifier [1, Table 6].

    It has 18 convolutions, a 1x1 convolution with bias, and average pooling of its
    output. The order of the last two is the reverse of Darknet53. It has 20,842,376
    parameters for 1000 classes.

    See :class:`~yolo_dist.links.classifier_base.ClassifierBase` for the arguments.

    References:
        [1] J. Redmon, A. Farhadi. YOLO9000: Better, Faster, Stronger. CVPR 2017.
    """

    extractor_class = Darknet19Extractor

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
        h = self.head(self.extractor(prepare_images(imgs)))
        return F.average(h, axis=(2, 3))
