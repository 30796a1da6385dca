"""The one building block of every network here."""
import chainer.functions as F
from chainer.initializers import HeNormal
import chainer.links as L
from chainercv.links import Conv2DBNActiv

from yolo_dist.errors import InputError


def leaky_relu(x):
    """Leaky ReLU of slope 0.1, Darknet's ``leaky`` (``activations.h:39``)."""
    return F.leaky_relu(x, slope=0.1)


def scale_channels(n_channels, width):
    """Number of channels of a hidden layer in a network of reduced width.

    Args:
        n_channels (int): Channels of the layer in the paper's network.
        width (float): Factor, positive; 1 is the paper's network.

    Returns:
        int: ``max(1, round(n_channels * width))``.

    Raises:
        InputError: If ``width`` is not positive.
    """
    if not width > 0:
        raise InputError(f'width is {width!r}, but must be positive; '
                         "1.0 is the paper's network, 0.25 a quick one")
    return max(1, round(n_channels * width))


def build_conv_block(in_channels, out_channels, ksize, *, stride=1, bn_decay=0.99):
    """Build convolution, batch normalisation and leaky ReLU as one link.

    The convolution has no bias, is padded by ``ksize // 2`` and initialised
    with He's normal distribution, as Darknet does
    (``convolutional_layer.c:205-209``). Batch normalisation uses Darknet's
    epsilon of 1e-5 instead of ChainerCV's 2e-5.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        ksize ({1, 3}): Size of the square filter, pixels.
        stride ({1, 2}): Stride, pixels.
        bn_decay (float): Share of the old value in the running statistics;
            Darknet's is 0.99 (``batchnorm_layer.c:143-146``).

    Returns:
        ~chainercv.links.Conv2DBNActiv: Link with the children ``conv`` and
        ``bn``.
    """
    return Conv2DBNActiv(
        in_channels, out_channels, ksize, stride=stride, pad=ksize // 2,
        initialW=HeNormal(), activ=leaky_relu,
        bn_kwargs={'decay': bn_decay, 'eps': 1e-5})


def build_output_conv(in_channels, out_channels):
    """Build the linear 1x1 convolution with bias that ends every network.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output: classes, or box values.

    Returns:
        ~chainer.links.Convolution2D: Link with weights drawn as in
        :func:`build_conv_block` and zero bias.
    """
    return L.Convolution2D(in_channels, out_channels, 1, initialW=HeNormal())
