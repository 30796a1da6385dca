"""The optimizer: momentum SGD as Goyal et al. write it, averaged by ChainerMN."""

import chainermn
from chainer.optimizer_hooks import WeightDecay
from chainer.optimizers import CorrectedMomentumSGD

from yolo_dist.errors import InputError


def create_optimizer(config, train_chain, comm):
    """Makes the optimizer of an experiment and gives all processes equal weights.

    ``CorrectedMomentumSGD`` keeps the rate outside the velocity [Goyal et al.
    2017, eq. 9], as Darknet does (``src/convolutional_layer.c``). Weight decay
    acts on the averaged gradient, of convolution weights alone where
    ``weight_decay_on`` is ``'conv_weights'``: Darknet decays neither biases nor
    batch-normalisation parameters, and the paper does not say.

    ChainerMN spends the first ``update`` of an optimizer on broadcasting the
    weights and moves none of them. The broadcast is done here instead, so that
    the first minibatch counts; a run of Table 2 with k = 128 has 808 of them.

    Args:
        config (~yolo_dist.config.OptimizerConfig): The ``optimizer`` section.
        train_chain (chainer.Chain): Model and loss, parameters initialised.
        comm (chainermn.CommunicatorBase): The communicator. Collective.

    Returns:
        The optimizer that ``chainermn.create_multi_node_optimizer`` returns.

    Raises:
        RuntimeError: If a parameter is not initialised yet.
    """
    actual = CorrectedMomentumSGD(lr=config.base_lr, momentum=config.momentum)
    optimizer = chainermn.create_multi_node_optimizer(actual, comm)
    optimizer.setup(train_chain)
    for name, param in train_chain.namedparams():
        if param.array is None:
            raise RuntimeError(f'parameter {name} is not initialised')
        is_conv_weight = param.ndim == 4
        if config.weight_decay and (is_conv_weight or config.weight_decay_on == 'all'):
            param.update_rule.add_hook(WeightDecay(config.weight_decay))
    optimizer.is_changed(train_chain)
    comm.bcast_data(train_chain)
    return optimizer


def check_batch_fits(config, n_examples):
    """Checks that one global batch is not larger than the training set.

    Args:
        config (~yolo_dist.config.RunConfig): The experiment.
        n_examples (int): Size of the training set.

    Raises:
        InputError: If ``k n`` exceeds ``n_examples``.
    """
    if config.global_batch_size > n_examples:
        raise InputError(
            f'one batch takes workers x data.batch_size_per_worker = {config.workers} x '
            f'{config.data.batch_size_per_worker} = {config.global_batch_size} images, but the '
            f'training set has {n_examples}; use fewer workers or smaller batches')
