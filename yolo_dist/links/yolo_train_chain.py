import chainer

from yolo_dist.functions import LOSS_NORMS


class YOLOTrainChain(chainer.Chain):
    """YOLOv2 or YOLOv3 with its loss.

    Args:
        model (YOLOv2 or YOLOv3): The detector.
        loss_norm (str): The divisor of the sums over boxes, see
            :func:`~yolo_dist.functions.normalize_terms`.
        ignore_thresh (float): Background boxes that overlap an object by more
            than this are not penalised. ``None`` is Darknet's value, 0.6
            for YOLOv2 and 0.5 for YOLOv3.
        prior_images (int): Images during which YOLOv2 also pulls its boxes
            towards the anchors; 12,800 in Darknet.

    Attributes:
        model (YOLOv2 or YOLOv3): The detector.
        n_images_seen (int): Images trained on so far by all workers, this
            batch included. Set it before each forward pass.

    Reports:
        =========  =============  ==========================
        key        unit           meaning
        =========  =============  ==========================
        loss       dimensionless  sum of the four terms
        loss_xy    dimensionless  box centres
        loss_wh    dimensionless  box sizes
        loss_obj   dimensionless  objectness
        loss_conf  dimensionless  classes
        =========  =============  ==========================

    Raises:
        ValueError: If ``loss_norm`` is unknown.
    """

    def __init__(self, model, *, loss_norm, ignore_thresh=None, prior_images=12_800):
        super().__init__()
        if loss_norm not in LOSS_NORMS:
            raise ValueError(f'loss_norm is {loss_norm!r}, must be one of {LOSS_NORMS}')
        self.loss_norm = loss_norm
        self.ignore_thresh = ignore_thresh
        self.prior_images = prior_images
        self.n_images_seen = 0
        with self.init_scope():
            self.model = model

    def forward(self, imgs, bboxes, labels):
        """Compute the loss of a batch and report its terms.

        Args:
            imgs (ndarray): Images ``(B, 3, H, W)``, uint8, or float in 0..1.
            bboxes (ndarray): Float32 ``(B, T, 4)``, ``(y_min, x_min, y_max,
                x_max)`` in pixels of ``imgs``.
            labels (ndarray): Int32 ``(B, T)``; -1 marks padding.

        Returns:
            ~chainer.Variable: Scalar; float32 even if the network computes in
            float16.
        """
        terms = self.model.compute_loss(
            self.model(imgs), bboxes, labels, imgs.shape[2:], loss_norm=self.loss_norm,
            ignore_thresh=self.ignore_thresh, n_images_seen=self.n_images_seen,
            prior_images=self.prior_images)
        loss = sum(terms)
        chainer.report({'loss': loss, **{
            f'loss_{name}': term for name, term in terms._asdict().items()}}, self)
        return loss
