import chainer
import numpy as np

from yolo_dist.errors import InputError
from yolo_dist.functions import DefaultBoxes, create_default_boxes, decode_bboxes
from yolo_dist.links.accept_images import accept_images
from yolo_dist.links.non_maximum_suppression import non_maximum_suppression
from yolo_dist.links.prepare_images import height_and_width
from yolo_dist.transforms import letterbox, unletterbox_bbox


class YOLOBase(chainer.Chain):
    """The common part of YOLOv2 and YOLOv3: default boxes, decoding and prediction.

    A subclass defines ``forward``, ``class_probabilities`` and
    ``compute_loss``.

    Args:
        n_fg_class (int): Number of classes, background not counted.
        width (float): Factor on all hidden channel counts.
        steps_px (sequence of int): Side of a grid cell for each scale, coarse
            scale first.
        anchors_px (sequence of sequences of (float, float)): For each scale
            its anchors ``(height, width)``.

    Raises:
        InputError: If there is not one list of positive anchors for each scale.

    Attributes:
        insize (int or tuple of int): Size of the network's input in :meth:`predict`. It is 416
            for a new link, as in ChainerCV, and the evaluation's size for a link that was built
            for a run.
        score_thresh (float): Boxes of a lower score are not predicted.
        nms_thresh (float): Overlap above which the worse box is dropped.
        max_candidates (int): Number of boxes of an image, the best ones, that enter
            non-maximum suppression. Trained networks stay far below it. An
            untrained network has some 200,000 boxes at 416 px.
    """

    def __init__(self, n_fg_class, *, width, steps_px, anchors_px):
        super().__init__()
        if len(anchors_px) != len(steps_px) or not all(map(are_sizes, anchors_px)):
            raise InputError(f'anchors are {anchors_px}, but {len(steps_px)} list(s) of finite, '
                             'positive (height, width) were expected')
        self.n_fg_class = n_fg_class
        self.width = width
        self.insize = 416
        self.max_candidates = 10_000
        self._steps_px = tuple(steps_px)
        self._anchors_px = anchors_px
        self._default_boxes = {}
        self.use_preset('visualize')

    @property
    def anchors_px(self):
        """``(height, width)`` of all anchors in input pixels, those of the coarse scale first."""
        return [tuple(size) for anchors in self._anchors_px for size in anchors]

    def use_preset(self, preset):
        """Set the two thresholds, as in ChainerCV.

        Args:
            preset ({'visualize', 'evaluate'}): Score threshold 0.5 or 0.005;
                the overlap threshold is 0.45 in both (``detector.c:419-420``).

        Raises:
            ValueError: If ``preset`` is unknown.
        """
        if preset not in ('visualize', 'evaluate'):
            raise ValueError(f"preset is {preset!r}, must be 'visualize' or 'evaluate'")
        self.nms_thresh = 0.45
        self.score_thresh = 0.5 if preset == 'visualize' else 0.005

    def default_boxes(self, insize):
        """Return the default boxes for an input size, which are kept after the first call.

        Args:
            insize (int or tuple of int): Side, or ``(height, width)``, of the
                network's input in pixels; multiples of 32.

        Returns:
            ~yolo_dist.functions.DefaultBoxes: The boxes, on the device of this link.

        Raises:
            InputError: If ``insize`` is no positive multiple of 32.
        """
        insize = height_and_width(insize)
        key = (insize, self.device.name)
        if key not in self._default_boxes:
            boxes = create_default_boxes(insize, self._steps_px, self._anchors_px)
            self._default_boxes[key] = DefaultBoxes(*(
                self.device.send(field) if isinstance(field, np.ndarray) else field
                for field in boxes))
        return self._default_boxes[key]

    def decode(self, locs, default_boxes):
        """See :func:`~yolo_dist.functions.decode_bboxes`."""
        return decode_bboxes(locs, default_boxes)

    def split_outputs(self, y):
        """Cut a network's output, last axis ``4 + 1 + n_fg_class``, into its parts.

        Args:
            y (~chainer.Variable): Float ``(B, N, 5 + n_fg_class)``.

        Returns:
            tuple of ~chainer.Variable: ``locs`` ``(B, N, 4)``, ``objs``
            ``(B, N)`` and ``confs`` ``(B, N, n_fg_class)``.
        """
        # split_axis is used instead of slices. The gradient of a slice uses
        # numpy.add.at, which is many times slower.
        locs, objs, confs = chainer.functions.split_axis(y, (4, 5), axis=2)
        return locs, chainer.functions.squeeze(objs, axis=2), confs

    def predict(self, imgs, *, insize=None):
        """Detect objects in images of any size.

        All images are letterboxed to ``insize`` and go through the network
        as one batch. Boxes are clipped to the image, as in Darknet's VOC
        output (``detector.c:191-209``).

        Args:
            imgs (iterable of ndarray): RGB images ``(3, H, W)``, uint8, or float in 0..255.
            insize (int or tuple of int): See :meth:`default_boxes`; ``None`` takes the
                attribute.

        Returns:
            tuple of lists: For each image ``bbox`` float32 ``(R, 4)`` in its
            own pixels, ``label`` int32 ``(R,)`` and ``score`` float32
            ``(R,)``; sorted by class, then by falling score. NumPy arrays.

        Raises:
            InputError: If ``insize`` is no positive multiple of 32, or the images are not as
                expected.
        """
        insize = height_and_width(self.insize if insize is None else insize)
        imgs = accept_images(imgs)
        if not imgs:
            return [], [], []
        inputs, params = zip(*(letterbox(img, insize) for img in imgs), strict=True)
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            locs, objs, confs = self(self.device.send(np.stack(inputs)))
        bboxes = self.decode(locs.array, self.default_boxes(insize))
        scores = self._scores(objs.array, confs.array)

        detections = []
        for i, (img, param) in enumerate(zip(imgs, params, strict=True)):
            bbox, label, score = self._select(
                chainer.cuda.to_cpu(bboxes[i]), chainer.cuda.to_cpu(scores[i]))
            bbox = unletterbox_bbox(bbox, param)
            bbox = np.clip(bbox, 0, np.tile(img.shape[1:], 2)).astype(np.float32)
            inside = (bbox[:, :2] < bbox[:, 2:]).all(axis=1)
            detections.append((bbox[inside], label[inside], score[inside]))
        return tuple(map(list, zip(*detections, strict=True)))

    def _scores(self, objs, confs):
        if objs.dtype.char == 'e':
            objs, confs = objs.astype('f'), confs.astype('f')
        with chainer.no_backprop_mode():
            probabilities = self.class_probabilities(confs).array
            return chainer.functions.sigmoid(objs).array[..., None] * probabilities

    def _select(self, bbox, score):
        index = np.flatnonzero(score >= self.score_thresh)
        if len(index) > self.max_candidates:
            # The sort is stable: among equal scores the first in the network's order enter.
            best = np.argsort(-score.flat[index], kind='stable')
            index = np.sort(index[best[:self.max_candidates]])
        i_box, label = np.divmod(index, score.shape[1])
        bbox, score = bbox[i_box], score.flat[index]
        keep = non_maximum_suppression(bbox, label, score, thresh=self.nms_thresh)
        return bbox[keep], label[keep].astype(np.int32), score[keep].astype(np.float32)


def are_sizes(anchors):
    """Tell whether anchors are pairs ``(height, width)`` of finite numbers above 0.

    Args:
        anchors: The anchors of one scale.

    Returns:
        bool: Whether the anchors can be used.
    """
    try:
        anchors = np.asarray(anchors, dtype=np.float64)
    except (TypeError, ValueError):  # rows of unequal length, or no numbers
        return False
    return (anchors.ndim == 2 and anchors.shape[1] == 2 and len(anchors) > 0
            and bool((np.isfinite(anchors) & (anchors > 0)).all()))
