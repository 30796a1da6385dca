from chainer import training


class FrozenBackbone(training.Extension):
    """Leaves the weights of the backbone as they are for the first epochs.

    The backbone is what a detector shares with its classifier. Its gradients are computed and
    averaged as ever, but there is no update of its parameters: neither momentum nor weight decay.
    Its batch normalisation uses and follows the statistics of the batches.

    Args:
        model (chainer.Link): A network with an ``extractor``.
        n_epochs (float): An update that begins before this epoch leaves the backbone out.
    """

    trigger = (1, 'iteration')
    priority = training.PRIORITY_WRITER

    def __init__(self, model, n_epochs):
        extractor = model.extractor
        self._params = [param for link in extractor[:extractor.n_backbone_links]
                        for param in link.params()]
        self._n_epochs = n_epochs

    def initialize(self, trainer):
        for param in self._params:
            # An update would make its momentum, which a snapshot must have.
            param.update_rule._init_states(param)
        self(trainer)

    def __call__(self, trainer):
        """Set what the next update leaves out."""
        is_frozen = trainer.updater.epoch_detail < self._n_epochs
        for param in self._params:
            param.update_rule.enabled = not is_frozen
