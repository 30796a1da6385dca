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
        loss_scale, param._loss_scale = param._loss_scale, None
        try:
            super().__call__(rule, param)
        finally:
            param._loss_scale = loss_scale


def _decay_of(param):
    """Weight decay of a parameter; ``None`` if the kernels do not have its rule."""
    rule = param.update_rule
    hooks = list(rule._hookable._pre_update_hooks.values())
    if (type(rule) is not CorrectedMomentumSGDRule or not rule.enabled or not rule.state
            # A snapshot loads it into host memory. Chainer's rule moves it to the GPU.
            or type(rule.state['v']) is not type(param.array)
            or rule._hookable._post_update_hooks
            or any(type(hook) is not WeightDecay for hook in hooks)):
        return None
    return sum(hook.rate for hook in hooks)


def _is_float32_on_gpu(param):
    return param.xp is cuda.cupy and param.dtype == np.float32


class FusedCorrectedMomentumSGD(CorrectedMomentumSGD):
    """Chainer's ``CorrectedMomentumSGD``, in one pass over memory where this is possible.

    It is possible for a parameter whose only hook is weight decay (LARS is another hook). On a
    CPU there is one pass for each such parameter. On a GPU there is one kernel for all of them, if
    all are float32. Both begin with the second update. The first update makes the velocities, or
    moves those of a snapshot to the GPU. The results are those of Chainer's rule up to rounding.
    Chainer's rule computes everything else.
    """

    _update = None

    def update(self, lossfun=None, *args, **kwds):
        # The steps of Chainer's update, without its calls for each parameter.
        if lossfun is not None:
            loss = lossfun(*args, **kwds)
            self.target.cleargrads()
            loss.backward(loss_scale=self._loss_scale)
        self.reallocate_cleared_grads()
        self.check_nan_in_grads()
        self.call_hooks('pre')
        self.t += 1
        if self.is_safe_to_update():
            params = list(self.target.params())
            decays = tuple(_decay_of(param) for param in params)
            if None not in decays and all(map(_is_float32_on_gpu, params)):
                self._update_all(params, decays)
            else:
                for param, decay in zip(params, decays, strict=True):
                    self._update_one(param, decay)
        self.call_hooks('post')
        self.update_loss_scale()

    def reallocate_cleared_grads(self):
        if any(param.grad is None for param in self.target.params()):
            super().reallocate_cleared_grads()

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

    def _update_one(self, param, decay):
        rule = param.update_rule
        if (decay is None or param._loss_scale is not None or not is_cpu_backend_on()
                or not are_flat(param.array, param.grad, rule.state['v'])):
            param.update()
            return
        from yolo_dist.kernels.cpu import updates
        rule.t += 1
        updates.momentum(param.array, param.grad, rule.state['v'], lr=rule.hyperparam.lr,
                         momentum=rule.hyperparam.momentum, decay=decay)

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
                [param.xp.ascontiguousarray(param.grad) for param in params],
                [param.update_rule.state['v'] for param in params],
                loss_scale=loss_scale, momentum=self.momentum, lr=self.lr)
