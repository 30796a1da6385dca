"""Winograd's small transforms on vectors of channels, as explicit SIMD code.

The compiler cannot prove that the 16 or 36 planes of a transform do not overlap and
leaves such loops scalar; written as LLVM vectors they run at the speed of the
cache.
"""
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from yolo_dist.kernels.cpu.simd import load, store

# F(2x2, 3x3): values at the points 0, 1, -1 and infinity.

def _input_1d(op, d):
    return (op.fsub(d[0], d[2]), op.fadd(d[1], d[2]), op.fsub(d[2], d[1]), op.fsub(d[1], d[3]))


def _output_1d(op, m):
    return (op.fadd(op.fadd(m[0], m[1]), m[2]), op.fsub(op.fsub(m[1], m[2]), m[3]))


def _output_gradient_1d(op, g):
    return (g[0], op.fadd(g[0], g[1]), op.fsub(g[0], g[1]), op.fneg(g[1]))


def _weight_1d(op, g):
    half = _constant(g[0], 0.5)
    outer = op.fadd(g[0], g[2])
    return (g[0], op.fmul(op.fadd(outer, g[1]), half), op.fmul(op.fsub(outer, g[1]), half), g[2])


def _weight_gradient_1d(op, u):
    half = _constant(u[0], 0.5)
    sum_ = op.fmul(op.fadd(u[1], u[2]), half)
    difference = op.fmul(op.fsub(u[1], u[2]), half)
    return (op.fadd(u[0], sum_), difference, op.fadd(sum_, u[3]))


# F(4x4, 3x3): values at the points 0, A, -A, B, -B and infinity. These two lose the fewest
# digits of those that were tried: a third of what the usual 1 and 2 lose.
_A, _B = 0.75, 1.5
# A filter's polynomial is divided by the product of the distances to the other points.
_OVER_0 = 1 / (_A ** 2 * _B ** 2)
_OVER_A = 1 / (2 * _A ** 2 * (_A ** 2 - _B ** 2))
_OVER_B = 1 / (2 * _B ** 2 * (_B ** 2 - _A ** 2))


def _constant(like, value):
    return ir.Constant(like.type, [value] * like.type.count)


def _weighted(op, *terms):
    """Sum of ``(factor, vector)``; products are fused into sums, a factor of 1 costs nothing."""
    total = None
    for factor, vector in sorted(terms, key=lambda term: term[0] != 1):
        if total is None:
            total = vector if factor == 1 else op.fmul(_constant(vector, factor), vector)
        elif factor == 1:
            total = op.fadd(total, vector)
        else:
            product = op.fmul(_constant(vector, factor), vector, flags=('contract',))
            total = op.fadd(total, product, flags=('contract',))
    return total


def _sum_and_difference(op, even, odd):
    return op.fadd(even, odd), op.fsub(even, odd)


def _large_input_1d(op, d):
    product, squares = _A ** 2 * _B ** 2, _A ** 2 + _B ** 2
    return (
        _weighted(op, (product, d[0]), (-squares, d[2]), (1, d[4])),
        *_sum_and_difference(op, _weighted(op, (-_B ** 2, d[2]), (1, d[4])),
                             _weighted(op, (-_A * _B ** 2, d[1]), (_A, d[3]))),
        *_sum_and_difference(op, _weighted(op, (-_A ** 2, d[2]), (1, d[4])),
                             _weighted(op, (-_B * _A ** 2, d[1]), (_B, d[3]))),
        _weighted(op, (product, d[1]), (-squares, d[3]), (1, d[5])))


def _large_output_1d(op, m):
    (sum_a, of_a), (sum_b, of_b) = (_sum_and_difference(op, m[i], m[i + 1]) for i in (1, 3))
    return (_weighted(op, (1, m[0]), (1, sum_a), (1, sum_b)),
            _weighted(op, (_A, of_a), (_B, of_b)),
            _weighted(op, (_A ** 2, sum_a), (_B ** 2, sum_b)),
            _weighted(op, (_A ** 3, of_a), (_B ** 3, of_b), (1, m[5])))


def _large_output_gradient_1d(op, g):
    pairs = (_sum_and_difference(op, _weighted(op, (1, g[0]), (p ** 2, g[2])),
                                 _weighted(op, (p, g[1]), (p ** 3, g[3]))) for p in (_A, _B))
    return (g[0], *(value for pair in pairs for value in pair), g[3])


def _large_weight_1d(op, g):
    pairs = (_sum_and_difference(op, _weighted(op, (over, g[0]), (over * p ** 2, g[2])),
                                 _weighted(op, (over * p, g[1])))
             for p, over in ((_A, _OVER_A), (_B, _OVER_B)))
    return (_weighted(op, (_OVER_0, g[0])), *(value for pair in pairs for value in pair), g[2])


def _large_weight_gradient_1d(op, u):
    (sum_a, of_a), (sum_b, of_b) = (_sum_and_difference(op, u[i], u[i + 1]) for i in (1, 3))
    return (_weighted(op, (_OVER_0, u[0]), (_OVER_A, sum_a), (_OVER_B, sum_b)),
            _weighted(op, (_A * _OVER_A, of_a), (_B * _OVER_B, of_b)),
            _weighted(op, (_A ** 2 * _OVER_A, sum_a), (_B ** 2 * _OVER_B, sum_b), (1, u[5])))


def _data_pointer(context, builder, array_type, value):
    return context.make_array(array_type)(context, builder, value=value).data


def _transform(transform_1d, n_in):
    """Make a function that transforms an ``n_in x n_in`` grid of vectors in both directions.

    ``f(src, s, s_row, s_col, dst, d, d_row, d_col, lanes)`` reads vectors of
    ``lanes`` channels at ``src[s + i * s_row + j * s_col]`` and writes to ``dst`` likewise;
    indices count elements of the flat memory; ``lanes`` is a literal.
    """
    @intrinsic
    def f(typing, src, s, s_row, s_col, dst, d, d_row, d_col, lanes):
        if not isinstance(lanes, types.IntegerLiteral):
            return None
        n_lanes = lanes.literal_value
        index = types.intp
        signature = types.void(src, index, index, index, dst, index, index, index, lanes)

        def codegen(context, builder, sig, args):
            source, s0, s_r, s_c, destination, d0, d_r, d_c, _ = args
            element = context.get_data_type(src.dtype)
            vector = ir.VectorType(element, n_lanes)

            def address(pointer, base, row, col, i, j):
                offset = base
                for stride, times in ((row, i), (col, j)):
                    step = builder.mul(stride, ir.Constant(stride.type, times))
                    offset = builder.add(offset, step)
                return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

            pointer = _data_pointer(context, builder, src, source)
            grid = []
            for i in range(n_in):
                row = [load(builder, address(pointer, s0, s_r, s_c, i, j)) for j in range(n_in)]
                grid.append(transform_1d(builder, row))
            pointer = _data_pointer(context, builder, dst, destination)
            for j, column in enumerate(zip(*grid)):
                for i, value in enumerate(transform_1d(builder, column)):
                    store(builder, value, address(pointer, d0, d_r, d_c, i, j))
            return context.get_dummy_value()

        return signature, codegen
    return f


input_transform = _transform(_input_1d, 4)
output_transform = _transform(_output_1d, 4)
output_gradient_transform = _transform(_output_gradient_1d, 2)
weight_transform = _transform(_weight_1d, 3)
weight_gradient_transform = _transform(_weight_gradient_1d, 4)
large_input_transform = _transform(_large_input_1d, 6)
large_output_transform = _transform(_large_output_1d, 6)
large_output_gradient_transform = _transform(_large_output_gradient_1d, 4)
large_weight_transform = _transform(_large_weight_1d, 3)
large_weight_gradient_transform = _transform(_large_weight_gradient_1d, 6)
