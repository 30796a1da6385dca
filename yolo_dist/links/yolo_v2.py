from collections import deque

import chainer.functions as F

from yolo_dist.functions import yolo_v2_loss
from yolo_dist.links.conv_block import ConvBlock, scale_channels
from yolo_dist.links.convolution_2d import Convolution2D
from yolo_dist.links.darknet19 import Darknet19Extractor
from yolo_dist.links.prepare_images import prepare_images
from yolo_dist.links.yolo_base import YOLOBase, are_sizes

_STEP_PX = 32


def reorg(x):
    """Darknet's ``reorg`` of stride 2, which is not a plain space-to-depth.

    Args:
        x (~chainer.Variable): Float ``(B, C, H, W)``; ``C`` a multiple of 4,
            ``H`` and ``W`` even.

    Returns:
        ~chainer.Variable: Float ``(B, 4 * C, H / 2, W / 2)``, in the order
        of ``blas.c:9-30``. The memory is read as a map of ``C / 4`` channels
        and twice the side. The 2x2 offsets of this map become channels.
    """
    b, c, h, w = x.shape
    x = F.reshape(x, (b, c // 4, h, 2, w, 2))
    x = F.transpose(x, (0, 3, 5, 1, 2, 4))
    return F.reshape(x, (b, 4 * c, h // 2, w // 2))


class YOLOv2Extractor(Darknet19Extractor):
    """Darknet19 and the four convolutions that YOLOv2 adds to it.

    Args:
        width (float): Factor on the number of channels. The passthrough's 64
            channels are scaled in steps of four, which :func:`reorg` needs.
        bn_decay (float): See :class:`~yolo_dist.links.conv_block.ConvBlock`.

    Attributes:
        reorg (callable): :func:`reorg`, or another function that computes the same.
    """

    reorg = staticmethod(reorg)

    def __init__(self, *, width=1.0, bn_decay=0.99):
        super().__init__(width=width, bn_decay=bn_decay)
        fine, coarse = scale_channels(512, width), scale_channels(1024, width)
        passthrough = 4 * scale_channels(16, width)
        for in_channels, out_channels, ksize in (
                (coarse, coarse, 3), (coarse, coarse, 3), (fine, passthrough, 1),
                (4 * passthrough + coarse, coarse, 3)):
            self.append(ConvBlock(in_channels, out_channels, ksize, bn_decay=bn_decay))

    def forward(self, x):
        """Compute the feature map that YOLOv2 predicts from.

        Args:
            x (ndarray or ~chainer.Variable): Images ``(B, 3, H, W)``, float in 0..1.

        Returns:
            ~chainer.Variable: Float ``(B, C, H / 32, W / 32)``.
        """
        fine, coarse = deque(self.stages(x), maxlen=2)
        conv1, conv2, passthrough, fuse = self[self.n_backbone_links:]
        return fuse(F.concat((self.reorg(passthrough(fine)), conv2(conv1(coarse)))))


class YOLOv2(YOLOBase):
    """YOLOv2 object detector [1] on Darknet19.

    It has 50,655,389 parameters for 20 classes. Parameters have the names and shapes
    of ``chainercv.links.YOLOv2``. Each of the two links reads the npz files of the other.

    Args:
        n_fg_class (int): Number of classes, background not counted.
        width (float): Factor on all hidden channel counts; 1 in the paper.
        bn_decay (float): Decay of batch normalisation's running statistics;
            0.99 in Darknet.
        anchors (sequence of (float, float)): Anchors ``(height, width)`` in
            grid cells of 32 pixels. ``None`` takes the five of
            ``yolov2-voc.cfg``.

    Attributes:
        n_anchors (int): Number of anchors that :meth:`arrange_anchors` takes.

    References:
        [1] J. Redmon, A. Farhadi. YOLO9000: Better, Faster, Stronger. CVPR 2017.
    """

    n_anchors = 5
    default_anchors = (  # (height, width) in grid cells, yolov2-voc.cfg l.242
        (1.73145, 1.3221),
        (4.00944, 3.19275),
        (8.09892, 5.05587),
        (4.84053, 9.47112),
        (10.0071, 11.2364))

    def __init__(self, n_fg_class, *, width=1.0, bn_decay=0.99, anchors=None):
        anchors = self.default_anchors if anchors is None else anchors
        anchors_px = anchors  # the base class refuses them if they are no sizes
        if are_sizes(anchors):
            anchors_px = tuple(tuple(s * _STEP_PX for s in anchor) for anchor in anchors)
        super().__init__(
            n_fg_class, width=width, steps_px=(_STEP_PX,), anchors_px=(anchors_px,))
        with self.init_scope():
            self.extractor = YOLOv2Extractor(width=width, bn_decay=bn_decay)
            self.subnet = Convolution2D(
                scale_channels(1024, width), len(anchors) * (5 + n_fg_class), 1)

    @staticmethod
    def arrange_anchors(sizes_px):
        """Arrange five anchors for the argument ``anchors``, in grid cells.

        Args:
            sizes_px (sequence of (float, float)): :attr:`n_anchors` of ``(height, width)`` in
                pixels, by rising area.

        Returns:
            list: The anchors, rounded to 0.0001 of a cell.
        """
        return [[round(float(side) / _STEP_PX, 4) for side in size] for size in sizes_px]

    def forward(self, imgs):
        """Compute the raw outputs for a batch.

        Args:
            imgs (ndarray or ~chainer.Variable): See
                :func:`~yolo_dist.links.prepare_images.prepare_images`.

        Returns:
            tuple of ~chainer.Variable: ``locs`` ``(B, N, 4)`` of
            ``(t_y, t_x, t_h, t_w)``, ``objs`` ``(B, N)`` and ``confs``
            ``(B, N, n_fg_class)``; logits.

        Raises:
            InputError: If the images are not as expected.
        """
        h = self.subnet(self.extractor(prepare_images(imgs)))
        h = F.transpose(h, (0, 2, 3, 1))
        return self.split_outputs(F.reshape(h, (h.shape[0], -1, 5 + self.n_fg_class)))

    def class_probabilities(self, confs):
        """Softmax over the classes of each box, ``(..., n_fg_class)``."""
        return F.softmax(confs, axis=-1)

    def compute_loss(self, outputs, bboxes, labels, insize, *, loss_norm, ignore_thresh=None,
                     n_images_seen=0, prior_images=12_800):
        """Compute the training loss of a batch, :func:`~yolo_dist.functions.yolo_v2_loss`.

        Args:
            outputs (tuple of ~chainer.Variable): The result of :meth:`forward`.
            bboxes (ndarray): Float32 ``(B, T, 4)``.
            labels (ndarray): Int32 ``(B, T)``, -1 is padding.
            insize (int or tuple of int): Size of the images.
            loss_norm (str): See :func:`~yolo_dist.functions.normalize_terms`.
            ignore_thresh (float): ``None`` is Darknet's 0.6.
            n_images_seen (int): Images trained on so far, by all workers.
            prior_images (int): Length of the prior phase, images.

        Returns:
            ~yolo_dist.functions.LossTerms: Four scalars.
        """
        return yolo_v2_loss(
            *outputs, bboxes, labels, self.default_boxes(insize),
            ignore_thresh=0.6 if ignore_thresh is None else ignore_thresh,
            loss_norm=loss_norm, n_images_seen=n_images_seen, prior_images=prior_images)
