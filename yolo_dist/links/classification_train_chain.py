import chainer
import chainer.functions as F


class ClassificationTrainChain(chainer.Chain):
    """A classifier with its loss: softmax cross entropy, mean over the batch.

    Args:
        model (~chainer.Chain): ``model(imgs)`` gives logits ``(B, n_class)``.

    Attributes:
        model (~chainer.Chain): The classifier.
        n_images_seen (int): Images trained on so far by all workers, this
            batch included; the loss does not depend on it.

    Reports:
        ==========  =====  =================================
        key         unit   meaning
        ==========  =====  =================================
        loss        nat    mean cross entropy of the batch
        accuracy    1      share of correct top-1 answers
        ==========  =====  =================================
    """

    def __init__(self, model):
        super().__init__()
        self.n_images_seen = 0
        with self.init_scope():
            self.model = model

    def forward(self, imgs, labels):
        """Compute the loss of a batch and report it.

        Args:
            imgs (ndarray): Images ``(B, 3, H, W)``, uint8, or float in 0..1.
            labels (ndarray): Int32 ``(B,)``.

        Returns:
            ~chainer.Variable: Scalar; float32 even if the network computes in
            float16.
        """
        logits = self.model(imgs)
        if logits.dtype.char == 'e':
            logits = F.cast(logits, 'float32')
        loss = F.softmax_cross_entropy(logits, labels)
        with chainer.no_backprop_mode():
            accuracy = F.accuracy(logits, labels)
        chainer.report({'loss': loss, 'accuracy': accuracy}, self)
        return loss
