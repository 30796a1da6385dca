"""Float16 (IEEE binary16) and float32, number by number, for kernels. Halves are their 16 bits.

The processor converts, see :func:`has_instructions`. Rounding is to nearest even. A NaN stays
one; its other bits are not defined.
"""
import platform

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


@intrinsic
def to_half(typing_context, x):
    """Bits of the half nearest to a float32."""
    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))
    return types.uint16(types.float32), generate


@intrinsic
def to_float(typing_context, half):
    """Float32 of the bits of a half."""
    def generate(context, builder, signature, arguments):
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())
    return types.float32(types.uint16), generate


def has_instructions():
    """Whether the processor that Numba compiles for converts halves.

    Those of x86 since 2012 and those of ARM with 64 bits do. Elsewhere LLVM would call functions
    that Numba does not have, and end the process.

    Returns:
        bool: False also where ``NUMBA_CPU_NAME`` names a processor, as it may be an old one.
    """
    if numba.config.CPU_NAME:
        return False
    if platform.machine() in ('aarch64', 'arm64'):
        return True
    return llvmlite.binding.get_host_cpu_features().get('f16c', False)
