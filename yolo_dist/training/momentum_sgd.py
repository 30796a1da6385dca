"""Momentum SGD and weight decay as this package computes them."""
import chainer
import numpy as np
from chainer import optimizer_hooks
from chainer.backends import cuda
from chainer.optimizers import CorrectedMomentumSGD
from chainer.optimizers.corrected_momentum_sgd import CorrectedMomentumSGDRule

from yolo_dist.kernels.cpu import is_cpu_backend_on
from yolo_dist.kernels.cpu.layout import are_flat
from yolo_dist.kernels.cuda.fused_momentum_sgd import FusedUpdate


class WeightDecay(optimizer_hooks.WeightDecay):
    """Weight decay of one parameter, the same under any loss scale.

    Chainer's hook multiplies the decay by the loss scale. This is right for a hook of the
    optimizer, which sees scaled gradients. A hook of a parameter sees unscaled gradients.
    """

    def __call__(self, rule, param):
        if is_cpu_backend_on() and are_flat(param.array, param.grad):
            from yolo_dist.kernels.cpu import updates
            updates.weight_decay(param.array, param.grad, rate=self.rate)
            return
        loss_scale, param._loss_scale = param._loss_scale, None
        try:
            super().__call__(rule, param)
        finally:
            param._loss_scale = loss_scale


def _decay_of(param):
    """Weight decay of a parameter; ``None`` if the kernel does not have its rule."""
    rule = param.update_rule
    hooks = list(rule._hookable._pre_update_hooks.values())
    if (type(rule) is not FusedCorrectedMomentumSGDRule or not rule.enabled or not rule.state
            # A snapshot loads it into host memory. Chainer's rule moves it to the GPU.
            or type(rule.state['v']) is not type(param.array)
            or rule._hookable._post_update_hooks
            or any(type(hook) is not WeightDecay for hook in hooks)):
        return None
    return sum(hook.rate for hook in hooks)


class FusedCorrectedMomentumSGDRule(CorrectedMomentumSGDRule):
    """Chainer's rule, but each NumPy array is read once and written once."""

    def update_core_cpu(self, param):
        arrays = param.array, param.grad, self.state['v']
        if not (is_cpu_backend_on() and are_flat(*arrays)):
            super().update_core_cpu(param)
            return
        from yolo_dist.kernels.cpu import updates
        updates.momentum(*arrays, lr=self.hyperparam.lr, momentum=self.hyperparam.momentum)


class FusedCorrectedMomentumSGD(CorrectedMomentumSGD):
    """Chainer's ``CorrectedMomentumSGD``, in one pass over memory where this is possible.

    On a CPU there is one pass for each parameter. On a GPU there is one kernel for all float32
    parameters whose only hook is weight decay (LARS is another hook). The kernel is used from the
    second update on. The first update makes the velocities, or moves those of a snapshot to the
    GPU. The results are those of Chainer's rule up to rounding. Chainer's rule computes
    everything else.
    """

    _update = None

    def create_update_rule(self):
        return FusedCorrectedMomentumSGDRule(self.hyperparam)

    def update(self, lossfun=None, *args, **kwds):
        params = list(self.target.params())
        decays = tuple(_decay_of(param) for param in params)
        if (lossfun is not None or None in decays
                or any(param.xp is not cuda.cupy or param.dtype != np.float32
                       for param in params)):
            super().update(lossfun, *args, **kwds)
            return
        # The steps of Chainer's update, without its loop over the parameters.
        self.reallocate_cleared_grads()
        self.check_nan_in_grads()
        self.call_hooks('pre')
        self.t += 1
        if self.is_safe_to_update():
            self._update_all(params, decays)
        self.call_hooks('post')
        self.update_loss_scale()

    def check_nan_in_grads(self):
        """Look for numbers that are not finite, if dynamic loss scaling is used.

        Chainer reads one answer from the GPU for each parameter. Here one answer is read for all.
        """
        self._loss_scaling_isnan = False
        if not self._loss_scaling_is_dynamic:
            return
        grads = [param.grad for param in self.target.params() if param.grad is not None]
        xp = chainer.backend.get_array_module(*grads)
        if not xp.stack([xp.isfinite(grad).all() for grad in grads]).all():
            self._loss_scaling_isnan = self._loss_scaling_isnan_ever = True

    def _update_all(self, params, decays):
        sizes = tuple(param.size for param in params)
        if self._update is None or self._update.key != (sizes, decays):
            self._update = FusedUpdate(sizes, decays)
        for param in params:
            param.update_rule.t += 1
        # The value of the backward pass. Dynamic scaling changes it after the update.
        loss_scale = params[0]._loss_scale or 1
        with chainer.using_device(params[0].device):
            self._update(
                [param.array for param in params],
                [cuda.cupy.ascontiguousarray(param.grad) for param in params],
                [param.update_rule.state['v'] for param in params],
                loss_scale=loss_scale, momentum=self.momentum, lr=self.lr)
