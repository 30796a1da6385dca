"""The optimizer: momentum SGD of Goyal et al., or LARS, with gradients averaged by ChainerMN."""
import math

import chainermn
from chainer.optimizer_hooks import GradientLARS

from yolo_dist.training.momentum_sgd import FusedCorrectedMomentumSGD, WeightDecay


class LARS(GradientLARS):
    """Layer-wise rates [You, Gitman, Ginsburg 2017, eq. 6], as a hook of one parameter.

    Chainer's hook makes the gradient ``(g + beta w) |w| / (|g| + beta |w|)``. This hook
    also has the trust coefficient. Parameters without the hook therefore keep the plain
    rate. A weight of norm 0 keeps its gradient.

    Args:
        trust_coefficient (float): 0.001 in the paper's experiments.
        weight_decay (float): beta.
    """

    def __init__(self, trust_coefficient, weight_decay):
        super().__init__(threshold=0., weight_decay=weight_decay)
        self.trust_coefficient = trust_coefficient

    def __call__(self, rule, param):
        super().__call__(rule, param)
        param.grad *= param.grad.dtype.type(self.trust_coefficient)


def create_optimizer(config, train_chain, comm, *, double_buffering=False):
    """Make the optimizer of an experiment and give all processes equal weights.

    ``CorrectedMomentumSGD`` keeps the rate outside the velocity [Goyal et al.
    2017, eq. 9], as Darknet does (``src/convolutional_layer.c``). Weight decay
    acts on the averaged gradient. With ``weight_decay_on: 'conv_weights'`` it acts
    only on convolution weights: Darknet decays neither biases nor
    batch-normalisation parameters, and the paper does not say. LARS also acts
    only on convolution weights.

    ChainerMN uses the first ``update`` of an optimizer to broadcast the weights
    and moves none of them. Here the broadcast is done earlier, and the first
    minibatch counts. A run of Table 2 with k = 128 has 808 minibatches.

    The rate is NaN until :class:`~yolo_dist.training.extensions.LearningRate` sets
    it before each update. A missing rate would therefore be noticed at once.

    Args:
        config (~yolo_dist.config.OptimizerConfig): The ``optimizer`` section.
        train_chain (chainer.Chain): Model and loss, parameters initialised.
        comm (chainermn.CommunicatorBase): The communicator. Collective.
        double_buffering (bool): Whether each update uses the gradients of the
            previous iteration, whose mean overlaps the computation.

    Returns:
        The optimizer that ``chainermn.create_multi_node_optimizer`` returns.

    Raises:
        RuntimeError: If a parameter is not initialised yet.
    """
    actual = FusedCorrectedMomentumSGD(lr=math.nan, momentum=config.momentum)
    optimizer = chainermn.create_multi_node_optimizer(
        actual, comm, double_buffering=double_buffering)
    optimizer.setup(train_chain)
    for name, param in train_chain.namedparams():
        if param.array is None:
            raise RuntimeError(f'parameter {name} is not initialised')
        is_conv_weight = param.ndim == 4
        if config.lars is not None and is_conv_weight:
            param.update_rule.add_hook(
                LARS(config.lars.trust_coefficient, config.lars.weight_decay))
        if config.weight_decay and (is_conv_weight or config.weight_decay_on == 'all'):
            param.update_rule.add_hook(WeightDecay(config.weight_decay))
    if config.loss_scale == 'dynamic':
        actual.loss_scaling()
        comm.may_overflow = True
    elif config.loss_scale is not None:
        actual.set_loss_scale(config.loss_scale)
    # The first call broadcasts the weights. Double buffering also copies the model.
    if double_buffering:
        optimizer.update()
    else:
        optimizer.is_changed(train_chain)
        comm.bcast_data(train_chain)
    return optimizer
