"""The whole image on a canvas of the network's size."""
from yolo_dist.transforms.pixel_layout import height_width, to_interleaved, to_planes
from yolo_dist.transforms.placement import Placement


def letterbox(img, insize):
    """Fit an image into a canvas and keep its aspect. Small images are enlarged.

    This follows Darknet (``image.c:812-831``). ChainerCV's ``resize_contain`` never enlarges. It
    would show a VOC image to a network of 608 px at another scale than Darknet.

    Args:
        img (ndarray): uint8 in [0, 255], or float in [0, 1], ``(3, H, W)``, RGB.
        insize (int or tuple of int): Side of the canvas, or its height and width, in pixels.

    Returns:
        tuple: The canvas, ``(3, *insize)`` of the same dtype, grey above and below or left and
        right of the image; and the :class:`Placement` of the image, for
        :func:`unletterbox_bbox`.
    """
    height, width = img.shape[1:]
    canvas_hw = canvas_h, canvas_w = height_width(insize)
    if canvas_w * height < canvas_h * width:
        drawn_h, drawn_w = max(1, height * canvas_w // width), canvas_w
    else:
        drawn_h, drawn_w = canvas_h, max(1, width * canvas_h // height)
    top, left = (canvas_h - drawn_h) // 2, (canvas_w - drawn_w) // 2
    placement = Placement((0, 0, height, width), (top, left, top + drawn_h, left + drawn_w),
                          canvas_hw)
    return to_planes(placement.draw(to_interleaved(img))), placement


def unletterbox_bbox(bbox, placement):
    """Map boxes from the canvas of :func:`letterbox` to the image.

    Args:
        bbox (ndarray): float ``(R, 4)``, ``(y_min, x_min, y_max, x_max)`` in canvas pixels.
        placement (Placement): From :func:`letterbox`.

    Returns:
        ndarray: float32 ``(R, 4)`` in image pixels, not clipped.
    """
    return placement.unmap_bbox(bbox)
