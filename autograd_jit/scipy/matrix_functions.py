"""Functions of a matrix: expm, logm, sqrtm, fractional powers, and Sylvester equations.

The derivative of a matrix function in a direction ``E`` is a block of the function of a larger matrix
(N. Higham, "Functions of Matrices", theorem 3.6): ``f([[A, E], [0, A]]) = [[f(A), L(A, E)], [0, f(A)]]``. Its adjoint
is ``L(A^T, G)``. Both are traced compositions, so that every order follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np
import scipy.linalg as _sl

from ..numpy.arguments import is_traced
from ..numpy.elementwise import negative
from ..numpy.joining import concatenate
from ..numpy.products import matmul
from ..numpy.shaping import broadcast_to
from ..numpy.solving import _matrices, inexact, is_complex, mh, mt
from ..trace.cotangent import abstract
from ..trace.rules import general, linear


def _block(a: Any, e: Any) -> Any:
    """``[[a, e], [0, a]]``."""
    shape = _np.broadcast_shapes(abstract(a)[0], abstract(e)[0])
    a, e = broadcast_to(a, shape), broadcast_to(e, shape)
    zero = _np.zeros(shape, abstract(a)[1])
    return concatenate([concatenate([a, e], -1), concatenate([zero, a], -1)], -2)


def _corner(x: Any) -> Any:
    n = abstract(x)[0][-1] // 2
    return x[..., :n, n:]


def _matrix_function(raw: Callable, name: str, samples: Callable) -> Callable:
    function: Any = None

    def rate(t: Any, ans: Any, a: Any) -> Any:
        return _corner(function(_block(a, t)))

    function = general(
        raw,
        {0: lambda ans, a: lambda g: _corner(function(_block(mt(a), g)))},
        {0: rate},
        name=name,
        samples=samples,
    )
    return function


_some = _matrices((3, 3), (2, 2, 2))


def _positive_samples() -> list:
    """Matrices whose eigenvalues are far from the negative axis."""
    return [((0.2 * args[0] + 2 * _np.eye(args[0].shape[-1]),), {}) for args, _ in _some()]


def _raw_frechet(e: Any, a: Any) -> Any:
    """SciPy's Fréchet derivative of expm, which shares the powers of ``a``: a third of the cost of the block."""
    shape = _np.broadcast_shapes(_np.shape(a), _np.shape(e))
    a, e = _np.broadcast_to(a, shape), _np.broadcast_to(e, shape)
    if not a.size:
        return _np.zeros(shape, _np.result_type(a, e))
    pairs = zip(a.reshape(-1, *shape[-2:]), e.reshape(-1, *shape[-2:]))
    rates = [_sl.expm_frechet(x, y, compute_expm=False) for x, y in pairs]
    return _np.stack(rates).reshape(shape)


_expm_frechet_in_e = linear(
    _raw_frechet,
    lambda g, shape, a: _expm_frechet_in_e(g, mt(a)),
    name="expm_frechet",
)


def _expm_rate(a: Any, e: Any) -> Any:
    """``L(a, e)``, by the block matrix where ``a`` is traced too."""
    return _corner(_expm(_block(a, e))) if is_traced(a) else _expm_frechet_in_e(e, a)


_expm = general(
    lambda a: _sl.expm(a),
    {0: lambda ans, a: lambda g: _expm_rate(mt(a), g)},
    {0: lambda t, ans, a: _expm_rate(a, t)},
    name="expm",
    samples=_some,
)
_logm = _matrix_function(lambda a: _sl.logm(a), "logm", _positive_samples)
_cosm = _matrix_function(lambda a: _sl.cosm(a), "cosm", _matrices((3, 3)))
_sinm = _matrix_function(lambda a: _sl.sinm(a), "sinm", _matrices((3, 3)))
_coshm = _matrix_function(lambda a: _sl.coshm(a), "coshm", _matrices((3, 3)))
_sinhm = _matrix_function(lambda a: _sl.sinhm(a), "sinhm", _matrices((3, 3)))


def _by_name(name: str, primitive: Callable) -> Callable:
    plain = getattr(_sl, name)

    def function(A):
        return primitive(_checked(A)) if is_traced(A) else plain(A)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As ``scipy.linalg.{name}``."
    return function


def _checked(a: Any) -> Any:
    a = inexact(a)
    shape = abstract(a)[0]
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"expected a square matrix, got an array of shape {shape}")
    return a


expm, cosm, sinm, coshm, sinhm = (
    _by_name(name, primitive)
    for name, primitive in {
        "expm": _expm,
        "cosm": _cosm,
        "sinm": _sinm,
        "coshm": _coshm,
        "sinhm": _sinhm,
    }.items()
)


def logm(A, disp=None):
    """As ``scipy.linalg.logm``, the principal logarithm; ``disp=False`` is refused for traced arrays."""
    if not is_traced(A):
        return _sl.logm(A) if disp is None else _sl.logm(A, disp)
    _only_value("logm", disp)
    return _logm(_checked(A))


def _only_value(name: str, disp: Any) -> None:
    from ..errors import ArgumentError

    if disp is not None and not disp:
        raise ArgumentError(f"{name}: disp=False is not supported for traced arrays")


def expm_frechet(A, E, method=None, compute_expm=True, check_finite=True):
    """As ``scipy.linalg.expm_frechet``."""
    if not is_traced(A, E):
        return _sl.expm_frechet(A, E, method, compute_expm, check_finite)
    A, E = _checked(A), _checked(E)
    rate = _expm_rate(A, E)
    return (_expm(A), rate) if compute_expm else rate


# ---------------------------------------------------------------- Sylvester equations and square roots


def _raw_sylvester(a: Any, b: Any, q: Any) -> Any:
    if a.ndim == b.ndim == q.ndim == 2:
        return _sl.solve_sylvester(a, b, q)
    batch = _np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2])
    parts = [_np.broadcast_to(x, batch + x.shape[-2:]).reshape((-1, *x.shape[-2:])) for x in (a, b, q)]
    solved = [_sl.solve_sylvester(*triple) for triple in zip(*parts)]
    return _np.stack(solved).reshape(batch + q.shape[-2:])


def _sylvester_pull(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Callable:
    """From ``A X + X B = Q``: the adjoint equation has the transposes."""

    def pull(g: Any) -> tuple:
        for_q = sylvester(mt(args[0]), mt(args[1]), g)
        rules = {
            0: lambda: negative(matmul(for_q, mt(ans))),
            1: lambda: negative(matmul(mt(ans), for_q)),
            2: lambda: for_q,
        }
        return tuple(rules[argnum]() for argnum in argnums)

    return pull


def _sylvester_samples() -> list:
    (a,), (b,) = (args for args, _ in _matrices((3, 3), (2, 2))()[::2])
    return [((a, b, _np.arange(6.0).reshape(3, 2)), {}), ((a + 1j, b, _np.ones((3, 2))), {})]


sylvester = general(
    _raw_sylvester,
    _sylvester_pull,
    {
        0: lambda t, ans, a, b, q: negative(sylvester(a, b, matmul(t, ans))),
        1: lambda t, ans, a, b, q: negative(sylvester(a, b, matmul(ans, t))),
        2: lambda t, ans, a, b, q: sylvester(a, b, t),
    },
    name="solve_sylvester",
    samples=_sylvester_samples,
)


def solve_sylvester(a, b, q):
    """As ``scipy.linalg.solve_sylvester``."""
    if not is_traced(a, b, q):
        return _sl.solve_sylvester(a, b, q)
    return sylvester(inexact(a), inexact(b), inexact(q))


def solve_lyapunov(a, q):
    """As ``scipy.linalg.solve_continuous_lyapunov``: ``A X + X A^H = Q``."""
    if not is_traced(a, q):
        return _sl.solve_continuous_lyapunov(a, q)
    a = inexact(a)
    return sylvester(a, mh(a), inexact(q))


solve_continuous_lyapunov = solve_lyapunov

#: differentiating ``X X = A`` gives ``X dX + dX X = dA``
_sqrtm = general(
    lambda a: _sl.sqrtm(a),
    {0: lambda ans, a: lambda g: sylvester(mt(ans), mt(ans), g)},
    {0: lambda t, ans, a: sylvester(ans, ans, t)},
    name="sqrtm",
    samples=_positive_samples,
)


def sqrtm(A, disp=None, blocksize=None):
    """As ``scipy.linalg.sqrtm``, the principal root; ``disp=False`` is refused for traced arrays."""
    if not is_traced(A):
        given = {k: v for k, v in (("disp", disp), ("blocksize", blocksize)) if v is not None}
        return _sl.sqrtm(A, **given)
    _only_value("sqrtm", disp)
    return _sqrtm(_checked(A))


def _power_corner(a: Any, e: Any, exponent: Any) -> Any:
    return _corner(_fractional_power(_block(a, e), exponent))


_fractional_power = general(
    lambda a, exponent: _sl.fractional_matrix_power(a, exponent),
    {
        0: lambda ans, a, exponent: lambda g: _power_corner(mt(a), g, exponent),
        1: lambda ans, a, exponent: lambda g: (g * matmul(_logm(a), ans)).sum(),
    },
    {
        0: lambda t, ans, a, exponent: _power_corner(a, t, exponent),
        1: lambda t, ans, a, exponent: t * matmul(_logm(a), ans),
    },
    name="fractional_matrix_power",
    samples=lambda: [((args[0], 0.4), {}) for args, _ in _positive_samples() if args[0].ndim == 2],
)


def fractional_matrix_power(A, t):
    """As ``scipy.linalg.fractional_matrix_power``, with a derivative in the exponent too."""
    return _fractional_power(_checked(A), t) if is_traced(A, t) else _sl.fractional_matrix_power(A, t)


# ---------------------------------------------------------------- polar decomposition


def polar(a, side="right"):
    """As ``scipy.linalg.polar``: the unitary factor ``A (A^H A)^(-1/2)`` and the positive one, for full rank.

    The side of the positive factor has to be the smaller one of a nonsquare matrix; else it is singular.
    """
    if not is_traced(a):
        return _sl.polar(a, side)
    from ..errors import ArgumentError
    from ..numpy.solving import solve_right

    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    a = inexact(a)
    rows, columns = abstract(a)[0]
    if (rows < columns) if side == "right" else (rows > columns):
        raise ArgumentError(
            f"polar: side={side!r} of a matrix of shape {(rows, columns)} has no derivative (P is singular)"
        )
    if side == "left":
        u, p = polar(mh(a), "right")
        return mh(u), p
    p = _sqrtm(matmul(mh(a), a))
    p = p if is_complex(a) or not is_complex(p) else p.real
    return solve_right(a, p), p
