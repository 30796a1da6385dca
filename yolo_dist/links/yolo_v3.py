from collections import deque
from itertools import islice

import chainer
import chainer.functions as F

from yolo_dist.functions import yolo_v3_loss
from yolo_dist.links.conv_block import ConvBlock, scale_channels
from yolo_dist.links.convolution_2d import Convolution2D
from yolo_dist.links.darknet53 import Darknet53Extractor
from yolo_dist.links.prepare_images import prepare_images
from yolo_dist.links.yolo_base import YOLOBase

_STEPS_PX = (32, 16, 8)
_HEAD_CHANNELS = (512, 256, 128)
_N_HEAD_CONVS = 5  # convolutions between the input and the output of a scale


def upsample(x):
    """Double height and width of ``(B, C, H, W)`` by repeating each value."""
    b, c, h, w = x.shape
    x = F.broadcast_to(F.reshape(x, (b, c, h, 1, w, 1)), (b, c, h, 2, w, 2))
    return F.reshape(x, (b, c, 2 * h, 2 * w))


class YOLOv3Extractor(Darknet53Extractor):
    """Darknet53 and the feature pyramid that YOLOv3 adds to it.

    Args:
        width (float): Factor on the number of channels.
        bn_decay (float): See :class:`~yolo_dist.links.conv_block.ConvBlock`.

    Attributes:
        upsample (callable): :func:`upsample`, or another function that computes the same.
    """

    upsample = staticmethod(upsample)

    def __init__(self, *, width=1.0, bn_decay=0.99):
        super().__init__(width=width, bn_decay=bn_decay)

        def append(out_channels, ksize):
            self.append(ConvBlock(h, out_channels, ksize, bn_decay=bn_decay))
            return out_channels

        h = scale_channels(1024, width)
        for i, paper_channels in enumerate(_HEAD_CHANNELS):
            channels = scale_channels(paper_channels, width)
            if i > 0:
                h = append(channels, 1) + scale_channels(2 * paper_channels, width)
            for k in range(_N_HEAD_CONVS):
                if k % 2 == 0:
                    h = append(channels, 1)
                else:
                    h = append(scale_channels(2 * paper_channels, width), 3)

    def forward(self, x):
        """Compute the feature maps that YOLOv3 predicts from.

        Args:
            x (ndarray or ~chainer.Variable): Images ``(B, 3, H, W)``, float in 0..1.

        Returns:
            list of ~chainer.Variable: Three maps, of stride 32, 16 and 8.
        """
        features = deque(self.stages(x), maxlen=len(_HEAD_CHANNELS))
        links = iter(self[self.n_backbone_links:])
        h = features.pop()
        ys = []
        while True:
            for link in islice(links, _N_HEAD_CONVS):
                h = link(h)
            ys.append(h)
            if not features:
                return ys
            h = F.concat((self.upsample(next(links)(h)), features.pop()))


class YOLOv3(YOLOBase):
    """YOLOv3 object detector [1] on Darknet53.

    It has 61,626,049 parameters for 20 classes. Parameters have the names and shapes
    of ``chainercv.links.YOLOv3``. Each of the two links reads the npz files of the other.

    Args:
        n_fg_class (int): Number of classes, background not counted.
        width (float): Factor on all hidden channel counts; 1 in the paper.
        bn_decay (float): Decay of batch normalisation's running statistics;
            0.99 in Darknet.
        anchors (sequence of sequences of (float, float)): For stride 32, 16
            and 8 the anchors ``(height, width)`` in input pixels, small to
            large. ``None`` takes the nine of ``yolov3-voc.cfg``.

    Attributes:
        n_anchors (int): Number of anchors that :meth:`arrange_anchors` takes.

    References:
        [1] J. Redmon, A. Farhadi. YOLOv3: An Incremental Improvement. 2018.
    """

    n_anchors = 9
    default_anchors = (  # (height, width) in input pixels, yolov3-voc.cfg l.611
        ((90, 116), (198, 156), (326, 373)),
        ((61, 30), (45, 62), (119, 59)),
        ((13, 10), (30, 16), (23, 33)))

    def __init__(self, n_fg_class, *, width=1.0, bn_decay=0.99, anchors=None):
        anchors = self.default_anchors if anchors is None else anchors
        super().__init__(n_fg_class, width=width, steps_px=_STEPS_PX, anchors_px=anchors)
        with self.init_scope():
            self.extractor = YOLOv3Extractor(width=width, bn_decay=bn_decay)
            self.subnet = chainer.ChainList()
        for channels, scale_anchors in zip(_HEAD_CHANNELS, anchors, strict=True):
            n, n2 = (scale_channels(c, width) for c in (channels, 2 * channels))
            self.subnet.append(chainer.Sequential(
                ConvBlock(n, n2, 3, bn_decay=bn_decay),
                Convolution2D(n2, len(scale_anchors) * (5 + n_fg_class), 1)))

    @staticmethod
    def arrange_anchors(sizes_px):
        """Arrange nine anchors for the argument ``anchors``, the largest three for stride 32.

        Args:
            sizes_px (sequence of (float, float)): :attr:`n_anchors` of ``(height, width)`` in
                pixels, by rising area.

        Returns:
            list: The anchors, rounded to 0.01 px.
        """
        sizes = [[round(float(side), 2) for side in size] for size in sizes_px]
        return [sizes[6:], sizes[3:6], sizes[:3]]

    def forward(self, imgs):
        """Compute the raw outputs for a batch.

        Args:
            imgs (ndarray or ~chainer.Variable): See
                :func:`~yolo_dist.links.prepare_images.prepare_images`.

        Returns:
            tuple of ~chainer.Variable: ``locs`` ``(B, N, 4)`` of
            ``(t_y, t_x, t_h, t_w)``, ``objs`` ``(B, N)`` and ``confs``
            ``(B, N, n_fg_class)``; logits, stride 32 first.

        Raises:
            InputError: If the images are not as expected.
        """
        ys = []
        for subnet, h in zip(self.subnet, self.extractor(prepare_images(imgs)), strict=True):
            h = F.transpose(subnet(h), (0, 2, 3, 1))
            ys.append(F.reshape(h, (h.shape[0], -1, 5 + self.n_fg_class)))
        return self.split_outputs(F.concat(ys))

    def class_probabilities(self, confs):
        """Independent sigmoid of each class, ``(..., n_fg_class)``."""
        return F.sigmoid(confs)

    def compute_loss(self, outputs, bboxes, labels, insize, *, loss_norm, ignore_thresh=None,
                     n_images_seen=0, prior_images=0):
        """Compute the training loss of a batch, :func:`~yolo_dist.functions.yolo_v3_loss`.

        Args:
            outputs (tuple of ~chainer.Variable): The result of :meth:`forward`.
            bboxes (ndarray): Float32 ``(B, T, 4)``.
            labels (ndarray): Int32 ``(B, T)``, -1 is padding.
            insize (int or tuple of int): Size of the images.
            loss_norm (str): See :func:`~yolo_dist.functions.normalize_terms`.
            ignore_thresh (float): ``None`` is Darknet's 0.5 for VOC.
            n_images_seen (int): Not used; YOLOv3 has no prior phase.
            prior_images (int): Not used.

        Returns:
            ~yolo_dist.functions.LossTerms: Four scalars.
        """
        return yolo_v3_loss(
            *outputs, bboxes, labels, self.default_boxes(insize),
            ignore_thresh=0.5 if ignore_thresh is None else ignore_thresh, loss_norm=loss_norm)
