"""Linear algebra as calls of LAPACK (:mod:`autograd_jit.kernels.lapack`).

NumPy computes in double precision always, and rounds the result to the precision of its operands; SciPy does not.

One LU serves all that is asked of a matrix and of its transpose: the solution of a system, its cotangent, the inverse,
the determinant. A system whose matrix is a Cholesky factor is solved by substitution.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...numpy import decompositions, linalg, solving
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Call, Literal, Operand, Value, View, canonical
from .products import product, swapped
from .table import BOOL, as_operand, require_native, result_type, rule_for, shadow, viewed, with_shape

_INT = np.dtype(np.int64)
_DOUBLE = np.dtype(np.float64)

# ---------------------------------------------------------------- stacks of matrices


def _matrix(b: Builder, x: Any, dtype: np.dtype = _DOUBLE) -> View:
    """An operand as a view of matrices that LAPACK computes with."""
    operand = as_operand(x)
    require_native(operand.dtype, dtype)
    view = b.view(b.cast(operand, dtype))
    if 0 in view.shape:
        raise NoLowering("an empty matrix")
    return view


def _stacked(b: Builder, view: View) -> View:
    """``view`` as (count, rows, columns), copied only where its batch axes do not merge."""
    shape = (math.prod(view.shape[:-2]), *view.shape[-2:])
    base = shadow(view)
    try:
        stack = viewed(view, np.reshape(base, shape, copy=False), base)
    except ValueError:
        stack = with_shape(b.dense(view), shape)
    return stack._replace(strides=canonical(stack.shape, stack.strides))


def _delivered(value: Value, shape: tuple[int, ...]) -> View:
    """Factors, which are column-major, as matrices of ``shape``."""
    return swapped(with_shape(value.view(), (*shape[:-2], shape[-1], shape[-2])))


def _workspace(routine: str, *arguments: Any) -> tuple[int, int]:
    """Elements that LAPACK wants to work in, reals and integers. (LAPACK's module is for programs that call it.)"""
    from ...kernels import lapack

    return lapack.workspace(routine, *arguments)


# ---------------------------------------------------------------- systems


def _lu(b: Builder, a: View) -> tuple[Call, bool]:
    """The LU of each matrix of a stack, or of its transpose where that is there already."""
    from ...kernels import lapack

    count, n, _ = a.shape
    numbers = (count, n, lapack.integer_width("getrf", a.dtype))
    mirrored = b.find_call("lu", (swapped(a),), numbers)
    if mirrored is not None and b.find_call("lu", (a,), numbers) is None:
        return mirrored, True
    factors, _ = b.call(
        "lu", (a,), (((count, n, n), a.dtype), ((count, n + 1), _INT)), numbers, work=count * n**3
    )
    return b.made_by[factors], False


def _spread(b: Builder, stack: View, own: tuple[int, ...], batch: tuple[int, ...]) -> View:
    """A stack of matrices of batch shape ``own``, repeated to ``batch``."""
    if own == batch:
        return stack
    return _stacked(b, with_shape(stack, (*own, *stack.shape[1:])).broadcast((*batch, *stack.shape[1:])))


def _solution(b: Builder, a: View, right: View, shape: tuple[int, ...]) -> View:
    """The solution of ``a x = right``, of ``shape``."""
    own, batch = a.shape[:-2], shape[:-2]
    matrices = _stacked(b, a)
    columns = _spread(b, _stacked(b, right), right.shape[:-2], batch)
    lower = _cholesky_triangle(b, matrices)
    if lower is not None:
        return _substituted(b, _spread(b, matrices, own, batch), columns, lower, False, shape)
    call, transposed = _lu(b, matrices)
    factors, pivots = call.results
    count, n, m = columns.shape
    args = (
        _spread(b, matrices, own, batch),
        _spread(b, factors.view(), own, batch),
        _spread(b, with_shape(pivots.view(), (*pivots.shape, 1)), own, batch),
        columns,
    )
    spare = (((n, n), a.dtype), ((m, n), a.dtype), ((n,), _INT))
    results = (((count, n, m), a.dtype), *spare)
    numbers = (count, n, m, int(transposed))
    solved = b.call("solve", args, results, numbers, work=2 * count * n * n * m, may_stop=True)
    return with_shape(solved[0].view(), shape)


def _cholesky_triangle(b: Builder, a: View) -> bool | None:
    """Whether a stack of matrices is lower (or upper) triangular, for it is Cholesky factors; None if it is not."""
    call = b.made_by.get(a.value)
    if call is None or call.routine != "cholesky":
        return None
    factor = swapped(a.value.view())
    for view, lower in ((factor, True), (swapped(factor), False)):
        if a == view._replace(strides=canonical(view.shape, view.strides)):
            return lower
    return None


def _substituted(b: Builder, t: View, right: View, lower: bool, unit: bool, shape: tuple[int, ...]) -> View:
    """Triangular systems; ``t`` and ``right`` are stacks of equal count."""
    count, n, m = right.shape
    t = _for_blas(b, t)
    numbers = (count, n, m, int(lower), int(unit))
    results = (((count, n, m), t.dtype),)
    (x,) = b.call("triangular", (t, right), results, numbers, work=count * n * n * m, may_stop=not unit)
    return with_shape(x.view(), shape)


def _for_blas(b: Builder, stack: View) -> View:
    """A stack of square matrices with unit stride along rows or columns."""
    _, n, _ = stack.shape
    _, row, column = stack.strides
    if n == 1 or (row == 1 and column >= n) or (column == 1 and row >= n):
        return stack
    return b.dense(stack)


def _solve(b: Builder, op: Op, a: Any, right: Any) -> Operand:
    type_ = result_type(op)
    return b.cast(_solution(b, _matrix(b, a), _matrix(b, right), type_.shape), type_.dtype)


def _inverse(b: Builder, op: Op, a: Any) -> Operand:
    """As NumPy: the solution for the columns of the identity."""
    type_ = result_type(op)
    identity = b.view(b.constant(np.eye(type_.shape[-1])))
    solution = _solution(b, _matrix(b, a), identity.broadcast(type_.shape), type_.shape)
    return b.cast(solution, type_.dtype)


def solve_triangular(b: Builder, op: Op, a: Any, right: Any, lower: bool, unit: bool) -> Operand:
    type_ = result_type(op)
    if type_.dtype.kind != "f":
        raise NoLowering(f"a triangular system of dtype {type_.dtype.name}")
    a, right = _matrix(b, a, type_.dtype), _matrix(b, right, type_.dtype)
    batch = type_.shape[:-2]
    if type_.shape != (*np.broadcast_shapes(a.shape[:-2], right.shape[:-2]), *right.shape[-2:]):
        raise NoLowering("an unusual shape")
    t, columns = [_spread(b, _stacked(b, view), view.shape[:-2], batch) for view in (a, right)]
    return _substituted(b, t, columns, bool(lower), bool(unit), type_.shape)


# ---------------------------------------------------------------- determinants


def _sign_and_logarithm(b: Builder, a: View, shape: tuple[int, ...]) -> tuple[View, View]:
    stack = _stacked(b, a)
    factors, pivots = _lu(b, stack)[0].results
    count, n, _ = stack.shape
    args = (factors.view(), with_shape(pivots.view(), (*pivots.shape, 1)))
    sign, logarithm = b.call("determinant", args, (((count,), a.dtype),) * 2, (count, n), work=count * n)
    return with_shape(sign.view(), shape), with_shape(logarithm.view(), shape)


def _slogdet(b: Builder, op: Op, a: Any) -> list[Operand]:
    type_ = result_type(op)
    return [b.cast(view, type_.dtype) for view in _sign_and_logarithm(b, _matrix(b, a), type_.shape)]


def _det(b: Builder, op: Op, a: Any) -> Operand:
    """As NumPy: by the logarithm."""
    type_ = result_type(op)
    sign, logarithm = _sign_and_logarithm(b, _matrix(b, a), type_.shape)
    size = b.map("exp", (logarithm,), _DOUBLE, type_.shape)
    return b.cast(b.map("multiply", (sign, size), _DOUBLE, type_.shape), type_.dtype)


# ---------------------------------------------------------------- factorizations


def _cholesky(b: Builder, op: Op, a: Any) -> Operand:
    type_ = result_type(op)
    stack = _stacked(b, _matrix(b, a))
    count, n, _ = stack.shape
    results = ((stack.shape, _DOUBLE),)
    (factor,) = b.call("cholesky", (stack,), results, (count, n), work=count * n**3 // 3, may_stop=True)
    return b.cast(_delivered(factor, type_.shape), type_.dtype)


def _cholesky_upper(b: Builder, op: Op, a: Any) -> Operand:
    """From the upper triangle: the lower factor of the transpose, transposed."""
    type_ = result_type(op)
    view = swapped(_matrix(b, a))
    stack = _stacked(b, view)
    count, n, _ = stack.shape
    results = ((stack.shape, _DOUBLE),)
    (factor,) = b.call("cholesky", (stack,), results, (count, n), work=count * n**3 // 3, may_stop=True)
    return b.cast(swapped(_delivered(factor, view.shape)), type_.dtype)


def _eigh(b: Builder, op: Op, a: Any, uplo: str) -> list[Operand]:
    types = [out.type for out in op.outputs]
    w, v = _eigen(b, a, uplo)
    found = with_shape(w.view(), types[0].shape), _delivered(v, types[1].shape)
    return [b.cast(view, type_.dtype) for view, type_ in zip(found, types, strict=True)]


def _eigen(b: Builder, a: Any, uplo: str) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors of a stack of symmetric matrices."""
    stack = _stacked(b, _matrix(b, a))
    count, n, _ = stack.shape
    uplo = uplo.upper()
    reals, integers = _workspace("syevd", _DOUBLE, ord("V"), ord(uplo), n)
    results = (((count, n), _DOUBLE), ((count, n, n), _DOUBLE), ((reals,), _DOUBLE), ((integers,), _INT))
    numbers = (count, n, ord(uplo), reals, integers)
    w, v, *_ = b.call("eigh", (stack,), results, numbers, work=10 * count * n**3, may_stop=True)
    return w, v


def _singular(b: Builder, a: View, full: bool) -> tuple[View, View, View]:
    """``u, s, vt`` of a stack of matrices, batch axes as those of ``a``."""
    stack = _stacked(b, a)
    count, m, n = stack.shape
    k = min(m, n)
    columns, rows = (m, n) if full else (k, k)
    job = ord("A" if full else "S")
    length, _ = _workspace("gesdd", _DOUBLE, job, m, n, rows)
    factors = (((count, columns, m), _DOUBLE), ((count, k), _DOUBLE), ((count, n, rows), _DOUBLE))
    spare = (((n, m), _DOUBLE), ((length,), _DOUBLE), ((8 * k,), _INT))
    numbers = (count, m, n, job, columns, rows, length)
    work = 10 * count * m * n * k
    u, s, vt, *_ = b.call("svd", (stack,), (*factors, *spare), numbers, work=work, may_stop=True)
    batch = a.shape[:-2]
    return (
        _delivered(u, (*batch, m, columns)),
        with_shape(s.view(), (*batch, k)),
        _delivered(vt, (*batch, rows, n)),
    )


def _svd(b: Builder, op: Op, a: Any, full_matrices: bool) -> list[Operand]:
    found = _singular(b, _matrix(b, a), bool(full_matrices))
    return [b.cast(view, out.type.dtype) for view, out in zip(found, op.outputs, strict=True)]


def _svdvals(b: Builder, op: Op, a: Any) -> Operand:
    """Without the sign of a zero, which LAPACK's routine for the vectors may leave."""
    found = _singular(b, _matrix(b, a), False)[1]
    return b.cast(b.map("absolute", (found,), _DOUBLE, found.shape), result_type(op).dtype)


def _eigvalsh(b: Builder, op: Op, a: Any, uplo: str) -> Operand:
    type_ = result_type(op)
    return b.cast(with_shape(_eigen(b, a, uplo)[0].view(), type_.shape), type_.dtype)


def _pinv(b: Builder, op: Op, a: Any, rtol: Any, hermitian: bool) -> Operand:
    """As NumPy: by singular values, those below ``rtol`` times the largest taken for zero."""
    type_ = result_type(op)
    dtype = type_.dtype
    view = _matrix(b, a)
    if hermitian or not (rtol is None or isinstance(rtol, (int, float))):
        raise NoLowering("a pseudo-inverse of an unusual kind")
    if rtol is None:
        rtol = max(view.shape[-2:]) * np.finfo(dtype).eps.item()
    u, s, vt = [b.view(b.cast(factor, dtype)) for factor in _singular(b, view, False)]
    kept = (*s.shape[:-1], 1)
    largest = with_shape(b.reduce("max", s, (len(s.shape) - 1,)), kept)
    limit = b.map("multiply", (largest, Literal(dtype.type(rtol), dtype)), dtype, kept)
    above = b.map("greater", (s, limit), BOOL, s.shape)
    zero = Literal(dtype.type(0), dtype)
    inverse = b.map("where", (above, b.map("reciprocal", (s,), dtype, s.shape), zero), dtype, s.shape)
    column = with_shape(b.view(inverse), (*s.shape, 1))
    ut = swapped(u)
    scaled = b.view(b.map("multiply", (column, ut), dtype, ut.shape))
    return with_shape(product(b, swapped(vt), scaled), type_.shape)


def _qr(b: Builder, op: Op, a: Any) -> list[Operand]:
    stack = _stacked(b, _matrix(b, a))
    count, m, n = stack.shape
    length = max(_workspace("geqrf", _DOUBLE, m, n)[0], _workspace("orgqr", _DOUBLE, m, n)[0])
    results = (((count, n, m), _DOUBLE), ((count, n, n), _DOUBLE), ((n,), _DOUBLE), ((length,), _DOUBLE))
    q, r, *_ = b.call("qr", (stack,), results, (count, m, n, length), work=4 * count * m * n * n)
    factors = [_delivered(value, out.type.shape) for value, out in zip((q, r), op.outputs, strict=True)]
    return [b.cast(factor, out.type.dtype) for factor, out in zip(factors, op.outputs, strict=True)]


# ---------------------------------------------------------------- loops


def _gap_divide(b: Builder, op: Op, x: Any, gap: Any) -> Operand:
    type_ = result_type(op)
    dtype, shape = type_.dtype, type_.shape
    x, gap = as_operand(x), as_operand(gap)
    require_native(dtype, x.dtype, gap.dtype)
    x, gap = b.cast(x, dtype), b.cast(gap, dtype)
    zero, one, nan = [Literal(dtype.type(value), dtype) for value in (0, 1, np.nan)]
    closed = b.map("equal", (gap, zero), BOOL, gap.shape)
    quotient = b.map("divide", (x, b.map("where", (closed, one, gap), dtype, gap.shape)), dtype, shape)
    limit = b.map("where", (b.map("equal", (x, zero), BOOL, x.shape), zero, nan), dtype, x.shape)
    return b.map("where", (closed, limit, quotient), dtype, shape)


def _norm(b: Builder, op: Op, x: Any, axes: tuple, keepdims: bool) -> Operand:
    type_ = result_type(op)
    operand = as_operand(x)
    require_native(operand.dtype, type_.dtype)
    if operand.dtype != type_.dtype:
        raise NoLowering(f"a norm of dtype {operand.dtype.name}")
    squares = b.map("multiply", (operand, operand), operand.dtype, operand.shape)
    total = b.reduce("sum", squares, tuple(axes)) if axes else squares
    return with_shape(b.view(b.map("sqrt", (total,), type_.dtype, total.shape)), type_.shape)


rule_for(solving.solve_matrix, _solve)
rule_for(solving.inverse, _inverse)
rule_for(solving.determinant, _det)
rule_for(solving.sign_and_logdet, _slogdet)
rule_for(solving.pseudo_inverse, _pinv)
rule_for(decompositions.cholesky_lower, _cholesky)
rule_for(linalg._cholesky_upper, _cholesky_upper)
rule_for(decompositions.eigen_hermitian, _eigh)
rule_for(decompositions.singular, _svd)
rule_for(decompositions.qr_tall, _qr)
rule_for(linalg._svdvals, _svdvals)
rule_for(linalg._eigvalsh, _eigvalsh)
rule_for(decompositions.gap_divide, _gap_divide)
rule_for(linalg.euclidean, _norm)
