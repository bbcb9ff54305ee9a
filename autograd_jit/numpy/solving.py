"""Linear systems, inverses and determinants: the primitives that ``linalg`` is built on.

Every rule comes from differentiating the defining equation (``A X = B``, ``A A^-1 = I``); see M. Giles, "An extended
collection of matrix derivative results" (2008). Cotangents pair with tangents as ``Re(sum(g * t))``, so adjoints
of complex-linear maps are plain transposes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np
from numpy.linalg._linalg import SlogdetResult

from ..trace import tree
from ..trace.cotangent import abstract
from ..trace.reverse import make_vjp_leaves
from ..trace.rules import general
from ..trace.tracer import BOX_TYPES, getval
from . import elementwise as ew
from . import reductions
from .products import matmul
from .shaping import swapaxes

#: largest matrix whose cofactors are taken as minors when it is exactly singular (n ** 4 numbers are held)
_MINORS_LIMIT = 48

# ---------------------------------------------------------------- small helpers, shared with the other modules


def mt(x: Any) -> Any:
    """The transpose of each matrix."""
    return swapaxes(x, -1, -2)


def mh(x: Any) -> Any:
    """The conjugate transpose of each matrix."""
    return ew.conj(mt(x)) if is_complex(x) else mt(x)


def is_complex(x: Any) -> bool:
    """Whether an array, scalar or box is complex."""
    return abstract(x)[1].kind == "c"


def inexact(x: Any) -> Any:
    """Boxes as they are; anything else as an array; lists may hold boxes."""
    if type(x) in BOX_TYPES:
        return x
    from .joining import array

    return array(x)


def eye_like(x: Any, n: int) -> Any:
    """The identity matrix in the dtype of ``x``."""
    return _np.eye(n, dtype=abstract(x)[1])


def by_transposing(jvp: Callable, argnum: int = 0) -> Callable:
    """The vjp maker that belongs to a forward rule: the rule, linear in its tangent, is itself differentiated.

    The forward rule has to return tangents of exactly the shape and real or complex kind of the result.
    """

    def maker(ans: Any, *args: Any, **kwargs: Any) -> Callable:
        def pull(g: Any) -> Any:
            zero = _np.zeros(*abstract(args[argnum]))
            transpose = make_vjp_leaves(lambda leaves: jvp(leaves[0], ans, *args, **kwargs), [zero])[0]
            return transpose(tree.flatten(g)[0])[0]

        return pull

    return maker


def _matrices(*shapes: tuple) -> Callable:
    """Samples for tests: well-conditioned random matrices, real and complex, one list per shape."""

    def samples() -> list:
        rng = _np.random.default_rng(7)
        found: list = []
        for shape in shapes:
            real = rng.normal(size=shape) + 2 * _np.eye(*shape[-2:])
            found.append(((real,), {}))
            found.append(((real + 1j * rng.normal(size=shape),), {}))
        return found

    return samples


# ---------------------------------------------------------------- solve and inverse


def _solve_pull(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Callable:
    """From ``A X = B``: that of ``B`` solves the transposed system; that of ``A`` is its product with ``X``."""

    def pull(g: Any) -> tuple:
        for_b = solve_matrix(mt(args[0]), g)
        return tuple(ew.negative(matmul(for_b, mt(ans))) if argnum == 0 else for_b for argnum in argnums)

    return pull


def _solve_samples() -> list:
    rng = _np.random.default_rng(3)
    a = rng.normal(size=(3, 3)) + 2 * _np.eye(3)
    batch = rng.normal(size=(2, 1, 3, 3)) + 3 * _np.eye(3)
    return [
        ((a, rng.normal(size=(3, 2))), {}),
        ((a + 1j, rng.normal(size=(3, 1))), {}),
        ((batch, rng.normal(size=(4, 3, 2))), {}),
    ]


#: ``(a, b)`` with ``b`` a matrix or a stack of matrices
solve_matrix = general(
    lambda a, b: _np.linalg.solve(a, b),
    _solve_pull,
    {
        0: lambda t, ans, a, b: ew.negative(solve_matrix(a, matmul(t, ans))),
        1: lambda t, ans, a, b: solve_matrix(a, t),
    },
    name="solve",
    samples=_solve_samples,
)


def solve_right(b: Any, a: Any) -> Any:
    """``X`` with ``X A = B``."""
    return mt(solve_matrix(mt(a), mt(b)))


inverse = general(
    lambda a: _np.linalg.inv(a),
    {0: lambda ans, a: lambda g: ew.negative(matmul(matmul(mt(ans), g), mt(ans)))},
    {0: lambda t, ans, a: ew.negative(matmul(matmul(ans, t), ans))},
    name="inv",
    samples=_matrices((3, 3), (2, 2, 2)),
)

# ---------------------------------------------------------------- determinants


def _cofactors(det: Any, a: Any) -> Any:
    """The derivative of ``det`` in each element: ``det * A^-T`` (Jacobi's formula), or minors of a singular matrix."""
    n = abstract(a)[0][-1]
    if n > _MINORS_LIMIT or _np.all(getval(det)):
        return ew.multiply(det[..., None, None], mt(inverse(a)))
    others = _np.array([[j for j in range(n) if j != i] for i in range(n)], int).reshape(n, n - 1)
    minors = a[..., others[:, None, :, None], others[None, :, None, :]]
    signs = (-1.0) ** (_np.arange(n)[:, None] + _np.arange(n))
    return ew.multiply(determinant(minors), signs.astype(abstract(a)[1]))


determinant = general(
    lambda a: _np.linalg.det(a),
    {0: lambda ans, a: lambda g: ew.multiply(g[..., None, None], _cofactors(ans, a))},
    {0: lambda t, ans, a: reductions.sum(ew.multiply(t, _cofactors(ans, a)), axis=(-2, -1))},
    name="det",
    samples=_matrices((3, 3), (2, 2, 2)),
)


def _slogdet_vjp(ans: Any, a: Any) -> Callable:
    """``d log det = tr(A^-1 dA)``: its real part moves ``logabsdet``, its imaginary part turns the sign."""

    def pull(g: Any) -> Any:
        weight = g[1]
        if is_complex(a):
            weight = weight - 1j * ew.real(1j * g[0] * ans[0])
        return ew.multiply(weight[..., None, None], mt(inverse(a)))

    return pull


def _slogdet_jvp(t: Any, ans: Any, a: Any) -> Any:
    rate = reductions.sum(ew.multiply(t, mt(inverse(a))), axis=(-2, -1))
    if is_complex(a):
        return SlogdetResult(1j * ew.imag(rate) * ans[0], ew.real(rate))
    return SlogdetResult(ew.multiply(rate, 0), rate)


sign_and_logdet = general(
    lambda a: _np.linalg.slogdet(a),
    {0: _slogdet_vjp},
    {0: _slogdet_jvp},
    name="slogdet",
    samples=_matrices((3, 3), (2, 2, 2)),
)

# ---------------------------------------------------------------- pseudo-inverse and least squares


def _pinv_jvp(t: Any, ans: Any, a: Any, rtol: Any, hermitian: bool) -> Any:
    """Golub and Pereyra (1973), "The differentiation of pseudo-inverses": valid where the rank does not change."""
    th, ah = mh(t), mh(ans)
    rows, columns = abstract(a)[0][-2:]
    result = ew.negative(matmul(matmul(ans, t), ans))
    residual = eye_like(a, rows) - matmul(a, ans)
    result = result + matmul(matmul(matmul(ans, ah), th), residual)
    return result + matmul(matmul(eye_like(a, columns) - matmul(ans, a), th), matmul(ah, ans))


pseudo_inverse = general(
    lambda a, rtol, hermitian: _np.linalg.pinv(a, rtol=rtol, hermitian=hermitian),
    {0: by_transposing(_pinv_jvp)},
    {0: _pinv_jvp},
    name="pinv",
    samples=lambda: [((args[0], None, False), {}) for args, _ in _matrices((4, 2), (2, 3))()],
)


def _lstsq_jvp(t: Any, ans: Any, a: Any, b: Any, rcond: Any) -> Any:
    """As for the pseudo-inverse, applied to ``b`` without forming products of its size."""
    p = pseudo_inverse(a, rcond, False)
    th, ph = mh(t), mh(p)
    residual = b - matmul(a, ans)
    result = ew.negative(matmul(p, matmul(t, ans))) + matmul(p, matmul(ph, matmul(th, residual)))
    moved = matmul(th, matmul(ph, ans))
    return result + moved - matmul(p, matmul(a, moved))


#: the solution alone, ``b`` a matrix; ``rcond`` a number
least_squares = general(
    lambda a, b, rcond: _np.linalg.lstsq(a, b, rcond)[0],
    {
        0: by_transposing(_lstsq_jvp),
        1: lambda ans, a, b, rcond: lambda g: matmul(mt(pseudo_inverse(a, rcond, False)), g),
    },
    {0: _lstsq_jvp, 1: lambda t, ans, a, b, rcond: matmul(pseudo_inverse(a, rcond, False), t)},
    name="lstsq",
)
