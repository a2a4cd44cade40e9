"""Inner products in eight lanes: the one thing that compiled loops over arrays do not do at the machine's speed.

A sum over an array has a fixed order in float64, so a compiler may not spread it over vector registers. Here the order
is chosen to suit them: term j goes to accumulator (j/8 mod 4), lane j mod 8, and the 32 partial sums are added as a
tree. The order depends on nothing but the length, so the bits are the same on any machine, and in plain Python.
"""

import math

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES, ACCUMULATORS = 8, 4
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def padded(values: np.ndarray) -> np.ndarray:
    """Return an array filled up with zeros along its last axis to a multiple of 8, on a cache line of 64 bytes."""
    values = np.asarray(values, float)
    shape = (*values.shape[:-1], LANES * -(-values.shape[-1] // LANES))
    buffer = np.zeros(math.prod(shape) + LANES)
    start = -buffer.ctypes.data // 8 % LANES
    result = buffer[start : start + math.prod(shape)].reshape(shape)
    result[..., : values.shape[-1]] = values
    return result


def _lane_sums(terms, outputs):
    """Return the codegen of Σ_j terms(builder, (x_j, y_j, …)), a list of `outputs` sums, over aligned-to-8 arrays."""

    def codegen(context, builder, signature, args):
        arrays = [context.make_array(t)(context, builder, a) for t, a in zip(signature.args, args, strict=True)]
        length = arrays[0].nitems
        constant = length.type
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(ACCUMULATORS)] for _ in range(outputs)]

        def accumulate(start, k):
            at = builder.add(start, constant(LANES * k))
            loaded = []
            for array in arrays:
                pointer = builder.bitcast(builder.gep(array.data, [at]), _VECTOR.as_pointer())
                loaded.append(builder.load(pointer))
                loaded[-1].align = 8
            for one, term in zip(sums, terms(builder, *loaded), strict=True):
                builder.store(builder.fadd(builder.load(one[k]), term), one[k])

        stride = constant(LANES * ACCUMULATORS)
        whole = builder.sub(length, builder.urem(length, stride))
        with cgutils.for_range_slice(builder, constant(0), whole, stride) as (start, _):
            for k in range(ACCUMULATORS):
                accumulate(start, k)
        for k in range(ACCUMULATORS - 1):
            start = builder.add(whole, constant(LANES * k))
            with builder.if_then(builder.icmp_unsigned("<", start, length)):
                accumulate(whole, k)
        results = []
        for one in sums:
            a, b, c, d = (builder.load(slot) for slot in one)
            total, width = builder.fadd(builder.fadd(a, b), builder.fadd(c, d)), LANES
            while width > 1:
                width //= 2
                halves = (
                    builder.shuffle_vector(total, total, ir.Constant(ir.VectorType(ir.IntType(32), width), list(part)))
                    for part in (range(width), range(width, 2 * width))
                )
                total = builder.fadd(*halves)
            results.append(builder.extract_element(total, ir.IntType(32)(0)))
        return results[0] if outputs == 1 else context.make_tuple(builder, signature.return_type, results)

    return codegen


def _tree(terms):
    """Return the sum of terms (a multiple of 8) in the order of the module, in plain Python."""
    blocks = terms.reshape(-1, LANES)
    sums = np.zeros((ACCUMULATORS, LANES))
    for j, block in enumerate(blocks):
        sums[j % ACCUMULATORS] += block
    total = (sums[0] + sums[1]) + (sums[2] + sums[3])
    while total.size > 1:
        total = total[: total.size // 2] + total[total.size // 2 :]
    return float(total[0])


if numba.config.DISABLE_JIT:

    def borrowed(array):
        """Return the array itself."""
        return array

    def inner(x, y):
        """Return Σ x y of two float64 arrays of one length, a multiple of 8."""
        return _tree(x * y)

    def moments(x, y, z):
        """Return (Σ x y, Σ x² z, Σ x³ y), each as `inner` sums."""
        square, product = x * x, x * y
        return _tree(product), _tree(square * z), _tree(square * product)

else:

    @intrinsic
    def borrowed(typing_context, array):
        """Return the array without a share in its ownership, so that neither it nor its views count references.

        Counting them is atomic and costs more than a short inner product. The caller must keep the array alive.
        """

        def codegen(context, builder, signature, args):
            view = context.make_array(signature.args[0])(context, builder, args[0])
            view.meminfo = cgutils.get_null_value(view.meminfo.type)
            return view._getvalue()

        return array(array), codegen

    @intrinsic
    def inner(typing_context, x, y):
        """Return Σ x y of two float64 arrays of one length, a multiple of 8."""
        return types.float64(x, y), _lane_sums(lambda b, x, y: [b.fmul(x, y)], 1)

    @intrinsic
    def moments(typing_context, x, y, z):
        """Return (Σ x y, Σ x² z, Σ x³ y), each as `inner` sums."""

        def terms(b, x, y, z):
            square, product = b.fmul(x, x), b.fmul(x, y)
            return [product, b.fmul(square, z), b.fmul(square, product)]

        return types.UniTuple(types.float64, 3)(x, y, z), _lane_sums(terms, 3)
