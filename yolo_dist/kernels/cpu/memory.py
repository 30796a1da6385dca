"""Copying and clearing stretches of flat memory inside kernels, and looking for a change.

An index that Numba cannot prove to be positive is checked at every element, which
keeps a copying loop from becoming vectors.
"""
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from yolo_dist.kernels.cpu.jit import kernel


def _address(context, builder, array_type, array, offset):
    data = context.make_array(array_type)(context, builder, value=array).data
    return builder.gep(data, [offset])


@intrinsic
def copy_values(typing, dst, d, src, s, n):
    """``dst.flat[d:d + n] = src.flat[s:s + n]`` for contiguous arrays of one dtype."""
    if dst.dtype != src.dtype:
        return None

    def codegen(context, builder, signature, args):
        to, d_offset, source, s_offset, count = args
        cgutils.raw_memcpy(builder, _address(context, builder, dst, to, d_offset),
                           _address(context, builder, src, source, s_offset),
                           count, dst.dtype.bitwidth // 8)
        return context.get_dummy_value()
    return types.void(dst, types.intp, src, types.intp, types.intp), codegen


@intrinsic
def clear_values(typing, dst, d, n):
    """``dst.flat[d:d + n] = 0`` for a contiguous array."""
    def codegen(context, builder, signature, args):
        to, d_offset, count = args
        size = builder.mul(count, count.type(dst.dtype.bitwidth // 8))
        cgutils.memset(builder, _address(context, builder, dst, to, d_offset), size, 0)
        return context.get_dummy_value()
    return types.void(dst, types.intp, types.intp), codegen


@intrinsic
def _look(typing, numbers, i):
    """Read a number that another thread writes, and let others of the core go first."""
    def codegen(context, builder, signature, args):
        if binding.get_process_triple().startswith('x86_64'):
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(
                builder.module, pause, 'llvm.x86.sse2.pause'), [])
        return builder.load_atomic(
            _address(context, builder, numbers, *args), 'acquire', numbers.dtype.bitwidth // 8)
    return numbers.dtype(numbers, types.intp), codegen


@kernel
def look_for(numbers, i, value, n, n_behind):
    """Look ``n`` times whether ``numbers[i]`` has reached ``value``; then ``n_behind`` times."""
    for _ in range(n):
        if _look(numbers, i) >= value:
            for _ in range(n_behind):
                _look(numbers, i)
            break
