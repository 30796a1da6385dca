import chainer
import numpy as np

from yolo_dist.errors import InputError


def prepare_images(imgs):
    """Convert a batch of images to the range and dtype that the networks compute in.

    Bytes are divided by 255 on the device where they lie. A batch therefore crosses
    the bus as bytes. No mean is subtracted, as in Darknet.

    Args:
        imgs (ndarray or ~chainer.Variable): RGB images ``(B, 3, H, W)``;
            uint8 in 0..255, or float in 0..1. ``H`` and ``W`` are multiples
            of 32, the coarsest stride of the networks.

    Returns:
        ndarray or ~chainer.Variable: The same images in 0..1, of Chainer's
        dtype (``chainer.config.dtype``; float16 for ``mixed16``).

    Raises:
        InputError: If the shape or dtype is not as above.
    """
    if imgs.ndim != 4 or imgs.shape[1] != 3:
        raise InputError(f'images have shape {imgs.shape}, but a batch (B, 3, height, width) '
                         'of RGB images was expected')
    height, width = imgs.shape[2:]
    if height % 32 or width % 32 or not height or not width:
        raise InputError(f'input size {height} x {width} (height x width) does not fit; '
                         'both must be multiples of 32, for example 224, 416 or 608')
    dtype = chainer.get_dtype(map_mixed16='float16')
    if imgs.dtype.kind == 'f':
        return imgs if imgs.dtype == dtype else chainer.functions.cast(imgs, dtype)
    if imgs.dtype != 'uint8':
        raise InputError(f'images have dtype {imgs.dtype}; '
                         'expected uint8 (0..255) or float (0..1)')
    if isinstance(imgs, chainer.Variable):
        imgs = imgs.array
    return imgs.astype(dtype) * dtype.type(1 / 255)


def height_and_width(insize):
    """Read the size of a network's input.

    Args:
        insize (int or tuple of int): Side, or ``(height, width)``, in pixels.

    Returns:
        tuple of int: ``(height, width)``.

    Raises:
        InputError: If the size is no positive multiple of 32.
    """
    insize = (insize, insize) if np.isscalar(insize) else tuple(insize)
    if len(insize) != 2 or any(s != int(s) or s <= 0 or s % 32 for s in insize):
        raise InputError(f'input size {insize} does not fit; it must be a positive multiple '
                         'of 32, for example 416 or 608')
    return int(insize[0]), int(insize[1])
