"""Tiles: a few rows of eight numbers each, kept in vector registers, for what compilers do not do to sums in float64.

A sum has a fixed order in float64, so a compiler may not spread it over vector registers. A tile is an array of shape
(rows, lanes), and its arithmetic is NumPy's, broadcasting included: in plain Python a tile is a NumPy array. Compiled,
it is a vector, each operation a few instructions. Sums over an axis add the first half to the second until one is left,
so their bits depend on nothing but the shape, and are the same on any machine.
"""

import math
import operator
from typing import TypeVar

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model, type_callable

from simulate.types import FloatArray, IntArray

LANES = 8
Array = TypeVar("Array", bound=np.ndarray)


def padded(values: np.ndarray) -> FloatArray:
    """Return an array filled up with zeros along its last axis to a multiple of 8, on a cache line of 64 bytes."""
    values = np.asarray(values, float)
    shape = (*values.shape[:-1], LANES * -(-values.shape[-1] // LANES))
    buffer = np.zeros(math.prod(shape) + LANES)
    start = -buffer.ctypes.data // 8 % LANES
    result = buffer[start : start + math.prod(shape)].reshape(shape)
    result[..., : values.shape[-1]] = values
    return result


def borrowed(array: Array) -> Array:
    """Return the array without a share in its ownership, so that neither it nor its views count references.

    Counting them is atomic and costs more than a short inner product. The caller must keep the array alive.
    """
    return array


def zeros(rows: int) -> FloatArray:
    """Return a tile (rows, 8) of zeros."""
    return np.zeros((rows, LANES))


def pick(X: FloatArray, rows: IntArray, k: int, count: int) -> FloatArray:
    """Return the rows X[rows[k]], X[rows[k + 1]], … for `tile`: found once, not anew for every tile."""
    return X[rows[k : k + count]]


def tile(picked: FloatArray, j: int) -> FloatArray:
    """Return the tile (count, 8) of the columns from j on of picked rows."""
    return picked[:, j : j + LANES]


def row(array: FloatArray, at: int) -> FloatArray:
    """Return the tile (1, 8) of the numbers from array[at] on."""
    return array[None, at : at + LANES].copy()


def column(array: FloatArray, at: int, count: int) -> FloatArray:
    """Return the tile (count, 1) of the numbers from array[at] on."""
    return array[at : at + count, None].copy()


def chosen(array: FloatArray, rows: IntArray, k: int, count: int) -> FloatArray:
    """Return the tile (count, 1) of array[rows[k]], array[rows[k + 1]] and so on."""
    return array[rows[k : k + count], None]


def write(array: FloatArray, at: int, tile: FloatArray) -> None:
    """Write the numbers of a row or a column from array[at] on."""
    array[at : at + tile.size] = tile.ravel()


def across(tile: FloatArray) -> FloatArray:
    """Return the sums over the lanes, a column (rows, 1)."""
    return _halved(tile, 1)


def down(tile: FloatArray) -> FloatArray:
    """Return the sums over the rows, a row (1, lanes)."""
    return _halved(tile, 0)


def _halved(tile: FloatArray, axis: int) -> FloatArray:
    while tile.shape[axis] > 1:
        first, second = np.split(tile, 2, axis)
        tile = first + second
    return tile


def number(tile: FloatArray) -> float:
    """Return the one number of a tile (1, 1)."""
    return tile.item()


# the same, compiled


def _vector(size):
    return ir.VectorType(ir.DoubleType(), size)


class Tile(types.Type):
    """numba's type of a tile: a vector of its numbers, row by row."""

    def __init__(self, rows, lanes):
        self.shape, self.value = (rows, lanes), _vector(rows * lanes)
        super().__init__(f"Tile({rows}, {lanes})")


class Rows(types.Type):
    """numba's type of picked rows: where each begins."""

    def __init__(self, count):
        self.count, self.value = count, ir.ArrayType(ir.DoubleType().as_pointer(), count)
        super().__init__(f"Rows({count})")


@register_model(Tile)
@register_model(Rows)
class _InRegisters(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.value)


def _shuffle(builder, places, one, other):
    """Return the vector of the numbers at those places of two vectors, end to end."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), [int(place) for place in places])
    return builder.shuffle_vector(one, other, mask)


def _broadcast(builder, kind, value, shape):
    """Return the vector of a tile or a number, broadcast to a tile of that shape."""
    if not isinstance(kind, Tile):
        value = builder.insert_element(ir.Constant(_vector(1), ir.Undefined), value, ir.IntType(32)(0))
    size = getattr(kind, "shape", (1, 1))
    places = np.broadcast_to(np.arange(math.prod(size)).reshape(size), shape).ravel()
    return value if size == shape else _shuffle(builder, places, value, value)


def _arithmetic(operation, instruction):
    """Compile an operation on tiles, or a tile and a number, as that instruction."""

    @infer_global(operation)
    class Operation(AbstractTemplate):
        def generic(self, args, kws):
            if any(isinstance(kind, Tile) for kind in args):
                shapes = (getattr(kind, "shape", (1, 1)) for kind in args)
                return signature(Tile(*np.broadcast_shapes(*shapes)), *args)

    def lower(context, builder, sig, args):
        shape = sig.return_type.shape
        vectors = (_broadcast(builder, kind, value, shape) for kind, value in zip(sig.args, args, strict=True))
        return getattr(builder, instruction)(*vectors)

    for kinds in ((Tile, Tile), (Tile, types.Float), (types.Float, Tile)):
        lower_builtin(operation, *kinds)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")


def _compiled(function, kind):
    """Decorate the instructions for `function`; `kind` gives the type of its result from those of its arguments."""

    def register(lower):
        type_callable(function)(lambda context: kind)
        lower_builtin(function, types.VarArg(types.Any))(lower)
        return lower

    return register


def _start(context, builder, kind, array, *index):
    """Return a pointer to array[index]."""
    if kind.layout != "C":
        raise TypingError(f"{kind} is not contiguous")
    view = context.make_array(kind)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, kind, view, index)


def _load(builder, start, kind):
    """Return the numbers from a pointer on, as a tile of that type."""
    value = builder.load(builder.bitcast(start, kind.value.as_pointer()))
    value.align = 8
    return value


def _counted(kind, count, *size):
    """Return the type Tile or Rows of `count` rows; None, for a typing error, where that is no constant."""
    return kind(count.literal_value, *size) if isinstance(count, types.IntegerLiteral) else None


@_compiled(borrowed, lambda array: array)
def _borrowed(context, builder, sig, args):
    view = context.make_array(sig.args[0])(context, builder, args[0])
    view.meminfo = cgutils.get_null_value(view.meminfo.type)
    return view._getvalue()


@_compiled(zeros, lambda rows: _counted(Tile, rows, LANES))
def _zeros(context, builder, sig, args):
    return context.get_constant_null(sig.return_type)


@_compiled(pick, lambda X, rows, k, count: _counted(Rows, count))
def _pick(context, builder, sig, args):
    X, rows, k, _ = args
    found = ir.Constant(sig.return_type.value, ir.Undefined)
    for i in range(sig.return_type.count):
        row = builder.load(_start(context, builder, sig.args[1], rows, builder.add(k, k.type(i))))
        start = _start(context, builder, sig.args[0], X, row, row.type(0))
        found = builder.insert_value(found, start, i)
    return found


@_compiled(tile, lambda picked, j: Tile(picked.count, LANES))
def _tile_of(context, builder, sig, args):
    picked, j = args
    starts = (builder.gep(builder.extract_value(picked, i), [j]) for i in range(sig.args[0].count))
    found = [_load(builder, start, Tile(1, LANES)) for start in starts]
    while len(found) > 1:
        places = range(2 * found[0].type.count)
        found = [_shuffle(builder, places, *pair) for pair in zip(found[::2], found[1::2], strict=True)]
    return found[0]


@_compiled(row, lambda array, at: Tile(1, LANES))
@_compiled(column, lambda array, at, count: _counted(Tile, count, 1))
def _read(context, builder, sig, args):
    return _load(builder, _start(context, builder, sig.args[0], *args[:2]), sig.return_type)


@_compiled(chosen, lambda array, rows, k, count: _counted(Tile, count, 1))
def _chosen(context, builder, sig, args):
    array, rows, k, _ = args
    found = ir.Constant(sig.return_type.value, ir.Undefined)
    for i in range(sig.return_type.shape[0]):
        at = builder.load(_start(context, builder, sig.args[1], rows, builder.add(k, k.type(i))))
        value = builder.load(_start(context, builder, sig.args[0], array, at))
        found = builder.insert_element(found, value, ir.IntType(32)(i))
    return found


@_compiled(write, lambda array, at, tile: types.void)
def _write(context, builder, sig, args):
    start = _start(context, builder, sig.args[0], *args[:2])
    builder.store(args[2], builder.bitcast(start, args[2].type.as_pointer())).align = 8
    return context.get_dummy_value()


@_compiled(across, lambda tile: Tile(tile.shape[0], 1))
@_compiled(down, lambda tile: Tile(1, tile.shape[1]))
def _sum(context, builder, sig, args):
    vector, shape, last = args[0], sig.args[0].shape, sig.return_type.shape
    while shape != last:  # as `_halved` does; the sums of a tile share the instructions
        halves = np.split(np.arange(math.prod(shape)).reshape(shape), 2, axis=int(shape[0] == last[0]))
        vector = builder.fadd(*(_shuffle(builder, half.ravel(), vector, vector) for half in halves))
        shape = halves[0].shape
    return vector


@_compiled(number, lambda tile: types.float64)
def _number(context, builder, sig, args):
    return builder.extract_element(args[0], ir.IntType(32)(0))
