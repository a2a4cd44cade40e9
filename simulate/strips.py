"""Strips: pieces of a row, a few times eight numbers, in vector registers, and which of them are positive, as bits.

In plain Python a strip of n times eight numbers is a NumPy array (n, 8), its arithmetic (+, −, · with strips and
numbers) NumPy's. Compiled, it is n vectors, each operation n instructions; `simulate.lanes` has sums.
"""

import functools
import math
import operator

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from simulate.compiled import kernel
from simulate.lanes import LANES, _compiled, _start, _vector
from simulate.types import FloatArray


def blank(like: tuple[int, ...]) -> FloatArray:
    """Return a strip of zeros, eight for every item of the tuple `like`."""
    return np.zeros((len(like), LANES))


def strip(array: FloatArray, i: int, at: int, like: tuple[int, ...]) -> FloatArray:
    """Return the strip of array[i, at], array[i, at + 1], …, eight numbers for every item of the tuple `like`."""
    return array[i, at : at + LANES * len(like)].reshape(-1, LANES).copy()


def lay(array: FloatArray, i: int, at: int, strip: FloatArray) -> None:
    """Write a strip's numbers from array[i, at] on."""
    array[i, at : at + strip.size] = strip.ravel()


def at_least(strip: FloatArray, low: float) -> FloatArray:
    """Return max(x, low) of every number; NaN stays."""
    return np.where(strip < low, low, strip)


def positive_bits(strip: FloatArray) -> np.uint64:
    """Return the places of the numbers above 0 as bits of an unsigned integer of 64."""
    return np.uint64(sum(1 << k for k, x in enumerate(strip.ravel().tolist()) if x > 0.0))


def masked(strip: FloatArray, bits: np.uint64) -> FloatArray:
    """Return the strip with 0 wherever the bit of its place is not set."""
    places = np.arange(strip.size, dtype=np.uint64).reshape(strip.shape)
    return np.where((bits >> places) & np.uint64(1) == 1, strip, 0.0)


def power_of_two(strip: FloatArray) -> FloatArray:
    """Return 2^x of integers x from −1022 to 1023; below, and of NaN, 0."""
    with np.errstate(invalid="ignore"):
        return np.where(strip >= -1022.0, np.exp2(strip), 0.0)


def summed(strip: FloatArray) -> float:
    """Return the sum of a strip's numbers: each eight on the last, then halves, quarters, pairs."""
    lanes = functools.reduce(operator.add, strip)
    while lanes.size > 1:
        lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
    return float(lanes[0])


def lowest(bits: np.uint64) -> int:
    """Return the place of the lowest bit that is set; there must be one."""
    return (int(bits) & -int(bits)).bit_length() - 1


_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")  # fdlibm's
_ROUNDING = 1.5 * 2.0**52  # added and taken away again, it leaves the nearest integer
_SERIES = tuple(1.0 / math.factorial(k) for k in range(13, 1, -1))


@kernel(inline=True)
def exponential(strip: FloatArray) -> FloatArray:
    """Return e^x of numbers x ≤ 0, within 1 ulp; below −708.74 0; NaN stays.

    x = k ln 2 + r with |r| ≤ ln(2)/2, and the series of e^r to its 13th power.
    """
    strip = at_least(strip, -709.0)
    k = (strip * (1.0 / math.log(2.0)) + _ROUNDING) - _ROUNDING
    r = (strip - k * _LN2_HIGH) - k * _LN2_LOW
    total = _SERIES[0] + 0.0 * r
    for a in _SERIES[1:]:
        total = total * r + a
    return (1.0 + (r + (r * r) * total)) * power_of_two(k)


# the same, compiled

_MASK = ir.VectorType(ir.IntType(1), LANES)


class Strip(types.Type):
    """numba's type of a strip: `count` vectors of eight numbers."""

    def __init__(self, count):
        self.count, self.value = count, ir.ArrayType(_vector(LANES), count)
        super().__init__(f"Strip({count})")


@register_model(Strip)
class _InRegisters(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.value)


def _parts(builder, kind, value):
    """Return the vectors of a strip."""
    return [builder.extract_value(value, k) for k in range(kind.count)]


def _strip_of(builder, parts):
    """Return the strip of these vectors."""
    found = ir.Constant(ir.ArrayType(parts[0].type, len(parts)), ir.Undefined)
    for k, part in enumerate(parts):
        found = builder.insert_value(found, part, k)
    return found


def _vectors(builder, kind, value, count):
    """Return the `count` vectors of a strip, or of a number everywhere."""
    if isinstance(kind, Strip):
        return _parts(builder, kind, value)
    one = builder.insert_element(ir.Constant(_vector(LANES), ir.Undefined), value, ir.IntType(32)(0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return [builder.shuffle_vector(one, one, places)] * count


def _arithmetic(operation, instruction):
    """Compile an operation on strips, or a strip and a number, as that instruction."""

    @infer_global(operation)
    class Operation(AbstractTemplate):
        def generic(self, args, kws):
            for kind in args:
                if isinstance(kind, Strip):
                    return signature(kind, *args)

    def lower(context, builder, sig, args):
        count = sig.return_type.count
        each = [_vectors(builder, kind, value, count) for kind, value in zip(sig.args, args, strict=True)]
        return _strip_of(builder, [getattr(builder, instruction)(*pair) for pair in zip(*each, strict=True)])

    for kinds in ((Strip, Strip), (Strip, types.Float), (types.Float, Strip)):
        lower_builtin(operation, *kinds)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")


@_compiled(blank, lambda like: Strip(len(like)))
def _blank(context, builder, sig, args):
    return context.get_constant_null(sig.return_type)


@_compiled(strip, lambda array, i, at, like: Strip(len(like)))
def _strip(context, builder, sig, args):
    array, i, at, _ = args
    start, kind = _start(context, builder, sig.args[0], array, i, at), sig.return_type
    offsets = (builder.gep(start, [ir.IntType(64)(LANES * k)]) for k in range(kind.count))
    return _strip_of(builder, [_load_vector(builder, offset) for offset in offsets])


def _load_vector(builder, start):
    value = builder.load(builder.bitcast(start, _vector(LANES).as_pointer()))
    value.align = 8
    return value


@_compiled(lay, lambda array, i, at, strip: types.void)
def _lay(context, builder, sig, args):
    array, i, at, strip = args
    start = _start(context, builder, sig.args[0], array, i, at)
    for k, part in enumerate(_parts(builder, sig.args[3], strip)):
        place = builder.gep(start, [ir.IntType(64)(LANES * k)])
        builder.store(part, builder.bitcast(place, part.type.as_pointer())).align = 8
    return context.get_dummy_value()


@_compiled(at_least, lambda strip, low: strip)
def _at_least(context, builder, sig, args):
    kind, (value, low) = sig.args[0], args
    (low,) = _vectors(builder, sig.args[1], low, 1)
    parts = _parts(builder, kind, value)
    return _strip_of(builder, [builder.select(builder.fcmp_ordered("<", part, low), low, part) for part in parts])


@_compiled(positive_bits, lambda strip: types.uint64)
def _positive_bits(context, builder, sig, args):
    zero, word = ir.Constant(_vector(LANES), None), ir.IntType(64)
    bits = word(0)
    for k, part in enumerate(_parts(builder, sig.args[0], args[0])):
        found = builder.zext(builder.bitcast(builder.fcmp_ordered(">", part, zero), ir.IntType(LANES)), word)
        bits = builder.or_(bits, builder.shl(found, word(LANES * k)))
    return bits


@_compiled(masked, lambda strip, bits: strip)
def _masked(context, builder, sig, args):
    zero, found = ir.Constant(_vector(LANES), None), []
    for k, part in enumerate(_parts(builder, sig.args[0], args[0])):
        byte = builder.trunc(builder.lshr(args[1], args[1].type(LANES * k)), ir.IntType(LANES))
        found.append(builder.select(builder.bitcast(byte, _MASK), part, zero))
    return _strip_of(builder, found)


@_compiled(power_of_two, lambda strip: strip)
def _power_of_two(context, builder, sig, args):
    whole, found = ir.VectorType(ir.IntType(64), LANES), []
    lowest = ir.Constant(_vector(LANES), [-1023.0] * LANES)  # whose exponent field, 0, is that of 0
    for part in _parts(builder, sig.args[0], args[0]):
        held = builder.select(builder.fcmp_ordered(">", part, lowest), part, lowest)
        field = builder.add(builder.fptosi(held, whole), ir.Constant(whole, [1023] * LANES))
        found.append(builder.bitcast(builder.shl(field, ir.Constant(whole, [52] * LANES)), part.type))
    return _strip_of(builder, found)


@_compiled(summed, lambda strip: types.float64)
def _summed(context, builder, sig, args):
    lanes = functools.reduce(builder.fadd, _parts(builder, sig.args[0], args[0]))
    index = ir.IntType(32)
    for half in (4, 2, 1):
        low, high = (ir.Constant(ir.VectorType(index, half), [a + k for k in range(half)]) for a in (0, half))
        lanes = builder.fadd(builder.shuffle_vector(lanes, lanes, low), builder.shuffle_vector(lanes, lanes, high))
    return builder.extract_element(lanes, index(0))


@_compiled(lowest, lambda bits: types.intp)
def _lowest(context, builder, sig, args):
    return builder.cttz(args[0], ir.IntType(1)(1))
