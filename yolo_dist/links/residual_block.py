import chainer

from yolo_dist.links.conv_block import ConvBlock


class ResidualBlock(chainer.ChainList):
    """Darknet53's residual block: 1x1 and 3x3 convolution, then the sum.

    Nothing is applied after the sum (Darknet's linear ``shortcut``).

    Args:
        channels (int): Channels of input and output.
        hidden_channels (int): Channels between the two convolutions.
        bn_decay (float): See :class:`~yolo_dist.links.conv_block.ConvBlock`.
    """

    def __init__(self, channels, hidden_channels, *, bn_decay):
        super().__init__(
            ConvBlock(channels, hidden_channels, 1, bn_decay=bn_decay),
            ConvBlock(hidden_channels, channels, 3, bn_decay=bn_decay))

    def forward(self, x):
        """Compute the block.

        Args:
            x (~chainer.Variable): Float ``(B, channels, H, W)``.

        Returns:
            ~chainer.Variable: Float of the same shape.
        """
        reduce, expand = self
        return expand(reduce(x), shortcut=x)
