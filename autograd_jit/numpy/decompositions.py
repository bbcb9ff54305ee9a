"""Matrix factorizations as primitives: eigh, eig, svd, qr, cholesky.

Where eigenvalues or singular values coincide, the vectors have no derivative. There a tangent or cotangent that
does not touch them gives zero, so that functions of the values alone (``sum(log(w))``) are right; one that does
gives NaN, rather than a number that is wrong for some functions. Second derivatives touch them, also those
of functions of the values alone. Values closer than ``n * eps`` times the
largest count as coinciding.

The factors of a complex matrix are fixed only up to phases, and the trailing columns of "full" factors up to a
rotation; functions that do not depend on that choice have right derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np
from numpy.linalg._linalg import EigResult, QRResult, SVDResult

from ..trace.cotangent import abstract
from ..trace.rules import general
from ..trace.tracer import getval
from . import elementwise as ew
from . import reductions
from .indexing import take_along_axis
from .joining import concatenate
from .products import matmul
from .shaping import diagonal, triu
from .solving import _matrices, by_transposing, is_complex, mh, mt, solve_matrix, solve_right

# ---------------------------------------------------------------- division by gaps between eigenvalues


def _raw_gap_divide(x: Any, gap: Any) -> Any:
    zero = gap == 0
    quotient = x / _np.where(zero, 1, gap)
    return _np.where(zero, _np.where(x == 0, 0, _np.nan), quotient).astype(quotient.dtype)


#: ``x / gap``, with ``0 / 0 = 0`` and ``x / 0 = NaN``; linear in ``x``
gap_divide = general(
    _raw_gap_divide,
    {
        0: lambda ans, x, gap: lambda g: gap_divide(g, gap),
        1: lambda ans, x, gap: lambda g: ew.negative(gap_divide(ew.multiply(g, ans), gap)),
    },
    {0: "same", 1: lambda t, ans, x, gap: ew.negative(gap_divide(ew.multiply(t, ans), gap))},
    name="gap_divide",
)


def _off_diagonal(x: Any) -> Any:
    return ew.multiply(x, ~_np.eye(abstract(x)[0][-1], dtype=bool))


def _gaps(w: Any) -> Any:
    """``w_j - w_i`` as a matrix, exactly zero where the two coincide within rounding; 1 on the diagonal, unused."""
    plain = getval(w)
    gap = w[..., None, :] - w[..., :, None]
    size = _np.abs(plain)
    eps = _np.finfo(plain.dtype).eps
    tolerance = size.shape[-1] * eps * _np.max(size, axis=-1, initial=0.0)
    equal = _np.abs(getval(gap)) <= tolerance[..., None, None]
    return ew.where(equal, _np.eye(size.shape[-1], dtype=plain.dtype), gap)


def _diagonal(x: Any) -> Any:
    return diagonal(x, 0, -2, -1)


def _columns(v: Any, w: Any) -> Any:
    """The columns of each matrix ``v`` multiplied by the numbers ``w``."""
    return ew.multiply(v, w[..., None, :])


def _rows(w: Any, v: Any) -> Any:
    return ew.multiply(w[..., :, None], v)


# ---------------------------------------------------------------- symmetric and Hermitian matrices


def hermitian_part(a: Any, lower: bool) -> Any:
    """The Hermitian matrix whose lower (or upper) triangle is that of ``a``, which is all that NumPy reads."""
    n = abstract(a)[0][-1]
    triangle = _np.tri(n, n, -1, bool)
    # chosen, not added up: the sign of a zero decides that of an eigenvector
    either = ew.where(triangle if lower else triangle.T, a, mh(a))
    return ew.where(_np.eye(n, dtype=bool), ew.real(a), either) if is_complex(a) else either


def _eigh_vjp(ans: Any, h: Any, uplo: str) -> Callable:
    """From ``V^H dH V``: its diagonal moves ``w``; the rest, divided by the gaps, turns ``V`` (Giles 2008, 3.1)."""
    w, v = ans

    def pull(g: Any) -> Any:
        inside = gap_divide(_off_diagonal(matmul(mt(v), g[1])), _gaps(w))
        inside = inside + ew.multiply(g[0][..., None], _np.eye(abstract(w)[0][-1], dtype=abstract(w)[1]))
        return matmul(matmul(ew.conj(v) if is_complex(v) else v, inside), mt(v))

    return pull


def _eigh_jvp(t: Any, ans: Any, h: Any, uplo: str) -> Any:
    w, v = ans
    moved = matmul(mh(v), matmul(t, v))
    rate = _diagonal(moved)
    return type(ans)(
        ew.real(rate) if is_complex(rate) else rate,
        matmul(v, gap_divide(_off_diagonal(moved), _gaps(w))),
    )


#: ``(h, UPLO)`` with ``h`` Hermitian
eigen_hermitian = general(lambda h, uplo: _np.linalg.eigh(h, uplo), {0: _eigh_vjp}, {0: _eigh_jvp}, name="eigh")


def _half_lower(x: Any) -> Any:
    """The lower triangle, its diagonal halved."""
    n = abstract(x)[0][-1]
    mask = _np.tri(n, n, dtype=abstract(x)[1]) - 0.5 * _np.eye(n, dtype=abstract(x)[1])
    return ew.multiply(x, mask)


def _cholesky_vjp(ans: Any, a: Any) -> Callable:
    """I. Murray (2016), "Differentiation of the Cholesky decomposition", eq. 10; symmetric, as Autograd's."""

    def pull(g: Any) -> Any:
        inside = _half_lower(matmul(mt(ans), ew.multiply(g, _np.tri(abstract(ans)[0][-1], dtype=abstract(ans)[1]))))
        outer = solve_right(solve_matrix(mt(ans), inside), ew.conj(ans) if is_complex(ans) else ans)
        return 0.5 * (outer + mh(outer))

    return pull


def _cholesky_jvp(t: Any, ans: Any, a: Any) -> Any:
    half = solve_matrix(ans, 0.5 * (t + mh(t)))
    return matmul(ans, _half_lower(solve_right(half, mh(ans))))


#: The lower factor. Its derivative is that on Hermitian matrices: tangents and cotangents are made Hermitian.
cholesky_lower = general(lambda a: _np.linalg.cholesky(a), {0: _cholesky_vjp}, {0: _cholesky_jvp}, name="cholesky")

# ---------------------------------------------------------------- general eigenvalues


def _eig_jvp(t: Any, ans: Any, a: Any) -> Any:
    """``V^-1 dA V`` as for eigh; then LAPACK's normalisation: columns of length 1 whose largest element is real."""
    w, v = ans
    moved = solve_matrix(v, matmul(t, v))
    turned = matmul(v, gap_divide(_off_diagonal(moved), _gaps(w)))
    if not is_complex(v):
        growth = reductions.sum(v * turned, axis=-2, keepdims=True)
        return EigResult(_diagonal(moved), turned - v * growth)
    growth = ew.real(reductions.sum(ew.conj(v) * turned, axis=-2, keepdims=True))
    largest = _np.argmax(_np.abs(getval(v)), axis=-2)[..., None, :]
    phase = ew.imag(take_along_axis(turned, largest, -2)) / ew.real(take_along_axis(v, largest, -2))
    return EigResult(_diagonal(moved), turned - v * (growth + 1j * phase))


eigen = general(
    lambda a: _np.linalg.eig(a),
    {0: by_transposing(_eig_jvp)},
    {0: _eig_jvp},
    name="eig",
    samples=_matrices((3, 3), (2, 2, 2)),
)

# ---------------------------------------------------------------- singular values


def _svd_jvp(t: Any, ans: Any, a: Any, full_matrices: bool) -> Any:
    """J. Townsend (2016), "Differentiating the singular value decomposition"; complex phases split between factors."""
    rows, columns = abstract(a)[0][-2:]
    k = min(rows, columns)
    s = ans[1]
    u, v = ans[0][..., :, :k], mh(ans[2])[..., :, :k]
    inside = matmul(mh(u), matmul(t, v))
    conjugate = mh(inside)
    gap = _gaps(s) * (s[..., None, :] + s[..., :, None])
    turn_u = gap_divide(_off_diagonal(_columns(inside, s) + _rows(s, conjugate)), gap)
    turn_v = gap_divide(_off_diagonal(_rows(s, inside) + _columns(conjugate, s)), gap)
    rate = _diagonal(inside)
    if is_complex(rate):
        phase = _diagonal_matrix(0.5j * gap_divide(ew.imag(rate), s))
        turn_u, turn_v, rate = turn_u + phase, turn_v - phase, ew.real(rate)
    du = _factor_tangent(ans[0], k, turn_u, matmul(t, v), s)
    dv = _factor_tangent(mh(ans[2]), k, turn_v, matmul(mh(t), u), s)
    return SVDResult(du, rate, mh(dv))


def _factor_tangent(factor: Any, k: int, turn: Any, image: Any, s: Any) -> Any:
    """The tangent of ``U``: a turn within its first ``k`` columns, and out of them towards ``dA V / s``."""
    first = factor[..., :, :k]
    tangent = matmul(first, turn)
    rows, columns = abstract(factor)[0][-2:]
    if rows == k:
        return tangent
    outside = image - matmul(first, matmul(mh(first), image))
    outside = gap_divide(outside, s[..., None, :])
    tangent = tangent + outside
    if columns == k:
        return tangent
    rest = factor[..., :, k:]
    return concatenate([tangent, ew.negative(matmul(first, mh(matmul(mh(rest), outside))))], -1)


def _diagonal_matrix(w: Any) -> Any:
    n = abstract(w)[0][-1]
    return ew.multiply(w[..., None], _np.eye(n))


singular = general(
    lambda a, full_matrices: _np.linalg.svd(a, full_matrices),
    {0: by_transposing(_svd_jvp)},
    {0: _svd_jvp},
    name="svd",
)

# ---------------------------------------------------------------- qr


def _qr_jvp(t: Any, ans: Any, a: Any) -> Any:
    """From ``dA R^-1 = dQ + Q (dR R^-1)``: split ``Q^H dA R^-1`` into skew and upper triangular with real diagonal."""
    q, r = ans
    image = solve_right(t, r)
    inside = matmul(mh(q), image)
    n = abstract(r)[0][-1]
    lower = ew.multiply(inside, _np.tri(n, n, -1, dtype=bool))
    skew = lower - mh(lower)
    if is_complex(inside):
        skew = skew + 1j * ew.multiply(ew.imag(inside), _np.eye(n))
    upper = inside - skew
    return QRResult(image - matmul(q, upper), triu(matmul(upper, r)))


#: the reduced factors of a matrix with at least as many rows as columns, of full column rank
qr_tall = general(lambda a: _np.linalg.qr(a), {0: by_transposing(_qr_jvp)}, {0: _qr_jvp}, name="qr")


def qr_wide(a: Any) -> tuple[Any, Any]:
    """The factors of a matrix wider than tall: those of its leading square part, and ``Q^H`` times the rest."""
    rows = abstract(a)[0][-2]
    q, r = qr_tall(a[..., :, :rows])
    return q, concatenate([r, matmul(mh(q), a[..., :, rows:])], -1)


def _complete_jvp(t: Any, ans: Any, q: Any) -> Any:
    """The added columns stay orthogonal to ``q`` with least motion: ``dC = -Q dQ^H C``."""
    return ew.negative(matmul(q, matmul(mh(t), ans)))


def _raw_complement(q: Any) -> Any:
    return _np.linalg.qr(q, "complete")[0][..., :, q.shape[-1] :]


#: an orthonormal basis of what the columns of ``q`` leave out
complement = general(_raw_complement, {0: by_transposing(_complete_jvp)}, {0: _complete_jvp}, name="complement")


def hermitian_singular(a: Any) -> Any:
    """``svd(a, hermitian=True)``: the eigenvalues by size, their signs moved into the second factor."""
    w, v = eigen_hermitian(hermitian_part(a, True), "L")
    order = _np.argsort(_np.abs(getval(w)))[..., ::-1]
    w = take_along_axis(w, order, -1)
    v = take_along_axis(v, order[..., None, :], -1)
    return SVDResult(v, ew.absolute(w), mh(_columns(v, ew.sign(w))))
