"""Patches to rows and back, for images whose channels lie together in memory."""

from yolo_dist.kernels.cpu.jit import kernel
from yolo_dist.kernels.cpu.memory import clear_values, copy_values


@kernel
def im2col(x, col, first, begin, end, out_height, out_width, kh, kw, sy, sx, ph, pw):
    """Copy patches: ``col[i]`` is ``(kh, kw, C)`` of output pixel ``first + i``.

    ``begin <= i < end``; ``x`` is ``(B, H, W, C)``.
    """
    _, height, width, n_channels = x.shape
    n_row = kw * n_channels
    # Counted along, as a division takes as long as a copy.
    b = (first + begin) // (out_height * out_width)
    oy = (first + begin) // out_width % out_height
    oz = (first + begin) % out_width
    for i in range(begin, end):
        y = oy * sy - ph
        z = oz * sx - pw
        # Of kw pixels beside each other the values from cut_left to cut_right lie in the image.
        # With wide padding all of them may lie left of it, or all right of it.
        cut_left = min(kw, max(0, -z)) * n_channels
        cut_right = max(cut_left, min(kw, width - z) * n_channels)
        for p in range(kh):
            to = (i * kh + p) * n_row
            if y + p < 0 or y + p >= height:
                clear_values(col, to, n_row)
                continue
            at = ((b * height + y + p) * width + z) * n_channels
            clear_values(col, to, cut_left)
            copy_values(col, to + cut_left, x, at + cut_left, cut_right - cut_left)
            clear_values(col, to + cut_right, n_row - cut_right)
        oz += 1
        if oz == out_width:
            oz = 0
            oy += 1
            if oy == out_height:
                oy = 0
                b += 1


@kernel
def _add_row(flat_col, pixel, flat_gx, to, p, width, n_channels, out_width, kh, kw, sx, pw):
    # From right to left, so that a pixel gets the taps in their order.
    for oz in range(out_width - 1, -1, -1):
        z = oz * sx - pw
        left = min(kw, max(0, -z))
        n = (max(left, min(kw, width - z)) - left) * n_channels
        at = (((pixel + oz) * kh + p) * kw + left) * n_channels
        pixels = flat_gx[to + (z + left) * n_channels:][:n]
        taps = flat_col[at:at + n]
        for i in range(n):
            pixels[i] += taps[i]


@kernel
def col2im(col, gx, first_image, begin, end, first_row, n_rows, out_width,
           kh, kw, sy, sx, ph, pw):
    """Sum into the rows ``begin <= y < end`` of images what ``col`` holds of them.

    The adjoint of :func:`im2col`, gathered, so that threads never add to the same
    pixel. ``col`` is ``(n, n_rows, out_width, kh, kw, C)``, the rows of output from
    ``first_row`` on of the ``n`` images from ``first_image`` on; ``gx`` is ``(B, H, W, C)``.
    """
    _, height, width, n_channels = gx.shape
    flat_col, flat_gx = col.reshape(-1), gx.reshape(-1)
    for j in range(col.shape[0]):
        for y in range(begin, end):
            to = ((first_image + j) * height + y) * width * n_channels
            clear_values(gx, to, width * n_channels)
            # Taps p, p + sy, ... saw this row, from output rows one above the other.
            row = (y + ph) // sy - first_row
            for p in range((y + ph) % sy, kh, sy):
                if 0 <= row < n_rows:
                    _add_row(flat_col, (j * n_rows + row) * out_width, flat_gx, to, p,
                             width, n_channels, out_width, kh, kw, sx, pw)
                row -= 1


@kernel
def pack_weights(w, packed, begin, end):
    """``(C', C, kh, kw)`` to ``(C', kh kw C)``, the order of :func:`im2col`'s rows."""
    _, n_in, kh, kw = w.shape
    for o in range(begin, end):
        for p in range(kh):
            for q in range(kw):
                at = (p * kw + q) * n_in
                for c in range(n_in):
                    packed[o, at + c] = w[o, c, p, q]


@kernel
def unpack_weights(packed, w, begin, end):
    """Return the inverse of :func:`pack_weights`."""
    _, n_in, kh, kw = w.shape
    for o in range(begin, end):
        for c in range(n_in):
            for p in range(kh):
                for q in range(kw):
                    w[o, c, p, q] = packed[o, (p * kw + q) * n_in + c]
