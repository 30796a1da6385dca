"""The part of an image that classifiers are evaluated on."""
import cv2

from yolo_dist.transforms.pixel_layout import height_width, to_interleaved, to_planes


def centre_crop(img, insize):
    """Cut out the largest central rectangle of the network's aspect and resize it.

    For a square network this is Darknet's validation view (``image.c:648-655``): the central
    square of the original image at the network's size, without a margin around it.

    Args:
        img (ndarray): uint8 ``(3, H, W)`` in [0, 255], RGB.
        insize (int or tuple of int): Side of the result, or its height and width, in pixels.

    Returns:
        ndarray: uint8 ``(3, *insize)``.
    """
    height, width = img.shape[1:]
    out_h, out_w = height_width(insize)
    crop_h = max(1, min(height, width * out_h // out_w))
    crop_w = max(1, min(width, height * out_w // out_h))
    top, left = (height - crop_h) // 2, (width - crop_w) // 2
    crop = to_interleaved(img)[top:top + crop_h, left:left + crop_w]
    return to_planes(cv2.resize(crop, (out_w, out_h), interpolation=cv2.INTER_LINEAR))
