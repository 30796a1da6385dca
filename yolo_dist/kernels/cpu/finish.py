"""What follows a convolution while its result is in the cache: bias, leaky ReLU and shortcut."""
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from yolo_dist.kernels.cpu.simd import VECTOR_BYTES, load, spread, store


def _finish_values(is_vector, has_shortcut):
    """Make a function that finishes a vector of values, or one.

    ``f(y, at, bias, first, slope, shortcut)`` reads and writes ``y`` from ``at`` on. A plain loop
    over 32 channels took ten times as long.
    """
    @intrinsic
    def f(typing, y, at, bias, first, slope, shortcut):
        index = types.intp
        signature = types.void(y, index, bias, index, y.dtype, shortcut)
        n_lanes = 8 * VECTOR_BYTES // y.dtype.bitwidth if is_vector else 1

        def codegen(context, builder, sig, args):
            vector = ir.VectorType(context.get_data_type(y.dtype), n_lanes)

            def pointer(type_, value, offset):
                data = context.make_array(type_)(context, builder, value=value).data
                return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())

            y_, at_, bias_, first_, slope_, shortcut_ = args
            target = pointer(y, y_, at_)
            z = builder.fadd(load(builder, target), load(builder, pointer(bias, bias_, first_)))
            is_positive = builder.fcmp_ordered('>', z, ir.Constant(vector, [0.] * n_lanes))
            smaller = builder.fmul(z, spread(builder, slope_, n_lanes))
            z = builder.select(is_positive, z, smaller)
            if has_shortcut:
                z = builder.fadd(z, load(builder, pointer(shortcut, shortcut_, at_)))
            store(builder, z, target)
            return context.get_dummy_value()
        return signature, codegen
    return f


_finish_vector, _finish_value = _finish_values(True, False), _finish_values(False, False)
_add_to_vector, _add_to_value = _finish_values(True, True), _finish_values(False, True)


@njit(nogil=True, error_model='numpy', inline='never')
def finish(y, at, n_rows, row, bias, first, n, slope, shortcut):
    """``y = leaky_relu(y + bias) + shortcut`` of ``n`` channels from ``first`` on, some rows.

    ``y`` and ``shortcut`` are flat, of one layout. The channels of a row lie at ``at``, those of
    the next one ``row`` values behind. Nothing is added of an empty shortcut.
    """
    width, has_shortcut = VECTOR_BYTES // y.itemsize, shortcut.size > 0
    for i in range(n_rows):
        to, c = at + i * row, first
        for _ in range(n // width):
            if has_shortcut:
                _add_to_vector(y, to, bias, c, slope, shortcut)
            else:
                _finish_vector(y, to, bias, c, slope, shortcut)
            to, c = to + width, c + width
        for _ in range(n % width):
            if has_shortcut:
                _add_to_value(y, to, bias, c, slope, shortcut)
            else:
                _finish_value(y, to, bias, c, slope, shortcut)
            to, c = to + 1, c + 1
