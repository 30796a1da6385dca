"""Arithmetic in float16 (IEEE binary16), round to nearest even, on its bit patterns.

NumPy converts one element at a time; these loops become vector instructions. A sum of
two halves is computed in float32 and rounded once more, which is exact: float32 has
more than twice the digits.
"""
import numpy as np

from yolo_dist.kernels.cpu.jit import inline, kernel

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
def _to_half(x):
    """Bits of the half nearest to a float32."""
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
def _to_float(half):
    """Float32 of the bits of a half."""
    bits = np.uint32(half)
    sign = np.uint32(np.uint32(bits & _SIGN) << _16)
    size = np.uint32(np.uint32(bits & _SIZE_OF_HALF) << _13)
    scaled = _bits(np.float32(_value(size) * _REBIAS))
    special = np.uint32(size | _INFINITY_OF_FLOAT)
    is_special = np.uint32(bits & _INFINITY) == _INFINITY
    return _value(np.uint32(_choose(is_special, special, scaled) | sign))


# Whole arrays, as a loop from one number to another is not made of
# vectors: 2 to 9 times as slow.

@kernel
def store(x, halves, scale):
    """``halves = half(x scale)``; returns how many non-zero numbers became zero."""
    underflowed = 0
    for i in range(x.size):
        value = np.float32(x[i] * scale)
        half = _to_half(value)
        halves[i] = half
        underflowed += (value != 0) & ((half & 0x7fff) == 0)
    return underflowed


@kernel
def load(halves, x, scale):
    """``x = float(half(halves scale))``; returns how many of ``halves`` are not finite."""
    overflowed = 0
    for i in range(halves.size):
        overflowed += (halves[i] & 0x7c00) == 0x7c00
        x[i] = _to_float(_to_half(np.float32(_to_float(halves[i]) * scale)))
    return overflowed


@kernel
def add(x, y):
    """``y += x``, both halves."""
    for i in range(x.size):
        y[i] = _to_half(np.float32(_to_float(x[i]) + _to_float(y[i])))
