"""Networks of this package at work: one call is one step."""
import chainer
import numpy as np

from yolo_dist import links
from yolo_dist.training.momentum_sgd import FusedCorrectedMomentumSGD, WeightDecay

N_CLASS = {'darknet19': 1000, 'darknet53': 1000, 'yolo_v2': 20, 'yolo_v3': 20}
_CLASSES = {'darknet19': links.Darknet19, 'darknet53': links.Darknet53,
            'yolo_v2': links.YOLOv2, 'yolo_v3': links.YOLOv3}
_N_OBJECTS = 8  # in each image
_LOSS_SCALE = 128.  # under mixed16
_N_DETECTIONS = 100  # boxes of an image that a trained detector is sure of


def is_detector(name):
    """Whether a network detects rather than classifies."""
    return name.startswith('yolo')


def default_size(name):
    """Input size and batch of the paper's networks that a small machine can run.

    Args:
        name (str): A key of ``N_CLASS``.

    Returns:
        tuple of int: Pixels, images.
    """
    return (416, 2) if is_detector(name) else (224, 4)


def build_model(name, *, width):
    """Build one of the four networks with the paper's number of classes."""
    np.random.seed(0)
    return _CLASSES[name](N_CLASS[name], width=width)


def create_batch(name, *, input_size, batch):
    """Make a random batch.

    Args:
        name (str): A key of ``N_CLASS``.
        input_size (int): Pixels.
        batch (int): Images.

    Returns:
        tuple of ndarray: Arguments of the network's train chain.
    """
    rng = np.random.default_rng(0)
    imgs = rng.integers(0, 256, (batch, 3, input_size, input_size), np.uint8)
    if not is_detector(name):
        return imgs, rng.integers(0, N_CLASS[name], batch, np.int32)
    corners = rng.uniform(0, .7 * input_size, (batch, _N_OBJECTS, 2))
    sizes = rng.uniform(.05 * input_size, .3 * input_size, (batch, _N_OBJECTS, 2))
    bboxes = np.concatenate((corners, corners + sizes), axis=2).astype(np.float32)
    return imgs, bboxes, rng.integers(0, N_CLASS[name], (batch, _N_OBJECTS), np.int32)


def _create_train_chain(name, model):
    if is_detector(name):
        return links.YOLOTrainChain(model, loss_norm='image')
    return links.ClassificationTrainChain(model)


def create_train_chain(name, *, width):
    """Make a network with its loss.

    Args:
        name (str): A key of ``N_CLASS``.
        width (float): Factor on all hidden channel counts.

    Returns:
        ~chainer.Chain: The train chain.
    """
    return _create_train_chain(name, build_model(name, width=width))


def _send(device, link, arrays):
    link.to_device(device)
    return tuple(map(chainer.get_device(device).send, arrays))


def create_training_step(name, *, input_size, batch, width, device='@numpy'):
    """Make a step of training: forward, loss, backward, weight decay, update.

    Args:
        name (str): A key of ``N_CLASS``.
        input_size (int): Pixels.
        batch (int): Images, on the device beforehand.
        width (float): Factor on all hidden channel counts.
        device (str or chainer.backend.Device): Where to compute.

    Returns:
        tuple: A callable, and the train chain.
    """
    chain = create_train_chain(name, width=width)
    arguments = _send(device, chain, create_batch(name, input_size=input_size, batch=batch))
    optimizer = FusedCorrectedMomentumSGD(lr=1e-6, momentum=.9).setup(chain)
    for param in chain.params():
        if param.ndim == 4:
            param.update_rule.add_hook(WeightDecay(5e-4))
    if chainer.config.dtype is chainer.mixed16:
        optimizer.set_loss_scale(_LOSS_SCALE)

    def step():
        chain.cleargrads()
        chain(*arguments).backward(loss_scale=optimizer._loss_scale)
        optimizer.update()
    return step, chain


def create_inference(name, *, input_size, batch, width, device='@numpy'):
    """Make a forward pass without graph; arguments as of :func:`create_training_step`."""
    model = build_model(name, width=width)
    imgs, *_ = _send(device, model, create_batch(name, input_size=input_size, batch=batch))

    def infer():
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            model(imgs)
    return infer, model


def create_selection(name, *, input_size, width):
    """Make what follows the forward pass of a detector: decoding and suppression.

    Args:
        name (str): A detector.
        input_size (int): Pixels.
        width (float): Factor on all hidden channel counts.

    Returns:
        callable: ``predict`` of one image of the network's size, at the threshold of
        evaluation, on outputs like those of a trained network, which are not computed.
    """
    model = build_model(name, width=width)
    model.use_preset('evaluate')
    rng = np.random.default_rng(0)
    n_boxes = len(model.default_boxes(input_size).cell)
    objs = np.full((1, n_boxes), -9, np.float32)
    objs[0, rng.choice(n_boxes, min(n_boxes, _N_DETECTIONS), replace=False)] = 3
    outputs = (rng.normal(size=(1, n_boxes, 4)).astype(np.float32), objs,
               rng.normal(-3, 1, (1, n_boxes, N_CLASS[name])).astype(np.float32))
    model.forward = lambda imgs: tuple(map(chainer.Variable, outputs))
    img = create_batch(name, input_size=input_size, batch=1)[0][0]
    return lambda: model.predict([img], insize=input_size)


def create_loss(name, *, input_size, batch, device='@numpy'):
    """Make target assignment, loss and its gradient on the network's outputs.

    Args:
        name (str): A detector.
        input_size (int): Pixels.
        batch (int): Images.
        device (str or chainer.backend.Device): Where to compute.

    Returns:
        callable: One evaluation.
    """
    model = build_model(name, width=1 / 32)
    chain = _create_train_chain(name, model)
    rng = np.random.default_rng(0)
    n_boxes = len(model.default_boxes(input_size).cell)
    outputs = rng.normal(size=(batch, n_boxes, 5 + N_CLASS[name])).astype(np.float32)
    outputs, imgs, bboxes, labels = _send(device, chain, (
        outputs, *create_batch(name, input_size=input_size, batch=batch)))
    raw = chainer.Variable(outputs)
    model.forward = lambda imgs: model.split_outputs(raw)

    def evaluate():
        raw.cleargrad()
        chain(imgs, bboxes, labels).backward()
    return evaluate
