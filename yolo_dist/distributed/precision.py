"""What networks compute in."""
import chainer
import numpy as np

# model.dtype: Chainer's dtype, and what `use_cudnn_tensor_core` allows.
_PRECISIONS = {'float32': (np.dtype(np.float32), 'auto'),
               'tf32': (np.dtype(np.float32), 'always'),
               'mixed16': (chainer.mixed16, 'auto')}


def set_precision(dtype):
    """Sets what Chainer computes in from here on.

    Args:
        dtype ({'float32', 'tf32', 'mixed16'}): As in ``model.dtype``. TF32 rounds the factors
            of a convolution to 10 bits on GPUs since Ampere, elsewhere it is float32; no GPU of
            the paper had it.
    """
    chainer.global_config.dtype, chainer.global_config.use_cudnn_tensor_core = _PRECISIONS[dtype]
