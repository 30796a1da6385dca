"""cuDNN 9 for Chainer, which knows cuDNN only through the bindings that CuPy 14 has dropped.

Two modules stand where Chainer expects CuPy's: :mod:`~yolo_dist.kernels.cudnn9.functions` for
``cupyx.cudnn`` and :mod:`~yolo_dist.kernels.cudnn9.constants` for ``cupy.cuda.cudnn``
(:mod:`yolo_dist.compat` puts them there). Chainer's own code calls them as it called CuPy's.

Convolutions are graphs of NVIDIA's ``nvidia-cudnn-frontend``. What the graph API does not have
for every shape of these networks (batch normalisation of any number of channels and at
inference, pooling, softmax, activations) are the functions of ``libcudnn`` that CuPy called,
too; cuDNN 9 still has them, and PyTorch calls the same ones.

Nothing here imports Chainer, which imports this.
"""
