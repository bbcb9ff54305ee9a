"""Polynomials, interpolation, convolution."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import composite, general, valued_by
from ..trace.samples import call, complexes, normals, positives
from . import elementwise as ew
from . import reductions
from .arguments import as_array, is_traced, plain_value, refuse_traced, scalar_results, shape_of
from .indexing import take
from .joining import concatenate
from .products import conjugated
from .shaping import astype, flip, reshape
from .special_elementwise import complex_of

__all__ = [
    "convolve",
    "correlate",
    "interp",
    "poly",
    "polyadd",
    "polyder",
    "polyfit",
    "polyint",
    "polymul",
    "polysub",
    "polyval",
    "vander",
]

# ---------------------------------------------------------------- polynomials


@composite(
    samples=lambda: [
        call(normals(4), normals(3)),
        call(normals(3), 0.7),
        call([normals(), 2.0, normals(seed=1)], normals(2, 2)),
        call(complexes(3), complexes(2)),
    ]
)
def polyval(p, x):
    """As ``numpy.polyval``; ``poly1d`` objects are refused when the other argument is traced."""
    if not is_traced(p, x):
        return _np.polyval(p, x)
    if isinstance(x, _np.poly1d):
        raise ArgumentError("polyval: x as a poly1d is not supported with traced coefficients")
    coefficients = as_array(p.coeffs if isinstance(p, _np.poly1d) else p)
    x = as_array(x)
    result: Any = _np.zeros(x.shape, _np.result_type(x.dtype, coefficients.dtype))
    for coefficient in coefficients:
        result = ew.add(ew.multiply(result, x), coefficient)
    return result


def _coefficients(name: str, p: Any) -> Any:
    p = _coefficients_of(name, p)
    return reshape(p, (1,)) if p.ndim == 0 else p


def _one_dimensional(p: Any) -> Any:
    if p.ndim == 0:
        raise TypeError("len() of unsized object: coefficients have one dimension")
    return p


def _coefficients_of(name: str, p: Any) -> Any:
    if isinstance(p, _np.poly1d):
        raise ArgumentError(f"{name}: a poly1d is not supported together with traced coefficients; pass its .coeffs")
    return as_array(p)


def _aligned(name: str, a1: Any, a2: Any) -> tuple[Any, Any]:
    """Both coefficient vectors with leading zeros up to the longer one's length."""
    a1, a2 = _coefficients(name, a1), _coefficients(name, a2)
    size = max(a1.shape[0], a2.shape[0])
    both = [concatenate([_np.zeros(size - a.shape[0], a.dtype), a]) if a.shape[0] < size else a for a in (a1, a2)]
    return both[0], both[1]


_PAIRS = lambda: [call(normals(3), normals(2)), call(normals(2), normals(2, seed=1))]


@composite(samples=_PAIRS)
def polyadd(a1, a2):
    """As ``numpy.polyadd``."""
    return ew.add(*_aligned("polyadd", a1, a2)) if is_traced(a1, a2) else _np.polyadd(a1, a2)


@composite(samples=_PAIRS)
def polysub(a1, a2):
    """As ``numpy.polysub``."""
    return ew.subtract(*_aligned("polysub", a1, a2)) if is_traced(a1, a2) else _np.polysub(a1, a2)


@composite(samples=_PAIRS)
@valued_by(_np.polymul)
def polymul(a1, a2):
    """As ``numpy.polymul``."""
    return convolve(_trimmed("polymul", a1), _trimmed("polymul", a2))


def _trimmed(name: str, p: Any) -> Any:
    """The coefficients without leading zeros, of which the last stays."""
    p = _coefficients(name, p)
    places = _np.flatnonzero(plain_value(p))
    return p[places[0] :] if places.size else _np.zeros(1, p.dtype)


@composite(samples=lambda: [call(normals(4)), call(normals(4), 2)])
def polyder(p, m=1):
    """As ``numpy.polyder``."""
    if not is_traced(p):
        return _np.polyder(p, m)
    p = _one_dimensional(_coefficients_of("polyder", p))
    for _ in range(m):
        p = ew.multiply(p[:-1], _np.arange(p.shape[0] - 1, 0, -1))
    return p


@composite(samples=lambda: [call(normals(3)), call(normals(2), 2, _np.array([0.5, 1.5]))])
def polyint(p, m=1, k=None):
    """As ``numpy.polyint``; the constants of integration are differentiable too."""
    if not is_traced(p, k):
        return _np.polyint(p, m, k)
    p = _one_dimensional(_coefficients_of("polyint", p))
    constants = _np.zeros(m) if k is None else _coefficients("polyint", k)
    if constants.shape[0] == 1 and m > 1:
        constants = constants * _np.ones(m)
    if constants.shape[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = concatenate([ew.divide(p, _np.arange(p.shape[0], 0, -1)), constants[i : i + 1]])
    return p


@composite(samples=lambda: [call(normals(3)), call(complexes(2))], complex=False)
@valued_by(_np.poly)
def poly(seq_of_zeros):
    """As ``numpy.poly`` of a list of roots; a matrix is refused when traced."""
    roots = as_array(seq_of_zeros)
    if roots.ndim != 1:
        raise ArgumentError("poly: seq_of_zeros as a matrix is not supported when traced; pass its eigenvalues")
    result: Any = _np.ones(1, roots.dtype)
    for root in roots:
        result = concatenate([result, _np.zeros(1, roots.dtype)]) - concatenate(
            [_np.zeros(1, roots.dtype), ew.multiply(root, result)]
        )
    return result


@composite(samples=lambda: [call(positives(3)), call(normals(4), 3, increasing=True), call(normals(2), N=1)])
def vander(x, N=None, increasing=False):
    """As ``numpy.vander``."""
    if not is_traced(x):
        return _np.vander(x, N, increasing)
    x = as_array(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    count = x.shape[0] if N is None else N
    exponents = _np.arange(count)
    x = astype(x, _np.promote_types(x.dtype, int))  # as NumPy
    kind = _np.finfo(x.dtype).dtype
    return ew.power(reshape(x, (-1, 1)), (exponents if increasing else exponents[::-1]).astype(kind))


@composite(
    complex=False,
    samples=lambda: [
        call(normals(6), normals(6, seed=1), 2),
        call(positives(5), normals(5, 2), 1),
        call(normals(6), normals(6, seed=2), 1, w=positives(6)),
    ],
)
@valued_by(_np.polyfit, refuses=("full", "cov"))
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """As ``numpy.polyfit``; ``full`` and ``cov`` are refused for traced arrays."""
    from .linalg import lstsq

    x, y = as_array(x) + 0.0, as_array(y) + 0.0
    left, right = vander(x, int(deg) + 1), y
    if w is not None:
        w = as_array(w)
        left = ew.multiply(left, reshape(w, (-1, 1)))
        right = ew.multiply(right, w if y.ndim == 1 else reshape(w, (-1, 1)))
    scale = ew.sqrt(reductions.sum(ew.square(left), 0))
    solution = lstsq(ew.divide(left, scale), right, rcond)[0]
    return ew.divide(solution, scale if y.ndim == 1 else reshape(scale, (-1, 1)))


# ---------------------------------------------------------------- interpolation


@composite(
    complex=False,
    samples=lambda: [
        call(2 * normals(4), _np.cumsum(positives(5)) - 3, normals(5)),
        call(3 * normals(4), _np.array([-1.0, 0.2, 1.3]), normals(3), -2.0, 1.5),
        call(normals(2, 2), _np.array([-1.0, 0.2, 1.3]), normals(3), period=1.7),
        call(0.3, _np.array([-1.0, 1.3]), normals(2)),
    ],
)
@scalar_results
def interp(x, xp, fp, left=None, right=None, period=None):
    """As ``numpy.interp``; at a knot the derivative is that of the piece to its right. All but ``period`` count."""
    if not is_traced(x, xp, fp, left, right):
        refuse_traced("interp", period=period)
        return _np.interp(x, xp, fp, left, right, period)
    refuse_traced("interp", period=period)
    fp = as_array(fp)
    kind = _np.complex128 if fp.dtype.kind == "c" else _np.float64
    if period is not None:  # NumPy converts without asking whether it is safe
        x, xp, fp = astype(as_array(x), _np.float64), astype(as_array(xp), _np.float64), astype(fp, kind)
    fp = _double(fp, kind)
    if fp.dtype.kind == "c":  # NumPy interpolates the parts
        ends = [None if end is None else as_array(end) for end in (left, right)]
        parts = []
        for part in (ew.real, ew.imag):
            parts.append(interp(x, xp, part(fp), *[None if end is None else part(end) for end in ends], period))
        inside = x if period is None else ew.mod(x, abs(period))
        return complex_of(parts[0], ew.where(ew.isnan(inside), 0.0, parts[1]))  # of NaN there is no imaginary part
    x, xp = _double(x, _np.float64), _double(xp, _np.float64)
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, abs(period))
        left = right = None
    left, right = fp[0] if left is None else left, fp[-1] if right is None else right
    if xp.shape[0] == 1:
        return ew.where(ew.less(x, xp[0]), left, ew.where(ew.greater(x, xp[0]), right, fp[0]))
    result = ew.where(ew.less(x, xp[0]), left, _on_pieces(x, xp, fp))
    result = ew.where(ew.greater(x, xp[-1]), right, result)
    return ew.where(ew.isnan(x), x, result)


def _on_pieces(x: Any, xp: Any, fp: Any) -> Any:
    """The line through the two knots around ``x``: from the left one, and where that is NaN from the right one."""
    piece = _piece_of(xp, x)
    start, end, low, high = take(xp, piece), take(xp, piece + 1), take(fp, piece), take(fp, piece + 1)
    slope = ew.divide(ew.subtract(high, low), ew.subtract(end, start))
    inside = ew.add(ew.multiply(slope, ew.subtract(x, start)), low)
    from_right = ew.add(ew.multiply(slope, ew.subtract(x, end)), high)
    from_right = ew.where(ew.logical_and(ew.isnan(from_right), ew.equal(low, high)), low, from_right)
    inside = ew.where(ew.isnan(inside), from_right, inside)
    # a knot has its own value, also next to an infinite one; its derivative is still that of the piece
    hit = ew.logical_and(ew.equal(x, start), ew.logical_not(ew.equal(inside, low)))
    last = ew.logical_and(ew.equal(x, xp[-1]), ew.logical_not(ew.equal(inside, fp[-1])))
    return ew.where(last, fp[-1], ew.where(hit, low, inside))


def _double(x: Any, dtype: Any) -> Any:
    x = as_array(x)
    if not _np.can_cast(x.dtype, dtype, "safe"):
        raise TypeError(f"Cannot cast array data from {x.dtype!r} to {_np.dtype(dtype)!r} according to the rule 'safe'")
    return astype(x, dtype)


def _raw_piece_of(xp: Any, x: Any) -> Any:
    return _np.clip(_np.searchsorted(xp, x, "right") - 1, 0, len(xp) - 2)


_piece_of = ew.nondifferentiable(_raw_piece_of, name="piece_of")


def _periodic(x: Any, xp: Any, fp: Any, period: float) -> tuple:
    """The knots of one period in order, with one more at each end."""
    from .sorting import argsort

    x, xp = ew.mod(x, period), ew.mod(xp, period)
    order = argsort(xp)
    xp, fp = take(xp, order), take(fp, order)
    xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, concatenate([fp[-1:], fp, fp[:1]])


# ---------------------------------------------------------------- convolution


def _pull_convolution(g: Any, other: Any, size: int) -> Any:
    """The cotangent of one operand: ``g`` correlated with the other."""
    start = shape_of(other)[0] - 1
    return _convolve_full(g, flip(other, 0))[start : start + size]


#: ``(a, v)``: the full convolution of two vectors, linear in each
_convolve_full = general(
    lambda a, v: _np.convolve(a, v),
    {
        0: lambda ans, a, v: lambda g: _pull_convolution(g, v, shape_of(a)[0]),
        1: lambda ans, a, v: lambda g: _pull_convolution(g, a, shape_of(v)[0]),
    },
    {0: "same", 1: "same"},
    name="convolve_full",
    samples=lambda: [call(normals(4), normals(3)), call(normals(1), normals(3))],
)

_MODES = {0: "valid", 1: "same", 2: "full"}
_SAMPLES = lambda: [
    call(normals(*a), normals(*b, seed=1), mode)
    for a, b in (((5,), (3,)), ((2,), (5,)), ((4,), (4,)), ((5,), (2,)))
    for mode in ("full", "same", "valid")
]


@composite(samples=_SAMPLES)
def convolve(a, v, mode="full"):
    """As ``numpy.convolve``."""
    if not is_traced(a, v):
        return _np.convolve(a, v, mode)
    a, v = _vector("a", a), _vector("v", v)
    mode = _MODES.get(mode, mode)
    longer, shorter = max(a.shape[0], v.shape[0]), min(a.shape[0], v.shape[0])
    full = _convolve_full(a, v)
    if mode == "full":
        return full
    if mode == "valid":
        return full[shorter - 1 : longer]
    if mode == "same":
        start = (shorter - 1) // 2
        return full[start : start + longer]
    raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")


def _vector(name: str, x: Any) -> Any:
    x = as_array(x)
    x = reshape(x, (1,)) if x.ndim == 0 else x
    if x.ndim != 1:
        raise ValueError("object too deep for desired array")
    if x.shape[0] == 0:
        raise ValueError(f"{name} cannot be empty")
    return x


@composite(samples=_SAMPLES)
def correlate(a, v, mode="valid"):
    """As ``numpy.correlate``: ``v`` is conjugated."""
    if not is_traced(a, v):
        return _np.correlate(a, v, mode)
    if shape_of(a) == () or shape_of(v) == ():
        raise ValueError("object of too small depth for desired array")
    a, v = _vector("a", a), _vector("v", v)
    mode = _MODES.get(mode, mode)
    if mode == "same" and a.shape[0] < v.shape[0]:  # NumPy swaps the operands, which shifts an even window
        return flip(conjugated(correlate(v, a, "same")), 0)
    return convolve(a, flip(conjugated(v), 0), mode)
