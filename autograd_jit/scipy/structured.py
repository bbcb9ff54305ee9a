"""Structured systems and factors: triangular, banded, LU; and matrices built from vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as _np
import scipy.linalg as _sl

from ..numpy.arguments import is_traced, shape_of
from ..numpy.elementwise import conj, isfinite, multiply, negative, real
from ..numpy.indexing import place, take
from ..numpy.joining import concatenate
from ..numpy.products import matmul
from ..numpy.reductions import all as npall
from ..numpy.shaping import ravel, tril, triu
from ..numpy.solving import by_transposing, inexact, is_complex, mh, mt
from ..trace.cotangent import abstract
from ..trace.rules import general
from ..trace.tracer import getval

# ---------------------------------------------------------------- triangular systems


def _triangle(x: Any, lower: bool, unit: bool) -> Any:
    """The part of a matrix that a triangular solve reads."""
    return tril(x, -1 if unit else 0) if lower else triu(x, 1 if unit else 0)


def _triangular_pull(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Callable:
    a, _, lower, unit = args

    def pull(g: Any) -> tuple:
        for_b = triangular(mt(a), g, not lower, unit)
        return tuple(
            negative(_triangle(matmul(for_b, mt(ans)), lower, unit)) if argnum == 0 else for_b for argnum in argnums
        )

    return pull


def _triangular_samples() -> list:
    rng = _np.random.default_rng(2)
    a = rng.normal(size=(3, 3)) + 3 * _np.eye(3)
    return [
        ((matrix, rng.normal(size=(3, 2)), lower, unit), {})
        for matrix in (a, a + 1j * a.T)
        for lower in (False, True)
        for unit in (False, True)
    ]


#: ``(a, b, lower, unit_diagonal)`` with ``b`` a matrix
triangular = general(
    lambda a, b, lower, unit: _sl.solve_triangular(a, b, lower=lower, unit_diagonal=unit, check_finite=False),
    _triangular_pull,
    {
        0: lambda t, ans, a, b, lower, unit: negative(
            triangular(a, matmul(_triangle(t, lower, unit), ans), lower, unit)
        ),
        1: lambda t, ans, a, b, lower, unit: triangular(a, t, lower, unit),
    },
    name="solve_triangular",
    samples=_triangular_samples,
)


def checked(check_finite: bool, *values: Any) -> None:
    """SciPy's ``check_finite``, on the plain values; of a recorded one a program keeps a truth value, not the array."""
    if not check_finite:
        return
    for value in values:
        if not npall(isfinite(getval(value))):
            raise ValueError("array must not contain infs or NaNs")


def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=True):
    """As ``scipy.linalg.solve_triangular``; ``overwrite_b`` only permits, and nothing is overwritten."""
    if not is_traced(a, b):
        return _sl.solve_triangular(a, b, trans, lower, unit_diagonal, overwrite_b, check_finite)
    a, b = inexact(a), inexact(b)
    checked(check_finite, a, b)
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"trans={trans!r} must be one of 0, 1, 2, 'N', 'T', 'C'")
    if trans not in (0, "N"):
        a, lower = (mh(a) if trans in (2, "C") else mt(a)), not lower
    if len(shape_of(b)) == 1:
        return triangular(a, b[:, None], bool(lower), bool(unit_diagonal))[..., 0]
    return triangular(a, b, bool(lower), bool(unit_diagonal))


# ---------------------------------------------------------------- LU


def _lu_rate(t: Any, ans: Any, a: Any) -> Any:
    """From ``P A = L U``: ``L^-1 P dA U^-1`` splits into its strictly lower part and the rest."""
    lu, permutation = ans
    inside = triangular(lu, t[permutation], True, True)
    inside = mt(triangular(mt(lu), mt(inside), True, False))
    lower = tril(lu, -1) + _np.eye(shape_of(lu)[0])
    return Permuted(matmul(lower, tril(inside, -1)) + matmul(triu(inside), triu(lu)), None)


class Permuted(NamedTuple):
    """The packed factors, and the order of the rows of the matrix that they are factors of."""

    lu: Any
    permutation: Any


def _raw_lu(a: Any) -> Permuted:
    lu, pivots = _sl.lu_factor(a, check_finite=False)
    return Permuted(lu, order_of(pivots))


def order_of(pivots: Any) -> Any:
    """The order of rows that LAPACK's sequence of interchanges leads to."""
    order = _np.arange(len(pivots))
    for row, other in enumerate(pivots):
        order[[row, other]] = order[[other, row]]
    return order


_lu = general(_raw_lu, {0: by_transposing(_lu_rate)}, {0: _lu_rate}, name="lu_factor")


def lu_factor(a, overwrite_a=False, check_finite=True):
    """As ``scipy.linalg.lu_factor``, for one square matrix; ``overwrite_a`` only permits."""
    if not is_traced(a):
        return _sl.lu_factor(a, overwrite_a, check_finite)
    from ..trace.tracer import getval

    a = inexact(a)
    checked(check_finite, a)
    shape = shape_of(a)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"lu_factor: only one square matrix is supported for traced arrays, got shape {shape}")
    plain = getval(a)
    return _lu(a).lu, _sl.lu_factor(plain, check_finite=False)[1]


def lu_solve(lu_and_piv, b, trans=0, overwrite_b=False, check_finite=True):
    """As ``scipy.linalg.lu_solve``; ``overwrite_b`` only permits."""
    lu, pivots = lu_and_piv
    if not is_traced(lu, b):
        return _sl.lu_solve(lu_and_piv, b, trans, overwrite_b, check_finite)
    lu, b = inexact(lu), inexact(b)
    checked(check_finite, lu, b)
    order = order_of(pivots)
    if trans in (0, "N"):
        half = solve_triangular(lu, b[order], 0, True, True, check_finite=False)
        return solve_triangular(lu, half, check_finite=False)
    half = solve_triangular(lu, b, trans, check_finite=False)
    return solve_triangular(lu, half, trans, True, True, check_finite=False)[_np.argsort(order)]


# ---------------------------------------------------------------- banded systems


def _band_indices(lower: int, upper: int, n: int) -> tuple:
    """``(rows of the matrix, columns of the matrix, rows of the band)`` of all elements inside the band."""
    i, j = _np.indices((lower + upper + 1, n))
    rows = i + j - upper
    inside = (rows >= 0) & (rows < n)
    return rows[inside], j[inside], i[inside]


def _dense(ab: Any, lower: int, upper: int) -> Any:
    """The matrix whose diagonals are the rows of ``ab``."""
    n = shape_of(ab)[-1]
    rows, columns, band = _band_indices(lower, upper, n)
    return place(ab[band, columns], (rows, columns), (n, n))


def _band_product(ab: Any, x: Any, lower: int, upper: int) -> Any:
    """The banded matrix times ``x``, diagonal by diagonal."""
    n = shape_of(ab)[-1]
    parts = []
    for diagonal in range(-upper, lower + 1):  # rows minus columns
        first, last = max(0, -diagonal), min(n, n - diagonal)
        if first >= last:
            continue
        product = ab[upper + diagonal, first:last, None] * x[first:last]
        parts.append(place(product, slice(first + diagonal, last + diagonal), shape_of(x)))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _band_transposed(ab: Any, lower: int, upper: int) -> Any:
    """The diagonals of the transpose, for bandwidths ``(upper, lower)``."""
    n = shape_of(ab)[-1]
    rows, columns, band = _band_indices(lower, upper, n)
    return place(ab[band, columns], (lower + upper - band, rows), shape_of(ab))


def _band_outer(u: Any, v: Any, lower: int, upper: int, shape: tuple) -> Any:
    """The diagonals of ``u v^T``."""
    rows, columns, band = _band_indices(lower, upper, shape[-1])
    return place((u[rows] * v[columns]).sum(axis=-1), (band, columns), shape)


def _banded_pull(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Callable:
    (lower, upper), ab, _ = args

    def pull(g: Any) -> tuple:
        for_b = banded((upper, lower), _band_transposed(ab, lower, upper), g)
        return tuple(
            negative(_band_outer(for_b, ans, lower, upper, shape_of(ab))) if argnum == 1 else for_b
            for argnum in argnums
        )

    return pull


def _banded_samples() -> list:
    rng = _np.random.default_rng(4)
    ab = rng.normal(size=(4, 5))
    ab[1] += 5
    return [(((2, 1), ab, rng.normal(size=(5, 2))), {})]


#: ``((lower, upper), ab, b)`` with ``b`` a matrix
banded = general(
    lambda widths, ab, b: _sl.solve_banded(widths, ab, b, check_finite=False),
    _banded_pull,
    {
        1: lambda t, ans, widths, ab, b: negative(banded(widths, ab, _band_product(t, ans, *widths))),
        2: lambda t, ans, widths, ab, b: banded(widths, ab, t),
    },
    name="solve_banded",
    samples=_banded_samples,
)


def solve_banded(l_and_u, ab, b, overwrite_ab=False, overwrite_b=False, check_finite=True):
    """As ``scipy.linalg.solve_banded``; ``overwrite_ab`` and ``overwrite_b`` only permit."""
    if not is_traced(ab, b):
        return _sl.solve_banded(l_and_u, ab, b, overwrite_ab, overwrite_b, check_finite)
    ab, b = inexact(ab), inexact(b)
    checked(check_finite, ab, b)
    widths = tuple(int(width) for width in l_and_u)
    if shape_of(ab)[0] != sum(widths) + 1:
        raise ValueError(
            f"invalid values for the number of lower and upper diagonals: {widths} and ab of {shape_of(ab)}"
        )
    if len(shape_of(b)) == 1:
        return banded(widths, ab, b[:, None])[:, 0]
    return banded(widths, ab, b)


def _hermitian_band(ab: Any, lower: bool) -> Any:
    """The diagonals of the whole Hermitian matrix, from those on and below (or on and above) the main one."""
    width, n = shape_of(ab)[0] - 1, shape_of(ab)[1]
    padding = _np.zeros((width, n), abstract(ab)[1])
    if is_complex(ab):  # LAPACK reads the real part of the diagonal only
        main = real(ab[:1] if lower else ab[width:])
        ab = concatenate([main, ab[1:]] if lower else [ab[:width], main], 0)
    half = concatenate([padding, ab], 0) if lower else concatenate([ab, padding], 0)
    mirrored = _band_transposed(half, width, width)
    other = mirrored[:width] if lower else mirrored[width + 1 :]
    other = conj(other) if is_complex(ab) else other
    return concatenate([other, ab], 0) if lower else concatenate([ab, other], 0)


def solveh_banded(ab, b, overwrite_ab=False, overwrite_b=False, lower=False, check_finite=True):
    """As ``scipy.linalg.solveh_banded``; ``overwrite_ab`` and ``overwrite_b`` only permit.

    Traced, the system is solved as a general banded one, after SciPy has checked that it is positive definite.
    """
    if not is_traced(ab, b):
        return _sl.solveh_banded(ab, b, overwrite_ab, overwrite_b, lower, check_finite)
    from ..trace.tracer import getval

    ab, b = inexact(ab), inexact(b)
    checked(check_finite, ab, b)
    _sl.cholesky_banded(getval(ab), lower=lower)
    width = shape_of(ab)[0] - 1
    return solve_banded((width, width), _hermitian_band(ab, bool(lower)), b, check_finite=False)


def cholesky_banded(ab, overwrite_ab=False, lower=False, check_finite=True):
    """As ``scipy.linalg.cholesky_banded``. Traced, the factor is found densely: memory grows as ``n ** 2``."""
    if not is_traced(ab):
        return _sl.cholesky_banded(ab, overwrite_ab, lower, check_finite)
    from ..numpy.linalg import cholesky

    ab = inexact(ab)
    checked(check_finite, ab)
    width, n = shape_of(ab)[0] - 1, shape_of(ab)[1]
    factor = cholesky(_dense(_hermitian_band(ab, bool(lower)), width, width), upper=not lower)
    rows, columns, band = _band_indices(width, 0, n) if lower else _band_indices(0, width, n)
    return place(factor[rows, columns], (band, columns), (width + 1, n))


# ---------------------------------------------------------------- matrices from vectors


def toeplitz(c, r=None):
    """As ``scipy.linalg.toeplitz``, for one-dimensional ``c`` and ``r``."""
    if not is_traced(c, r):
        return _sl.toeplitz(c, r)
    c = ravel(inexact(c))
    r = (conj(c) if is_complex(c) else c) if r is None else ravel(inexact(r))
    values = concatenate([c[::-1], r[1:]], 0)
    rows, columns = _np.indices((shape_of(c)[0], shape_of(r)[0]))
    return take(values, columns - rows + shape_of(c)[0] - 1)


def hankel(c, r=None):
    """As ``scipy.linalg.hankel``."""
    if not is_traced(c, r):
        return _sl.hankel(c, r)
    c = ravel(inexact(c))
    r = multiply(c, 0) if r is None else ravel(inexact(r))
    rows, columns = _np.indices((shape_of(c)[0], shape_of(r)[0]))
    return take(concatenate([c, r[1:]], 0), rows + columns)


def circulant(c):
    """As ``scipy.linalg.circulant``, for one-dimensional ``c``."""
    if not is_traced(c):
        return _sl.circulant(c)
    c = ravel(inexact(c))
    rows, columns = _np.indices((shape_of(c)[0],) * 2)
    return take(c, (rows - columns) % shape_of(c)[0])


def block_diag(*arrs):
    """As ``scipy.linalg.block_diag``, for matrices, vectors and numbers."""
    if not is_traced(*arrs):
        return _sl.block_diag(*arrs)
    from ..numpy.shaping import atleast_2d

    blocks = [atleast_2d(inexact(a)) for a in arrs]
    if any(len(shape_of(block)) != 2 for block in blocks):
        raise ValueError("block_diag: arguments of more than two dimensions are not supported for traced arrays")
    columns = sum(shape_of(block)[1] for block in blocks)
    rows, before = [], 0
    for block in blocks:
        height, width = shape_of(block)
        left, right = _np.zeros((height, before)), _np.zeros((height, columns - before - width))
        rows.append(concatenate([left.astype(abstract(block)[1]), block, right.astype(abstract(block)[1])], 1))
        before += width
    return concatenate(rows, 0)
