"""Vectors of the processor that Numba compiles for, in LLVM's code."""
from llvmlite import binding, ir
from numba.core import cgutils

VECTOR_BYTES = 64 if binding.get_host_cpu_features().get('avx512f') else 32
_READ, _TO_L2, _DATA = 0, 2, 1  # arguments of LLVM's prefetch


def load(builder, pointer):
    """Read a vector, which need not lie at a multiple of its size."""
    value = builder.load(pointer)
    value.align = _alignment(value)
    return value


def store(builder, value, pointer):
    """Write a vector, as :func:`load` reads it."""
    builder.store(value, pointer).align = _alignment(value)


def _alignment(vector):
    return 4 if isinstance(vector.type.element, ir.FloatType) else 8


def spread(builder, value, n_lanes):
    """Return a vector with one value in all lanes."""
    lane = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(value.type, n_lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(lane, 0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(lane, n_lanes), [0] * n_lanes))


def fetch(builder, pointer):
    """Ask for a line of memory, which need not be there, to come into the L2 cache.

    Args:
        builder: Of LLVM.
        pointer: To a byte.
    """
    flag = ir.IntType(32)
    prefetch = cgutils.get_or_insert_function(builder.module, ir.FunctionType(
        ir.VoidType(), [pointer.type, flag, flag, flag]), 'llvm.prefetch.p0')
    builder.call(prefetch, [pointer, *(ir.Constant(flag, v) for v in (_READ, _TO_L2, _DATA))])
