"""``numpy.linalg``, with derivatives; batched wherever NumPy is.

Every other name is NumPy's own. On plain values NumPy itself is called.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as _np
from numpy.linalg import LinAlgError
from numpy.linalg._linalg import EigResult, QRResult, SVDResult

from ..errors import ArgumentError
from ..trace.plain_errors import plain_errors
from ..trace.rules import general, nondifferentiable, valued_by, with_formula
from . import decompositions as _dec
from . import elementwise as _ew
from . import products as _products
from . import reductions as _red
from . import shaping as _shaping
from . import solving as _solving
from .arguments import (
    NoValue,
    is_traced,
    normalise_axes,
    normalise_axis,
    reduced_shape,
    refuse,
    scalar_results,
    shape_of,
)
from .solving import inexact, is_complex, mh


def __getattr__(name: str) -> Any:
    """Names without a derivative are NumPy's."""
    try:
        return getattr(_np.linalg, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.numpy.linalg' (like numpy.linalg) has no attribute {name!r}"
        ) from None


def _stacked(a: Any, square: bool = False) -> Any:
    """``a`` as an array of matrices, checked as NumPy checks it."""
    a = inexact(a)
    shape = shape_of(a)
    if len(shape) < 2:
        raise LinAlgError(f"{len(shape)}-dimensional array given. Array must be at least two-dimensional")
    if square and shape[-1] != shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    return a


# ---------------------------------------------------------------- systems, inverses, determinants


@plain_errors
def solve(a, b):
    """As ``numpy.linalg.solve``: ``b`` is a vector only if it is one-dimensional."""
    if not is_traced(a, b):
        return _np.linalg.solve(a, b)
    a, b = _stacked(a, square=True), inexact(b)
    if len(shape_of(b)) == 1:
        return _solving.solve_matrix(a, b[:, None])[..., 0]
    return _solving.solve_matrix(a, b)


@plain_errors
def inv(a):
    """As ``numpy.linalg.inv``."""
    return _solving.inverse(_stacked(a, square=True)) if is_traced(a) else _np.linalg.inv(a)


@plain_errors
def det(a):
    """As ``numpy.linalg.det``; right for singular matrices too."""
    return _solving.determinant(_stacked(a, square=True)) if is_traced(a) else _np.linalg.det(a)


@plain_errors
def slogdet(a):
    """As ``numpy.linalg.slogdet``, a named tuple ``(sign, logabsdet)``."""
    return _solving.sign_and_logdet(_stacked(a, square=True)) if is_traced(a) else _np.linalg.slogdet(a)


@plain_errors
def pinv(a, rcond=None, hermitian=False, *, rtol=NoValue):
    """As ``numpy.linalg.pinv``; the derivative holds where the rank does not change."""
    if not is_traced(a, rcond, rtol):
        return _np.linalg.pinv(a, rcond, hermitian, rtol=rtol)
    if is_traced(rcond, rtol):
        raise ArgumentError("pinv: rcond= and rtol= must be plain numbers, they have no derivative")
    a = _stacked(a)
    if hermitian:
        a = _dec.hermitian_part(a, True)
    if rcond is None:
        precision = _np.finfo(a.dtype).eps.item()
        rcond = max(a.shape[-2:]) * precision if rtol is None or rtol is NoValue else rtol
        rcond = 1e-15 if rtol is NoValue else rcond
    return _solving.pseudo_inverse(a, rcond, bool(hermitian))


@valued_by(_np.linalg.lstsq)
def lstsq(a, b, rcond=None):
    """As ``numpy.linalg.lstsq``: ``(x, residuals, rank, s)``; rank has no derivative."""
    a, b = inexact(a), inexact(b)
    if rcond is None or rcond == -1:
        precision = _np.finfo(_np.result_type(a.dtype, b.dtype, _np.float32)).eps.item()
        rcond = precision if rcond == -1 else precision * max(a.shape)
    vector = b.ndim == 1
    right = b[:, None] if vector else b
    x = _solving.least_squares(a, right, rcond)
    s = svdvals(a)
    rank = int(_red.count_nonzero(s > rcond * s[0])) if min(a.shape) else 0
    rows, columns = a.shape
    misfit = _ew.square(_ew.absolute(right - _products.matmul(a, x)))
    residuals = _red.sum(misfit, axis=0) if rank == columns < rows else _np.empty(0, s.dtype)
    return x[:, 0] if vector else x, residuals, rank, s


@plain_errors
def matrix_power(a, n):
    """As ``numpy.linalg.matrix_power``."""
    if not is_traced(a):
        return _np.linalg.matrix_power(a, n)
    a = _stacked(a, square=True)
    n = operator.index(n)
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return _np.array(_np.broadcast_to(_np.eye(a.shape[-1], dtype=a.dtype), a.shape))
    if n == 3:  # in NumPy's order
        return _products.matmul(_products.matmul(a, a), a)
    result = None
    while n:
        if n & 1:
            result = a if result is None else _products.matmul(result, a)
        n >>= 1
        if n:
            a = _products.matmul(a, a)
    return result


@plain_errors
def tensorsolve(a, b, axes=None):
    """As ``numpy.linalg.tensorsolve``."""
    if not is_traced(a, b):
        return _np.linalg.tensorsolve(a, b, axes)
    a, b = inexact(a), inexact(b)
    if axes is not None:
        moved = [normalise_axis(axis, a.ndim) for axis in axes]
        a = _shaping.transpose(a, [axis for axis in range(a.ndim) if axis not in moved] + moved)
    shape = a.shape[b.ndim :]
    size = int(_np.prod(shape))
    if a.size != size**2:
        raise LinAlgError("Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])")
    return _shaping.reshape(solve(_shaping.reshape(a, (size, size)), _shaping.ravel(b)), shape)


@plain_errors
def tensorinv(a, ind=2):
    """As ``numpy.linalg.tensorinv``."""
    if not is_traced(a):
        return _np.linalg.tensorinv(a, ind)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = a.shape[ind:] + a.shape[:ind]
    return _shaping.reshape(inv(_shaping.reshape(a, (int(_np.prod(a.shape[ind:])), -1))), shape)


# ---------------------------------------------------------------- factorizations


@plain_errors
def cholesky(a, /, *, upper=False):
    """As ``numpy.linalg.cholesky``. The cotangent is Hermitian, as Autograd's: the derivative among such matrices."""
    if not is_traced(a):
        return _np.linalg.cholesky(a, upper=upper)
    a = _stacked(a, square=True)
    return _cholesky_upper(a) if upper else _dec.cholesky_lower(a)


#: from the upper triangle, which LAPACK rounds in another order than the lower one
_cholesky_upper = with_formula(
    lambda a: _np.linalg.cholesky(a, upper=True), lambda a: mh(_dec.cholesky_lower(mh(a))), name="cholesky_upper"
)


@plain_errors
def eigh(a, UPLO="L"):
    """As ``numpy.linalg.eigh``: only the triangle ``UPLO`` is read, and so has a derivative.

    Where eigenvalues coincide, functions of the eigenvalues alone have a derivative; the eigenvectors' is NaN.
    """
    if not is_traced(a):
        return _np.linalg.eigh(a, UPLO)
    uplo = UPLO.upper()
    if uplo not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return _dec.eigen_hermitian(_dec.hermitian_part(_stacked(a, square=True), uplo == "L"), uplo)


@plain_errors
def eigvalsh(a, UPLO="L"):
    """As ``numpy.linalg.eigvalsh``."""
    return _eigvalsh(_stacked(a, square=True), UPLO) if is_traced(a) else _np.linalg.eigvalsh(a, UPLO)


#: LAPACK finds eigenvalues and singular values alone by other steps, which round and converge otherwise
_eigvalsh = with_formula(
    lambda a, uplo: _np.linalg.eigvalsh(a, uplo), lambda a, uplo: eigh(a, uplo).eigenvalues, name="eigvalsh"
)
_svdvals = with_formula(
    lambda a: _np.linalg.svd(a, compute_uv=False), lambda a: _dec.singular(a, False)[1], name="svdvals"
)


@plain_errors
def eig(a):
    """As ``numpy.linalg.eig``, with LAPACK's normalisation of the eigenvectors."""
    if not is_traced(a):
        return _np.linalg.eig(a)
    w, v = _dec.eigen(_stacked(a, square=True))
    return EigResult(w, v)


@plain_errors
def eigvals(a):
    """As ``numpy.linalg.eigvals``."""
    return eig(a).eigenvalues if is_traced(a) else _np.linalg.eigvals(a)


@plain_errors
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """As ``numpy.linalg.svd``. The trailing columns of full factors are fixed only up to a rotation."""
    if not is_traced(a):
        return _np.linalg.svd(a, full_matrices, compute_uv, hermitian)
    a = _stacked(a)
    if hermitian:
        result = _dec.hermitian_singular(_stacked(a, square=True))
        return SVDResult(*result) if compute_uv else result[1]
    return SVDResult(*_dec.singular(a, bool(full_matrices))) if compute_uv else _svdvals(a)


@plain_errors
def svdvals(x, /):
    """As ``numpy.linalg.svdvals``."""
    return svd(x, compute_uv=False) if is_traced(x) else _np.linalg.svdvals(x)


@plain_errors
def qr(a, mode="reduced"):
    """As ``numpy.linalg.qr``, modes reduced, complete and r, for full rank; raw is refused for traced arrays."""
    if not is_traced(a):
        return _np.linalg.qr(a, mode)
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"qr: mode={mode!r} is not supported for traced arrays")
    a = _stacked(a)
    is_thin = a.shape[-2] >= a.shape[-1] and mode != "complete"
    return _qr_by_formula(a, mode) if is_thin else _qr(a, mode)


def _qr_by_formula(a: Any, mode: str) -> Any:
    rows, columns = a.shape[-2:]
    q, r = _dec.qr_tall(a) if rows >= columns else _dec.qr_wide(a)
    if mode == "r":
        return r
    if mode == "complete" and rows > columns:
        from .joining import concatenate

        q = concatenate([q, _dec.complement(q)], -1)
        r = concatenate([r, _np.zeros((*a.shape[:-2], rows - columns, columns), a.dtype)], -2)
    return QRResult(q, r)


_qr = with_formula(lambda a, mode: _np.linalg.qr(a, mode), _qr_by_formula, name="qr")
matrix_rank = nondifferentiable(_np.linalg.matrix_rank)

# ---------------------------------------------------------------- norms

_TINY = _np.zeros((), _np.float32)


def _scaled(x: Any, ans: Any, axes: tuple, keepdims: bool) -> Any:
    """``conj(x) / norm``, and 0 where the norm is: the centre of the subdifferential."""
    if not keepdims and axes:
        ans = _shaping.reshape(ans, reduced_shape(shape_of(x), axes))
    numerator = _ew.conj(x) if is_complex(x) else x
    return _ew.divide(numerator, _ew.where(_ew.equal(ans, 0), _np.ones((), _np.float32), ans))


def _euclidean_vjp(ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    def pull(g: Any) -> Any:
        if not keepdims and axes:
            g = _shaping.reshape(g, reduced_shape(shape_of(x), axes))
        return _ew.multiply(g, _scaled(x, ans, axes, keepdims))

    return pull


euclidean = general(
    lambda x, axes, keepdims: _np.sqrt(
        _np.sum(
            _np.real(x) ** 2 + _np.imag(x) ** 2 if _np.iscomplexobj(x) else x * x,
            axis=axes,
            keepdims=keepdims,
        )
    ),
    {0: _euclidean_vjp},
    {
        0: lambda t, ans, x, axes, keepdims: _red.sum(
            _ew.multiply(t, _scaled(x, ans, axes, keepdims)), axis=axes, keepdims=keepdims
        )
    },
    name="norm",
    samples=lambda: [
        ((_np.arange(1.0, 7.0).reshape(2, 3), (1,), False), {}),
        ((_np.ones(3) + 1j, (0,), True), {}),
    ],
)


def _largest(x: Any, axes: tuple, keepdims: bool) -> Any:
    """The maximum of numbers that are not negative, 0 where there are none."""
    if x.size:
        return _red.max(x, axes, keepdims=keepdims)
    return _red.max(x, axes, keepdims=keepdims, initial=0)


def _power_norm(x: Any, ord: Any, axes: tuple, keepdims: bool) -> Any:
    """``sum(abs(x) ** ord) ** (1 / ord)``, with derivative 0 rather than NaN where the sum is 0."""
    total = _red.sum(_ew.power(_ew.absolute(x), ord), axis=axes, keepdims=keepdims)
    inverse = _np.reciprocal(ord, dtype=total.dtype)
    if ord < 0:
        return _ew.power(total, inverse)
    zero, one = _np.zeros((), total.dtype), _np.ones((), total.dtype)
    vanishes = _ew.equal(total, 0)
    return _ew.where(vanishes, zero, _ew.power(_ew.where(vanishes, one, total), inverse))


def _as_inexact(x: Any) -> Any:
    """``x`` as an array; integers as floats, so that nothing wraps."""
    x = inexact(x)
    return _shaping.astype(x, float) if x.dtype.kind in "iub" else x


def _vector_norm(x: Any, ord: Any, axes: tuple, keepdims: bool) -> Any:
    if is_traced(ord):
        raise ArgumentError("norm: ord= has no derivative, pass a plain number")
    if ord is None or ord == 2:
        return euclidean(x, axes, keepdims)
    if ord == _np.inf:
        return _largest(_ew.absolute(x), axes, keepdims)
    if ord == -_np.inf:
        return _red.min(_ew.absolute(x), axis=axes, keepdims=keepdims)
    if ord == 0:
        return _red.sum(_ew.not_equal(x, 0).astype(x.real.dtype), axis=axes, keepdims=keepdims)
    if ord == 1:
        return _red.sum(_ew.absolute(x), axis=axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    return _power_norm(x, ord, axes, keepdims)


def _matrix_norm(x: Any, ord: Any, row: int, column: int, keepdims: bool) -> Any:
    if ord in (None, "fro", "f"):
        return euclidean(x, tuple(sorted((row, column))), keepdims)
    if ord in ("nuc", 2, -2):
        values = svdvals(_shaping.moveaxis(x, (row, column), (-2, -1)))
        last = (values.ndim - 1,)
        if ord == 2:
            result = _largest(values, last, False)
        else:
            result = _red.sum(values, last) if ord == "nuc" else _red.min(values, last)
    elif ord in (1, -1, _np.inf, -_np.inf):
        summed = row if abs(ord) == 1 else column
        sums = _red.sum(_ew.absolute(x), axis=summed, keepdims=True)
        both = tuple(sorted((row, column)))
        result = _largest(sums, both, False) if ord > 0 else _red.min(sums, both)
    else:
        raise ValueError("Invalid norm order for matrices.")
    return _shaping.reshape(result, reduced_shape(x.shape, (row, column))) if keepdims else result


@plain_errors
@scalar_results
def norm(x, ord=None, axis=None, keepdims=False):
    """As ``numpy.linalg.norm``; at 0 the derivative is 0, not NaN."""
    if not is_traced(x, ord):
        return _np.linalg.norm(x, ord, axis, keepdims)
    x = _as_inexact(x)
    keepdims = bool(keepdims)
    if axis is None and (ord is None or (ord == 2 and x.ndim == 1) or (ord in ("f", "fro") and x.ndim == 2)):
        return euclidean(x, tuple(range(x.ndim)), keepdims)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (operator.index(axis),)
    axes = tuple(normalise_axis(a, x.ndim) for a in axes)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        if axes[0] == axes[1]:
            raise ValueError("Duplicate axes given.")
        return _matrix_norm(x, ord, *axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


@plain_errors
@scalar_results
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """As ``numpy.linalg.vector_norm``."""
    if not is_traced(x, ord):
        return _np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)
    x = _as_inexact(x)
    return _vector_norm(x, ord, normalise_axes(axis, x.ndim), bool(keepdims))


@plain_errors
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """As ``numpy.linalg.matrix_norm``."""
    if not is_traced(x):
        return _np.linalg.matrix_norm(x, keepdims=keepdims, ord=ord)
    x = _stacked(_as_inexact(x))
    return _matrix_norm(x, ord, x.ndim - 2, x.ndim - 1, bool(keepdims))


@valued_by(_np.linalg.cond)
def cond(x, p=None):
    """As ``numpy.linalg.cond``; infinite for singular matrices."""
    x = _stacked(x)
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, axis=(-2, -1)) * norm(inv(x), p, axis=(-2, -1))


# ---------------------------------------------------------------- products, as the array API standard has them


@plain_errors
def multi_dot(arrays, *, out=None):
    """As ``numpy.linalg.multi_dot``: the cheapest order of products."""
    arrays = list(arrays)
    if not is_traced(arrays):
        return _np.linalg.multi_dot(arrays, out=out)
    refuse("multi_dot", out=out)
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    arrays = [inexact(a) for a in arrays]
    first, last = arrays[0].ndim == 1, arrays[-1].ndim == 1
    if first:
        arrays[0] = arrays[0][None, :]
    if last:
        arrays[-1] = arrays[-1][:, None]
    if any(a.ndim != 2 for a in arrays):
        raise LinAlgError("multi_dot: arrays between the first and the last must be two-dimensional")
    result = _cheapest_product(arrays)
    if first:
        result = result[0]
    return result[..., 0] if last else result


def _cheapest_product(arrays: list) -> Any:
    """Matrix-chain multiplication by dynamic programming."""
    count = len(arrays)
    sizes = [a.shape[0] for a in arrays] + [arrays[-1].shape[1]]
    cost: dict = {(i, i): (0, i) for i in range(count)}
    for width in range(1, count):
        for i in range(count - width):
            j = i + width
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def multiply(i: int, j: int) -> Any:
        if i == j:
            return arrays[i]
        k = cost[i, j][1]
        return _products.matmul(multiply(i, k), multiply(k + 1, j))

    return multiply(0, count - 1)


@plain_errors
def trace(x, /, *, offset=0, dtype=None):
    """As ``numpy.linalg.trace``: of the last two axes."""
    if not is_traced(x):
        return _np.linalg.trace(x, offset=offset, dtype=dtype)
    return _shaping.trace(x, offset, -2, -1, dtype)


@plain_errors
def diagonal(x, /, *, offset=0):
    """As ``numpy.linalg.diagonal``: of the last two axes."""
    return _shaping.diagonal(x, offset, -2, -1) if is_traced(x) else _np.linalg.diagonal(x, offset=offset)


@plain_errors
def outer(x1, x2, /):
    """As ``numpy.linalg.outer``: of two vectors."""
    if not is_traced(x1, x2):
        return _np.linalg.outer(x1, x2)
    x1, x2 = inexact(x1), inexact(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"Input arrays must be one-dimensional, but they are x1.ndim={x1.ndim} and x2.ndim={x2.ndim}.")
    return _ew.multiply(x1[:, None], x2)


@plain_errors
def cross(x1, x2, /, *, axis=-1):
    """As ``numpy.linalg.cross``: of vectors of length 3."""
    if not is_traced(x1, x2):
        return _np.linalg.cross(x1, x2, axis=axis)
    x1, x2 = inexact(x1), inexact(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    return _products.cross(x1, x2, axis=axis)


@plain_errors
def matmul(x1, x2, /):
    """As ``numpy.linalg.matmul``."""
    return _products.matmul(x1, x2)


@plain_errors
def tensordot(x1, x2, /, *, axes=2):
    """As ``numpy.linalg.tensordot``."""
    return _products.tensordot(x1, x2, axes)


@plain_errors
def vecdot(x1, x2, /, *, axis=-1):
    """As ``numpy.linalg.vecdot``: the first argument is conjugated."""
    if not is_traced(x1, x2):
        return _np.linalg.vecdot(x1, x2, axis=axis)  # type: ignore[call-overload]
    return _products.vecdot(x1, x2, axis=axis)


@plain_errors
def matrix_transpose(x, /):
    """As ``numpy.linalg.matrix_transpose``."""
    return _shaping.matrix_transpose(x)
