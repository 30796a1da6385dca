"""Importing this package replaces nothing of Chainer: its kernels are called by name."""

_METHODS = """
import importlib
import yolo_dist

MODULES = (
    'chainer.functions.connection.convolution_2d',
    'chainer.functions.normalization.batch_normalization',
    'chainer.functions.activation.leaky_relu',
    'chainer.links.connection.convolution_2d',
    'chainer.links.normalization.batch_normalization',
    'chainer.optimizers.corrected_momentum_sgd',
    'chainer.optimizer_hooks.weight_decay',
    'chainer.optimizer_hooks.gradient_lars',
    'chainer.optimizer',
    'chainer.function_node',
    'chainer.variable',
)

def methods():
    # What each class and function of the modules is, by name.
    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for key, value in vars(module).items():
            if getattr(value, '__module__', None) != name:
                continue
            found[name, key] = value
            if isinstance(value, type):
                found |= {(name, key, attribute): method
                          for attribute, method in vars(value).items()}
    return found

before = methods()
for name in ('train', 'evaluate', 'bench', 'kernels.cpu', 'links', 'training.optimizers'):
    importlib.import_module('yolo_dist.' + name)
after = methods()
assert before.keys() == after.keys(), before.keys() ^ after.keys()
changed = [key for key in before if before[key] is not after[key]]
assert not changed, changed
print(len(after) > 100)
"""


def test_no_method_of_chainer_is_replaced(python):
    """Convolution, normalisation, leaky ReLU, momentum SGD and weight decay stay Chainer's."""
    done = python('-c', _METHODS)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'True\n'
