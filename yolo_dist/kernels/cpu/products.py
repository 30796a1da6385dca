"""Matrix products, written as explicit SIMD code.

A library packs both sides of a product at each call. That is as much work as the product where
there are few rows, as in late layers and in the 36 products of a Winograd convolution. Here
filters are packed while they are transformed, rows lie wherever they lie, and what follows the
product is done while its result is in the cache. And the code is made for the processor it runs
on, where a library may not know a new one.
"""
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from yolo_dist.kernels.cpu.finish import finish
from yolo_dist.kernels.cpu.jit import kernel
from yolo_dist.kernels.cpu.memory import clear_values, copy_values
from yolo_dist.kernels.cpu.simd import VECTOR_BYTES, fetch, load, spread, store

# Two vectors of six rows are 12 sums, which with their operands fill the 16 registers of AVX2.
PANEL_BYTES = 2 * VECTOR_BYTES
_TILE_ROWS = 6
MAX_STEPS = 512  # of a product at a time: a panel of filters then stays in the L1 cache
_MAX_ROWS = 192  # at a time: with so many steps they fill most of an L2 cache
_PACKED_CHANNELS = 16  # at a time, for which all columns of a panel stay in the L1 cache
# Values between rows or planes that are read side by side: a power of two apart they would share
# one place of a cache.
GAP = 16
_BLOCK_ROW = _MAX_ROWS + GAP


def panel_width(dtype):
    """Columns of a panel of filters, the width of a tile of the result."""
    return PANEL_BYTES // np.dtype(dtype).itemsize


def _tile_product(n_rows):
    """Make a function that adds the product of ``n_rows`` rows and a panel to a tile of ``c``.

    ``f(x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first)`` computes
    ``c[c0 + r * c_row + j] += sum(x[x0 + rows[i + r] + steps[k + s]] * b[b0 + s * width + j])``.
    Indices count elements of the flat memory. The first time ``c`` is not read. Each step asks for
    what lies at ``b[ahead]``, and ``pace`` bytes behind it for each step before.
    """
    @intrinsic
    def f(typing, x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first):
        index, bits = types.intp, x.dtype.bitwidth
        signature = types.void(x, index, rows, index, steps, index, index, b, index, index, index,
                               c, index, index, types.boolean)
        n_lanes = 8 * VECTOR_BYTES // bits

        def codegen(context, builder, sig, args):
            def data(type_, value):
                return context.make_array(type_)(context, builder, value=value).data

            def at(pointer, offset):
                return builder.gep(pointer, [offset])

            def integer(value):
                return ir.Constant(args[1].type, value)

            def vectors(pointer):
                return [builder.bitcast(at(pointer, integer(lane)), vector.as_pointer())
                        for lane in (0, n_lanes)]

            element = context.get_data_type(x.dtype)
            vector = ir.VectorType(element, n_lanes)
            (x_, x0_, rows_, i_, steps_, k_, n_steps_, b_, b0_, ahead_, pace_, c_, c0_, c_row_,
             is_first_) = args
            first_row = at(data(rows, rows_), i_)
            origin = at(data(x, x_), x0_)
            row_pointers = [at(origin, builder.load(at(first_row, integer(r))))
                            for r in range(n_rows)]
            first_step, panel = at(data(steps, steps_), k_), at(data(b, b_), b0_)
            next_panel = builder.bitcast(at(data(b, b_), ahead_), ir.IntType(8).as_pointer())
            target = at(data(c, c_), c0_)
            targets = [pointer for r in range(n_rows)
                       for pointer in vectors(at(target, builder.mul(c_row_, integer(r))))]

            entry = builder.block
            read, loop, end = map(builder.append_basic_block, ('read', 'loop', 'end'))
            builder.cbranch(cgutils.is_true(builder, is_first_), loop, read)
            builder.position_at_end(read)
            before = [load(builder, pointer) for pointer in targets]
            builder.branch(loop)

            builder.position_at_end(loop)
            step = builder.phi(args[1].type)
            sums = [builder.phi(vector) for _ in targets]
            filters = [load(builder, pointer) for pointer in vectors(
                at(panel, builder.mul(step, integer(2 * n_lanes))))]
            offset = builder.load(at(first_step, step))
            fetch(builder, at(next_panel, builder.mul(step, pace_)))
            fma = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3),
                f'llvm.fma.v{n_lanes}f{bits}')
            results = []
            for r, pointer in enumerate(row_pointers):
                value = spread(builder, builder.load(at(pointer, offset)), n_lanes)
                results += [builder.call(fma, [value, filters[half], sums[2 * r + half]])
                            for half in (0, 1)]
            after = builder.add(step, integer(1))
            zero = ir.Constant(vector, [0.] * n_lanes)
            for phi, at_first, from_c, from_loop in zip(
                    (step, *sums), (integer(0), *[zero] * len(sums)), (integer(0), *before),
                    (after, *results), strict=True):
                phi.add_incoming(at_first, entry)
                phi.add_incoming(from_c, read)
                phi.add_incoming(from_loop, loop)
            builder.cbranch(builder.icmp_signed('<', after, n_steps_), loop, end)

            builder.position_at_end(end)
            for value, pointer in zip(results, targets, strict=True):
                store(builder, value, pointer)
            return context.get_dummy_value()
        return signature, codegen
    return f


_tile_1, _tile_2, _tile_3, _tile_4, _tile_5, _tile_6 = map(
    _tile_product, range(1, _TILE_ROWS + 1))


@njit(nogil=True, error_model='numpy', inline='never')
def _multiply_tile(n, x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row,
                   is_first):
    if n == 6:
        _tile_6(x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first)
    elif n == 5:
        _tile_5(x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first)
    elif n == 4:
        _tile_4(x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first)
    elif n == 3:
        _tile_3(x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first)
    elif n == 2:
        _tile_2(x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first)
    else:
        _tile_1(x, x0, rows, i, steps, k, n_steps, b, b0, ahead, pace, c, c0, c_row, is_first)


@njit(nogil=True, error_model='numpy', inline='never')
def multiply_panel(x, x0, rows, top, bottom, steps, k, n, b, b0, ahead, c, c0, n_out, j, is_first,
                   edge):
    """Add the steps ``k <= s < k + n`` of a product to the rows and columns of a panel in ``c``.

    ``b`` holds these steps of panel ``j`` from ``b0`` on. A panel that ``c`` is too narrow for is
    computed in ``edge``. Meanwhile the panel at ``ahead`` comes into the L2 cache, a part with
    each tile; with ``b0`` in its place nothing comes.
    """
    width = PANEL_BYTES // x.itemsize
    n_valid = min(width, n_out - j * width)
    at, row = c0 + top * n_out + j * width, n_out
    n_tiles = (bottom - top + _TILE_ROWS - 1) // _TILE_ROWS
    if n_valid < width:
        if not is_first:
            for i in range(bottom - top):
                copy_values(edge, i * width, c, at + i * n_out, n_valid)
        at, row = 0, width
    # Bytes of the next panel for each step of a tile.
    pace = 0 if ahead == b0 else (PANEL_BYTES + n_tiles - 1) // n_tiles
    for t in range(n_tiles):
        i = (bottom - top) * t // n_tiles
        n_tile_rows = (bottom - top) * (t + 1) // n_tiles - i
        _multiply_tile(n_tile_rows, x, x0, rows, top + i, steps, k, n, b, b0,
                       ahead + n * width * t // n_tiles if pace else b0, pace,
                       edge if n_valid < width else c, at + i * row, row, is_first)
    if n_valid < width:
        for i in range(bottom - top):
            copy_values(c, c0 + (top + i) * n_out + j * width, edge, i * width, n_valid)


@njit(nogil=True, error_model='numpy', inline='never')
def multiply(x, x0, rows, n_rows, steps, b, b0, c, c0, n_out, begin, end, bias, slope, shortcut):
    """``c[i] = x[i] @ b`` for the panels ``begin <= j < end`` of filters, and :func:`finish`.

    Args:
        x (ndarray): Flat. Row ``i`` has its values at ``x0 + rows[i] + steps``.
        x0 (int): Begin of the first row.
        rows (ndarray): Int64, offset of each row.
        n_rows (int): How many of them there are.
        steps (ndarray): Int64, offset of each value of a row.
        b (ndarray): Flat; packed filters ``(panel, steps, width)`` from ``b0`` on.
        b0 (int): Begin of the filters.
        c (ndarray): Flat; the result ``(n_rows, n_out)`` from ``c0`` on.
        c0 (int): Begin of the result.
        n_out (int): Columns of the result. Filters of the last panel beyond are zeros.
        begin (int): First panel.
        end (int): Panel after the last.
        bias (ndarray): ``(n_out,)``; an empty one leaves the product as it is.
        slope (float): Of the ReLU.
        shortcut (ndarray): Flat, of the layout of ``c``; see :func:`finish`.
    """
    n_steps, width = steps.size, PANEL_BYTES // x.itemsize
    edge = np.empty(_MAX_ROWS * width, x.dtype)
    for top in range(0, n_rows, _MAX_ROWS):
        bottom = min(n_rows, top + _MAX_ROWS)
        for k in range(0, n_steps, MAX_STEPS):
            n = min(MAX_STEPS, n_steps - k)
            for j in range(begin, end):
                at = b0 + (j * n_steps + k) * width
                if j + 1 < end:
                    ahead = at + n_steps * width
                elif k + n < n_steps:
                    ahead = b0 + (begin * n_steps + k + n) * width
                else:  # the first panel of the next product, if there is one
                    ahead = at + n * width
                multiply_panel(x, x0, rows, top, bottom, steps, k, n, b, at, ahead, c, c0, n_out,
                               j, k == 0, edge)
        if bias.size:
            first, last = begin * width, min(n_out, end * width)
            finish(c, c0 + top * n_out + first, bottom - top, n_out, bias, first, last - first,
                   slope, shortcut)


@kernel
def multiply_matrices(a, b, c, size, is_transposed, is_sum, planes, part):
    """``c[k] = a[k] @ b[k]``, or ``a[k].T @ b[k]``, for some planes and rows of ``c``.

    A panel of ``b`` is copied, for all rows of ``a`` that stay in the cache.

    Args:
        a (ndarray): ``(planes, values)``: in each the values of ``(rows, steps)`` or ``(steps,
            rows)``, and room behind them.
        b (ndarray): The same, of ``(steps, columns)``.
        c (ndarray): The same, of ``(rows, columns)``.
        size (tuple of int): Rows, steps and columns.
        is_transposed (bool): Whether ``a`` is.
        is_sum (bool): Whether the product is added to what is in ``c``.
        planes (tuple of int): First plane, and the one after the last.
        part (tuple of int): First row, and the one after the last.
    """
    (n_rows, n_steps, n_out), (begin, end) = size, part
    width = PANEL_BYTES // a.itemsize
    edge, panel = np.empty(_MAX_ROWS * width, a.dtype), np.zeros(MAX_STEPS * width, a.dtype)
    flat_a, flat_b, flat_c = a.reshape(-1), b.reshape(-1), c.reshape(-1)
    block = np.empty(MAX_STEPS * _BLOCK_ROW if is_transposed else 0, a.dtype)
    if is_transposed:
        rows, steps = np.arange(_MAX_ROWS), np.arange(MAX_STEPS) * _BLOCK_ROW
    else:
        rows, steps = np.arange(_MAX_ROWS) * n_steps, np.arange(MAX_STEPS)
    for plane in range(*planes):
        for top in range(begin, end, _MAX_ROWS):
            n_block = min(_MAX_ROWS, end - top)
            for k in range(0, n_steps, MAX_STEPS):
                n = min(MAX_STEPS, n_steps - k)
                if is_transposed:
                    for s in range(n):
                        copy_values(block, s * _BLOCK_ROW, flat_a,
                                    plane * a.shape[1] + (k + s) * n_rows + top, n_block)
                for j in range((n_out + width - 1) // width):
                    n_valid = min(width, n_out - j * width)
                    for s in range(n):
                        copy_values(panel, s * width, flat_b,
                                    plane * b.shape[1] + (k + s) * n_out + j * width, n_valid)
                    multiply_panel(
                        block if is_transposed else flat_a,
                        0 if is_transposed else plane * a.shape[1] + top * n_steps + k,
                        rows, 0, n_block, steps, 0, n, panel, 0, 0,
                        flat_c, plane * c.shape[1] + top * n_out, n_out, j,
                        k == 0 and not is_sum, edge)


@kernel
def multiply_planes(v, u, products, size, planes, panels):
    """``products[k] = v[k] @ u[k]`` for some planes, and some panels of filters.

    Args:
        v (ndarray): ``(planes, values)``: in each those of ``(tiles, C)``, and room behind them.
        u (ndarray): ``(planes, panels, C, width)``, those panels or more behind them; one panel
            may have room behind it.
        products (ndarray): The same, of ``(tiles, C')``.
        size (tuple of int): Tiles, ``C`` and ``C'``.
        planes (tuple of int): First plane, and the one after the last.
        panels (tuple of int): First panel, which is the first of ``u``, and the one after the
            last.
    """
    n_tiles, n_in, n_out = size
    rows, steps = np.arange(n_tiles) * n_in, np.arange(n_in)
    nothing = np.empty(0, v.dtype)
    plane, n_panel = u[0].size, n_in * u.shape[3]
    flat_v, flat_u, flat_products = v.reshape(-1), u.reshape(-1), products.reshape(-1)
    for k in range(*planes):
        multiply(flat_v, k * v.shape[1], rows, n_tiles, steps, flat_u,
                 k * plane - panels[0] * n_panel, flat_products, k * products.shape[1], n_out,
                 *panels, nothing, v.dtype.type(1), nothing)


@kernel
def convolve_pointwise(x, packed, y, first, last, begin, end, bias, slope, shortcut):
    """Convolve the pixels ``first <= i < last`` with the panels ``begin <= j < end`` of filters.

    ``x`` is ``(pixels, C)``, ``packed`` ``(panels, C, width)``, ``y`` ``(pixels, C')``; the rest
    as of :func:`multiply`.
    """
    n_in, n_out = x.shape[1], y.shape[1]
    rows, steps = np.arange(last - first) * n_in, np.arange(n_in)
    multiply(x.reshape(-1), first * n_in, rows, last - first, steps, packed.reshape(-1), 0,
             y.reshape(-1), first * n_out, n_out, begin, end, bias, slope, shortcut)


@njit(nogil=True, error_model='numpy', inline='never')
def _convolve_band(x, image, strides, size, packed, y, band, first, last, begin, end, ksize,
                   stride, pad, bias, slope, shortcut):
    """Convolve for the rows ``first <= i < last`` of the output of one image.

    The input that they see is copied once, with its padding, to where all of it stays in a
    cache. Arguments as of :func:`convolve_bands`.
    """
    height, width, n_in = size
    _, out_height, out_width, n_out = y.shape
    s_image, s_row, s_pixel, s_channel = strides
    band_width = (out_width - 1) * stride[1] + ksize[1]
    top = first * stride[0] - pad[0]
    n_row = band_width * n_in
    # Pixels of a row of the band that lie in the image.
    left = min(band_width, pad[1])
    right = max(left, min(band_width, width + pad[1]))
    for i in range((last - first - 1) * stride[0] + ksize[0]):
        to = i * n_row
        if top + i < 0 or top + i >= height:
            clear_values(band, to, n_row)
            continue
        at = image * s_image + (top + i) * s_row
        clear_values(band, to, left * n_in)
        if s_channel == 1:
            copy_values(band, to + left * n_in, x, at, (right - left) * n_in)
        else:
            for z in range(right - left):
                for c in range(n_in):
                    band[to + (left + z) * n_in + c] = x[at + z * s_pixel + c * s_channel]
        clear_values(band, to + right * n_in, (band_width - right) * n_in)
    rows = np.empty((last - first) * out_width, np.int64)
    for i in range(last - first):
        for z in range(out_width):
            rows[i * out_width + z] = (i * stride[0] * band_width + z * stride[1]) * n_in
    steps = np.empty(ksize[0] * ksize[1] * n_in, np.int64)
    for p in range(ksize[0]):
        for q in range(ksize[1]):
            for c in range(n_in):
                steps[(p * ksize[1] + q) * n_in + c] = (p * band_width + q) * n_in + c
    multiply(band, 0, rows, len(rows), steps, packed.reshape(-1), 0, y.reshape(-1),
             (image * out_height + first) * out_width * n_out, n_out, begin, end, bias, slope,
             shortcut)


@kernel
def convolve_bands(x, jobs, strides, size, packed, y, band, begin, end, ksize, stride, pad, bias,
                   slope, shortcut):
    """Convolve for some rows of the output of some images, the panels ``begin <= j < end``.

    Args:
        x (ndarray): Flat.
        jobs (ndarray): Int64 ``(n, 3)``: image, first row and the one after the last.
        strides (tuple of int): From image to image, row to row, pixel to pixel and
            channel to channel of ``x``.
        size (tuple of int): Height, width and channels of the input.
        packed (ndarray): ``(panels, kh kw C, width)``.
        y (ndarray): ``(B, H', W', C')``.
        band (ndarray): Flat, room for the input that the rows of a job see.
        begin (int): First panel.
        end (int): Panel after the last.
        ksize (tuple of int): Vertical and horizontal.
        stride (tuple of int): Vertical and horizontal.
        pad (tuple of int): Vertical and horizontal.
        bias (ndarray): As of :func:`multiply`.
        slope (float): The same.
        shortcut (ndarray): The same.
    """
    for i in range(len(jobs)):
        _convolve_band(x, jobs[i, 0], strides, size, packed, y, band, jobs[i, 1], jobs[i, 2],
                       begin, end, ksize, stride, pad, bias, slope, shortcut)


@kernel
def pack(w, scale, packed, begin, end):
    """Pack filters ``(C', C, kh, kw)``, each times its ``scale``, to ``(panels, kh kw C, width)``.

    For the panels ``begin <= j < end``; columns beyond the last filter are zeros.
    """
    n_out, n_in, kh, kw = w.shape
    _, n_steps, width = packed.shape
    flat_w, flat_packed, n_taps = w.reshape(-1), packed.reshape(-1), kh * kw
    for j in range(begin, end):
        n_valid = min(width, n_out - j * width)
        if n_valid < width:
            clear_values(packed, j * n_steps * width, n_steps * width)
        for first in range(0, n_in, _PACKED_CHANNELS):
            n = min(_PACKED_CHANNELS, n_in - first)
            for k in range(n_taps):
                for c in range(n):
                    column = flat_packed[(j * n_steps + k * n_in + first + c) * width:]
                    taps = flat_w[(j * width * n_in + first + c) * n_taps + k:]
                    for lane in range(n_valid):
                        column[lane] = taps[lane * n_in * n_taps] * scale[j * width + lane]
