"""Winograd's small transforms on vectors of channels, as explicit SIMD code.

The compiler cannot prove that the 16 planes of a transform do not overlap and
leaves such loops scalar; written as LLVM vectors they run at the speed of the
cache.
"""
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _input_1d(op, d):
    return (op.fsub(d[0], d[2]), op.fadd(d[1], d[2]), op.fsub(d[2], d[1]), op.fsub(d[1], d[3]))


def _output_1d(op, m):
    return (op.fadd(op.fadd(m[0], m[1]), m[2]), op.fsub(op.fsub(m[1], m[2]), m[3]))


def _output_gradient_1d(op, g):
    return (g[0], op.fadd(g[0], g[1]), op.fsub(g[0], g[1]), op.fneg(g[1]))


def _weight_1d(op, g):
    half = ir.Constant(g[0].type, [0.5] * g[0].type.count)
    outer = op.fadd(g[0], g[2])
    return (g[0], op.fmul(op.fadd(outer, g[1]), half), op.fmul(op.fsub(outer, g[1]), half), g[2])


def _weight_gradient_1d(op, u):
    half = ir.Constant(u[0].type, [0.5] * u[0].type.count)
    sum_ = op.fmul(op.fadd(u[1], u[2]), half)
    difference = op.fmul(op.fsub(u[1], u[2]), half)
    return (op.fadd(u[0], sum_), difference, op.fadd(sum_, u[3]))


def _data_pointer(context, builder, array_type, value):
    return context.make_array(array_type)(context, builder, value=value).data


def _transform(transform_1d, n_in):
    """Makes a function that transforms an ``n_in x n_in`` grid of vectors in both directions.

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
            align = src.dtype.bitwidth // 8

            def address(pointer, base, row, col, i, j):
                offset = base
                for stride, times in ((row, i), (col, j)):
                    step = builder.mul(stride, ir.Constant(stride.type, times))
                    offset = builder.add(offset, step)
                return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

            pointer = _data_pointer(context, builder, src, source)
            grid = []
            for i in range(n_in):
                row = []
                for j in range(n_in):
                    value = builder.load(address(pointer, s0, s_r, s_c, i, j))
                    value.align = align
                    row.append(value)
                grid.append(transform_1d(builder, row))
            pointer = _data_pointer(context, builder, dst, destination)
            for j, column in enumerate(zip(*grid)):
                for i, value in enumerate(transform_1d(builder, column)):
                    store = builder.store(value, address(pointer, d0, d_r, d_c, i, j))
                    store.align = align
            return context.get_dummy_value()

        return signature, codegen
    return f


input_transform = _transform(_input_1d, 4)
output_transform = _transform(_output_1d, 4)
output_gradient_transform = _transform(_output_gradient_1d, 2)
weight_transform = _transform(_weight_1d, 3)
weight_gradient_transform = _transform(_weight_gradient_1d, 4)
