"""Hue, saturation and exposure of every pixel in one pass."""
import numpy as np

from yolo_dist.kernels.cpu.jit import kernel


@kernel
def distort_colours(pixels, planes, top, left, turns, saturation, exposure):
    """Shift the hue and scale saturation and value, with the result of a conversion to HSV.

    ``v`` is the largest of R, G and B, ``c`` its distance from the smallest, and ``h`` the hue in
    ``[0, 6)``. R, G and B are ``v - c + c x``. There ``x``, clipped to [0, 1], is ``|h - 3| - 1``
    for R, ``2 - |h - 2|`` for G and ``2 - |h - 4|`` for B. Saturation multiplies ``c``, exposure
    multiplies all. The loop computes ``c h`` and ``c x``. It needs no division, and grey is no
    special case.

    Args:
        pixels (ndarray): uint32 ``(H, W)``: R in the lowest byte, then G, B and an unused byte.
        planes (ndarray): uint8 ``(3, H', W')``; receives the result, rounded and clipped to
            [0, 255].
        top (int): Row of ``planes`` where the result begins.
        left (int): Column of ``planes`` where the result begins.
        turns (float): Shift of the hue in turns of the colour circle, in [0, 1).
        saturation (float): Factor.
        exposure (float): Factor.
    """
    height, width = pixels.shape
    byte, zero, white = np.uint32(255), np.float32(0), np.float32(255)
    shift = np.float32(6 * turns)
    value_factor = np.float32(exposure)
    chroma_factor = np.float32(exposure * saturation)
    for y in range(height):
        # Rows are contiguous memory. Loops over them are vectorised, loops over a window are not.
        red_row = planes[0, top + y, left:left + width]
        green_row = planes[1, top + y, left:left + width]
        blue_row = planes[2, top + y, left:left + width]
        for x in range(width):
            pixel = pixels[y, x]
            r = np.int32(pixel & byte)
            g = np.int32((pixel >> np.uint32(8)) & byte)
            b = np.int32((pixel >> np.uint32(16)) & byte)
            value = max(max(r, g), b)
            chroma = value - min(min(r, g), b)
            sextants = (g - b if value == r
                        else b - r + 2 * chroma if value == g else r - g + 4 * chroma)
            c = np.float32(chroma)
            circle = np.float32(6) * c
            h = np.float32(sextants) + shift * c
            h = h + circle if h < zero else h
            h = h - circle if h >= circle else h
            two = c + c
            red = min(max(abs(h - (two + c)) - c, zero), c)
            green = min(max(two - abs(h - two), zero), c)
            blue = min(max(two - abs(h - (two + two)), zero), c)
            # Adding a half makes the truncation round.
            grey = value_factor * np.float32(value) - chroma_factor * c + np.float32(0.5)
            red_row[x] = np.int32(min(max(grey + chroma_factor * red, zero), white))
            green_row[x] = np.int32(min(max(grey + chroma_factor * green, zero), white))
            blue_row[x] = np.int32(min(max(grey + chroma_factor * blue, zero), white))
