"""Patches to rows and back, for images whose channels lie together in memory."""
from numba import njit

_jit = njit(nogil=True, cache=True, error_model='numpy')


@_jit
def im2col(x, col, first, begin, end, out_height, out_width, kh, kw, sy, sx, ph, pw):
    """Copies patches: ``col[i]`` is ``(kh, kw, C)`` of output pixel ``first + i``.

    ``begin <= i < end``; ``x`` is ``(B, H, W, C)``.
    """
    _, height, width, n_channels = x.shape
    flat_x, flat_col = x.reshape(-1), col.reshape(-1)
    n_row = kw * n_channels
    for i in range(begin, end):
        pixel = first + i
        b = pixel // (out_height * out_width)
        y = pixel // out_width % out_height * sy - ph
        z = pixel % out_width * sx - pw
        # Of the kw pixels beside each other those of cut_left .. cut_right lie in the image.
        cut_left = max(0, -z) * n_channels
        cut_right = max(cut_left, min(kw, width - z) * n_channels)
        for p in range(kh):
            to = (i * kh + p) * n_row
            if y + p < 0 or y + p >= height:
                for c in range(n_row):
                    flat_col[to + c] = 0
                continue
            at = ((b * height + y + p) * width + z) * n_channels
            for c in range(cut_left):
                flat_col[to + c] = 0
            for c in range(cut_left, cut_right):
                flat_col[to + c] = flat_x[at + c]
            for c in range(cut_right, n_row):
                flat_col[to + c] = 0


@_jit
def col2im(col, gx, first_image, begin, end, first_row, n_rows, out_width,
           kh, kw, sy, sx, ph, pw):
    """Sums into the rows ``begin <= y < end`` of images what ``col`` holds of them.

    The adjoint of :func:`im2col`, gathered, so that threads never add to the same
    pixel. ``col`` is ``(n, n_rows, out_width, kh, kw, C)``, the rows of output from
    ``first_row`` on of the ``n`` images from ``first_image`` on; ``gx`` is ``(B, H, W, C)``.
    """
    _, height, width, n_channels = gx.shape
    flat_col, flat_gx = col.reshape(-1), gx.reshape(-1)
    for j in range(col.shape[0]):
        for y in range(begin, end):
            for z in range(width):
                to = (((first_image + j) * height + y) * width + z) * n_channels
                for c in range(n_channels):
                    flat_gx[to + c] = 0
                for p in range(kh):
                    row = (y + ph - p) // sy - first_row
                    if (y + ph - p) % sy or row < 0 or row >= n_rows:
                        continue
                    for q in range(kw):
                        oz = (z + pw - q) // sx
                        if (z + pw - q) % sx or oz < 0 or oz >= out_width:
                            continue
                        at = ((((j * n_rows + row) * out_width + oz) * kh + p) * kw + q) \
                            * n_channels
                        for c in range(n_channels):
                            flat_gx[to + c] += flat_col[at + c]


@_jit
def pack_weights(w, packed, begin, end):
    """``(C', C, kh, kw)`` to ``(C', kh kw C)``, the order of :func:`im2col`'s rows."""
    _, n_in, kh, kw = w.shape
    for o in range(begin, end):
        for p in range(kh):
            for q in range(kw):
                at = (p * kw + q) * n_in
                for c in range(n_in):
                    packed[o, at + c] = w[o, c, p, q]


@_jit
def unpack_weights(packed, w, begin, end):
    """The inverse of :func:`pack_weights`."""
    _, n_in, kh, kw = w.shape
    for o in range(begin, end):
        for c in range(n_in):
            for p in range(kh):
                for q in range(kw):
                    w[o, c, p, q] = packed[o, (p * kw + q) * n_in + c]
