import chainer
import chainer.links as L

from yolo_dist.errors import InputError
from yolo_dist.kernels.cpu import conv_bn_leaky_relu
from yolo_dist.links.convolution_2d import Convolution2D


class ConvBlock(chainer.Chain):
    """Convolution, batch normalisation and leaky ReLU of slope 0.1.

    All networks here are made of this block. Its children are named as in
    ChainerCV's ``Conv2DBNActiv``. The convolution has no bias. The epsilon of batch
    normalisation is 1e-5 as in Darknet, not 2e-5 as in ChainerCV.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        ksize ({1, 3}): Side of the filter, pixels.
        stride ({1, 2}): Stride, pixels.
        bn_decay (float): Share of the old value in the running statistics;
            0.99 in Darknet (``batchnorm_layer.c:143-146``).
    """

    def __init__(self, in_channels, out_channels, ksize, *, stride=1, bn_decay):
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride=stride, nobias=True)
            self.bn = L.BatchNormalization(out_channels, decay=bn_decay, eps=1e-5)

    def forward(self, x, shortcut=None):
        """Compute the block.

        Args:
            x (ndarray or ~chainer.Variable): Float ``(B, in_channels, H, W)``.
            shortcut (~chainer.Variable): Of the shape of the output, is added to it; ``None``
                for nothing.

        Returns:
            ~chainer.Variable: Float ``(B, out_channels, H / stride, W / stride)``.
        """
        return conv_bn_leaky_relu(x, self.conv, self.bn, slope=0.1, shortcut=shortcut)


def scale_channels(n_channels, width):
    """Return the number of channels of a hidden layer in a network of reduced width.

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
