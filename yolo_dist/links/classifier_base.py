import chainer
import numpy as np

from yolo_dist.links.accept_images import accept_images
from yolo_dist.links.conv_block import scale_channels
from yolo_dist.links.convolution_2d import Convolution2D
from yolo_dist.transforms import centre_crop


class ClassifierBase(chainer.Chain):
    """The common part of Darknet19 and Darknet53: links and prediction.

    A subclass names its ``extractor_class`` and defines ``forward``, which returns logits
    ``(B, n_class)``.

    Args:
        n_class (int): Number of classes.
        width (float): Factor on all hidden channel counts; 1 in the paper.
        bn_decay (float): Decay of batch normalisation's running statistics; 0.99 in Darknet.

    Attributes:
        insize (int or tuple of int): Side, or height and width, in pixels, of the network's
            input in :meth:`predict`; multiples of 32. It is 224 for a new link, and the
            evaluation's size for a link that was built for a run.
    """

    def __init__(self, n_class, *, width=1.0, bn_decay=0.99):
        super().__init__()
        with self.init_scope():
            self.extractor = self.extractor_class(width=width, bn_decay=bn_decay)
            self.head = Convolution2D(scale_channels(1024, width), n_class, 1)
        self.n_class = n_class
        self.width = width
        self.insize = 224

    def predict(self, imgs, *, insize=None):
        """Classify images of any size.

        The central square of each image, or rectangle of the input's aspect, is resized to
        ``insize``, as in evaluation. All images go through the network as one batch.

        Args:
            imgs (iterable of ndarray): RGB images ``(3, H, W)``, uint8, or float in 0..255.
            insize (int or tuple of int): ``None`` takes the attribute.

        Returns:
            ndarray: float32 ``(B, n_class)``, the probability of each class, as from ChainerCV's
            ``FeaturePredictor``. ``argmax(axis=1)`` gives the labels.

        Raises:
            InputError: If the images or the size are not as expected.
        """
        insize = self.insize if insize is None else insize
        crops = [centre_crop(img, insize) for img in accept_images(imgs)]
        if not crops:
            return np.zeros((0, self.n_class), np.float32)
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            logits = self(self.device.send(np.stack(crops))).array.astype(np.float32)
            return chainer.cuda.to_cpu(chainer.functions.softmax(logits).array)
