"""Products of complex matrices as real products of their halves, which are loops or BLAS's like any others.

Four products have the rounding errors of a complex one (three would not). Infinities become NaN where they do in BLAS:
it multiplies a product of matrices by ``1 + 0j`` in the end, and makes the result of a scalar product out of its parts
by an addition of ``0 * im``, depending on how it was built. So NumPy is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...numpy import products
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Operand
from ..pairs import Pair
from .complex_table import Reals, as_pair, complex_rule_for, part_of, real_op
from .products import _einsum, _matmul
from .table import as_operand, require_native, result_type

with np.errstate(all="ignore"):
    _INFINITE = np.array([[np.inf, 0], [0, 0]], complex)
    _ONES = np.ones((2, 2)) * (1 + 1j)
    _DOT_ADDS_ZERO = bool(np.isnan((_INFINITE[0] @ _ONES[0]).real))
    _GEMM_SCALES = bool(np.isnan((_INFINITE @ _ONES)[0, 0].imag))


def _matmul_of_pairs(b: Builder, op: Op, x: Any, y: Any, **options: Any) -> Pair:
    type_ = result_type(op)
    part = part_of(type_.dtype)
    inner = real_op(op, part)
    k = Reals(b, part, type_.shape)
    is_sum, is_scalar = x.shape[-1] > 1, _is_scalar_product(x.shape, y.shape)
    if is_sum and not is_scalar and _GEMM_SCALES:  # whatever is not finite becomes NaN: real operands have no halves
        z = _combined(k, [[_matmul(b, inner, p, q) for q in _halves(b, y, part)] for p in _halves(b, x, part)])
        return _times_one(k, z if type(x) is type(y) else _times_one(k, z))
    left, right = as_pair(b, x, part), as_pair(b, y, part)
    z = _combined(k, [[_matmul(b, inner, p, q) for q in right] for p in left])
    if is_sum and is_scalar and _DOT_ADDS_ZERO:
        z = k.pair(k.add(z.re, k.mul(k.number(0), z.im)), z.im)
    return z


def _is_scalar_product(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether matrices of these shapes have one row and one column."""
    return (len(left) == 1 or left[-2] == 1) and (len(right) == 1 or right[-1] == 1)


def _times_one(k: Reals, z: Pair) -> Pair:
    """``z * (1 + 0j)``: NaN where a part is infinite."""
    zero = k.number(0)
    return k.pair(k.sub(z.re, k.mul(zero, z.im)), k.add(z.im, k.mul(zero, z.re)))


def _halves(b: Builder, x: Any, part: np.dtype) -> list[Operand]:
    """Both halves of a complex operand; a real one has but one."""
    if isinstance(x, Pair):
        return [b.cast(half, part) for half in x]
    operand = as_operand(x)
    require_native(operand.dtype)
    return [b.cast(operand, part)]


def _combined(k: Reals, table: list[list[Operand]]) -> Pair:
    """The product of two operands from the products of their halves, by rows and columns."""
    if len(table) == 2 and len(table[0]) == 2:
        (rr, ri), (ir, ii) = table
        return k.pair(k.sub(rr, ii), k.add(ri, ir))
    re, im = table[0] if len(table) == 1 else (table[0][0], table[1][0])
    return k.pair(re, im)


def _einsum_of_pairs(b: Builder, op: Op, inputs: tuple[str, ...], output: str, *operands: Any) -> Pair:
    """One or two operands; real ones have the imaginary part 0.0, as NumPy has it."""
    type_ = result_type(op)
    part = part_of(type_.dtype)
    inner = real_op(op, part)
    if len(operands) > 2:
        raise NoLowering("einsum of more than two complex operands")
    pairs = [as_pair(b, x, part) for x in operands]
    k = Reals(b, part, type_.shape)
    if len(pairs) == 1:
        return k.pair(*[_einsum(b, inner, inputs, output, half) for half in pairs[0]])
    x, y = pairs
    return _combined(k, [[_einsum(b, inner, inputs, output, p, q) for q in y] for p in x])


complex_rule_for(products.matmul, _matmul_of_pairs)
complex_rule_for(products._einsum, _einsum_of_pairs)
