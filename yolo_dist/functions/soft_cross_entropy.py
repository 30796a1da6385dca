import chainer.functions as F
from chainer import backend, function_node


class _SoftCrossEntropy(function_node.FunctionNode):

    def __init__(self, target):
        super().__init__()
        self.target = target

    def forward(self, inputs):
        self.retain_inputs((0,))
        x, = inputs
        xp = backend.get_array_module(x)
        return (xp.maximum(x, 0) - x * self.target) + xp.log1p(xp.exp(-abs(x))),

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        # exp(-softplus(-x)) is the sigmoid to full relative precision. The
        # gradient of thousands of confident background boxes is not rounded to 0.
        return grad_outputs[0] * (F.exp(-F.softplus(-x)) - self.target),


def soft_cross_entropy(logits, target):
    """Cross entropy of a sigmoid with targets that may lie between 0 and 1.

    It is ``-target * log(sigmoid(x)) - (1 - target) * log(1 - sigmoid(x))``. Its
    gradient is ``sigmoid(x) - target``. Chainer's
    :func:`chainer.functions.sigmoid_cross_entropy` takes only integer targets.

    Args:
        logits (~chainer.Variable): Float, of any shape.
        target (ndarray): Float of the same shape and dtype, 0..1; a constant.

    Returns:
        ~chainer.Variable: One value for each logit, finite for finite logits.
    """
    return _SoftCrossEntropy(target).apply((logits,))[0]
