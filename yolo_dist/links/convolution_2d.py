import chainer
import chainer.functions as F
import chainer.links as L
from chainer.initializers import Constant, HeNormal

from yolo_dist.kernels.cpu import convolution_2d


class Convolution2D(L.Convolution2D):
    """Chainer's convolution link, but it computes in the dtype of its input.

    Under ``mixed16`` the parameters are float32. They are cast to float16 for the
    convolution, forward and backward. cuDNN's float16 kernels then apply, and
    gradients arrive in float32. On NumPy arrays the link uses the CPU kernels of this
    package. The rest is Chainer's link.

    The filter is square. The image is padded by ``ksize // 2``. The filter is
    initialised with He's normal distribution and the bias with 0, as in Darknet
    (``convolutional_layer.c:205-209``).

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        ksize ({1, 3}): Side of the filter, pixels.
        stride ({1, 2}): Stride, pixels.
        nobias (bool): Whether there is no bias.
    """

    def __init__(self, in_channels, out_channels, ksize, *, stride=1, nobias=False):
        dtype = chainer.get_dtype(map_mixed16='float32')
        super().__init__(
            in_channels, out_channels, ksize, stride=stride, pad=ksize // 2, nobias=nobias,
            initialW=HeNormal(dtype=dtype), initial_bias=Constant(0, dtype=dtype))

    def forward(self, x):
        """Compute the convolution.

        Args:
            x (ndarray or ~chainer.Variable): Float ``(B, in_channels, H, W)``.

        Returns:
            ~chainer.Variable: Float ``(B, out_channels, H / stride, W / stride)``,
            of the dtype of ``x``.
        """
        if self.W.dtype == x.dtype:
            if self.cudnn_fast:
                return super().forward(x)
            return convolution_2d(x, self.W, self.b, stride=self.stride, pad=self.pad)
        b = None if self.b is None else F.cast(self.b, x.dtype)
        return F.convolution_2d(x, F.cast(self.W, x.dtype), b, self.stride, self.pad)
