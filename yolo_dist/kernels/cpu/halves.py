"""Float16 (IEEE binary16) and float32, number by number, for kernels. Halves are their 16 bits.

Rounding is to nearest even. A NaN stays one; its other bits are not defined.
"""
import platform

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from yolo_dist.kernels.cpu.jit import inline

_1, _13, _16 = np.uint32(1), np.uint32(13), np.uint32(16)
_SIGN, _SIZE_OF_HALF, _SIZE = np.uint32(0x8000), np.uint32(0x7fff), np.uint32(0x7fffffff)
_INFINITY, _NAN = np.uint32(0x7c00), np.uint32(0x7e00)
_INFINITY_OF_FLOAT = np.uint32(0x7f800000)
_OVERFLOW = np.uint32(0x477ff000)  # 65,520, the smallest float that rounds to infinity
_SMALLEST_NORMAL = np.uint32(0x38800000)  # 2 ** -14
_BITS_OF_0_5 = np.uint32(0x3f000000)
_REBIAS = np.float32(2. ** 112)  # exponents of halves begin 112 above those of floats
_REBIAS_AND_HALF = np.uint32(0xc8000fff)  # the same downwards, and half a digit less one


@inline
def _bits(x):
    return np.float32(x).view(np.uint32)


@inline
def _value(bits):
    return np.uint32(bits).view(np.float32)


@inline
def _choose(condition, a, b):
    # A mask, as a branch would keep the loop from becoming vector instructions.
    mask = np.uint32(-np.int32(condition))
    return np.uint32(np.uint32(a & mask) | np.uint32(b & ~mask))


# Numba widens each operation to 64 bits; cast back, eight numbers share an instruction.

@inline
def _computed_half(x):
    """Bits of the half nearest to a float32, without branches."""
    sign = np.uint32(np.uint32(_bits(x) >> _16) & _SIGN)
    size = np.uint32(_bits(x) & _SIZE)
    odd = np.uint32(np.uint32(size >> _13) & _1)
    normal = np.uint32(np.uint32(np.uint32(size + _REBIAS_AND_HALF) + odd) >> _13)
    # Below 2 ** -14 halves are multiples of 2 ** -24, the distance of floats beside 0.5.
    subnormal = np.uint32(_bits(_value(size) + np.float32(.5)) - _BITS_OF_0_5)
    half = _choose(size < _SMALLEST_NORMAL, subnormal, normal)
    half = _choose(size >= _OVERFLOW, _INFINITY, half)
    half = _choose(size > _INFINITY_OF_FLOAT, _NAN, half)
    return np.uint16(sign | half)


@inline
def _computed_float(half):
    """Float32 of the bits of a half."""
    bits = np.uint32(half)
    sign = np.uint32(np.uint32(bits & _SIGN) << _16)
    size = np.uint32(np.uint32(bits & _SIZE_OF_HALF) << _13)
    scaled = _bits(np.float32(_value(size) * _REBIAS))
    special = np.uint32(size | _INFINITY_OF_FLOAT)
    is_special = np.uint32(bits & _INFINITY) == _INFINITY
    return _value(np.uint32(_choose(is_special, special, scaled) | sign))


@intrinsic
def _converted_half(typing_context, x):
    """Return what `_computed_half` gives, by an instruction of the processor."""
    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))
    return types.uint16(types.float32), generate


@intrinsic
def _converted_float(typing_context, half):
    """Return what `_computed_float` gives, by an instruction of the processor."""
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


to_half = _converted_half if has_instructions() else _computed_half
to_float = _converted_float if has_instructions() else _computed_float
