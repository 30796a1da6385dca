"""Which cuDNN Chainer gets."""


def load():
    """Find the two modules that Chainer calls cuDNN by.

    CuPy's own where it has them and they load (CuPy 12 and 13 with cuDNN 8), else those of this
    package, where ``nvidia-cudnn-frontend`` and cuDNN 9 are installed.

    Returns:
        tuple of module: For ``chainer.backends.cuda.cudnn`` and ``.libcudnn``.

    Raises:
        ImportError: If there is neither; says what is missing.
    """
    try:
        import cupy.cuda.cudnn
        import cupyx.cudnn
        return cupyx.cudnn, cupy.cuda.cudnn
    except ImportError:
        pass
    from yolo_dist.kernels.cudnn9 import library
    library.load()
    from yolo_dist.kernels.cudnn9 import constants, functions
    return functions, constants


def least_compute_capability(version):
    """Say which GPUs a cuDNN computes on.

    Args:
        version (int): Of cuDNN, such as 91002 for 9.10.2 and 8907 for 8.9.7.

    Returns:
        float: Compute capability of the oldest GPU: 7.5 from cuDNN 9.11 on, which dropped
        Volta (7.0), 5.0 for those before.
    """
    return 7.5 if version >= 91100 else 5.0


def name_of(cudnn):
    """Say in words which one Chainer has.

    Args:
        cudnn (module): ``chainer.backends.cuda.cudnn``.

    Returns:
        str: ``"CuPy's"`` or ``'own'``.
    """
    return 'own' if cudnn.__name__ == 'yolo_dist.kernels.cudnn9.functions' else "CuPy's"
