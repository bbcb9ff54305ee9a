"""``scipy.linalg``, with derivatives. Every other name is SciPy's own; on plain values SciPy itself is called.

``overwrite_*`` arguments only permit SciPy to overwrite, and nothing traced is overwritten; ``check_finite`` checks.
"""

from __future__ import annotations

from typing import Any

import numpy as _np
import scipy.linalg as _sl

from ..errors import ArgumentError
from ..numpy import linalg as _nl
from ..numpy.arguments import is_traced, shape_of
from ..numpy.decompositions import hermitian_part
from ..numpy.products import matmul
from ..numpy.shaping import tril, triu
from ..numpy.solving import inexact, mh, mt, solve_matrix
from .matrix_functions import coshm as coshm
from .matrix_functions import cosm as cosm
from .matrix_functions import expm as expm
from .matrix_functions import expm_frechet as expm_frechet
from .matrix_functions import fractional_matrix_power as fractional_matrix_power
from .matrix_functions import logm as logm
from .matrix_functions import polar as polar
from .matrix_functions import sinhm as sinhm
from .matrix_functions import sinm as sinm
from .matrix_functions import solve_continuous_lyapunov as solve_continuous_lyapunov
from .matrix_functions import solve_lyapunov as solve_lyapunov
from .matrix_functions import solve_sylvester as solve_sylvester
from .matrix_functions import sqrtm as sqrtm
from .structured import block_diag as block_diag
from .structured import checked
from .structured import cholesky_banded as cholesky_banded
from .structured import circulant as circulant
from .structured import hankel as hankel
from .structured import lu_factor as lu_factor
from .structured import lu_solve as lu_solve
from .structured import solve_banded as solve_banded
from .structured import solve_triangular as solve_triangular
from .structured import solveh_banded as solveh_banded
from .structured import toeplitz as toeplitz


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_sl, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.linalg' (like scipy.linalg) has no attribute {name!r}"
        ) from None


def _refused(function: str, **arguments: Any) -> None:
    """Raise ArgumentError for arguments that differ from their defaults, given as ``name=(value, default)``."""
    for name, (value, default) in arguments.items():
        if value is not default and value != default:
            raise ArgumentError(f"{function}: {name}={value!r} is not supported for traced arrays")


# ---------------------------------------------------------------- systems, inverses, determinants

_STRUCTURES = {
    None: "general",
    "gen": "general",
    "general": "general",
    "banded": "general",
    "diagonal": "diagonal",
    "tridiagonal": "tridiagonal",
    "upper triangular": "upper",
    "lower triangular": "lower",
    "sym": "symmetric",
    "symmetric": "symmetric",
    "her": "hermitian",
    "hermitian": "hermitian",
    "pos": "hermitian",
    "positive definite": "hermitian",
}


def _structured(a: Any, assume_a: Any, lower: bool) -> Any:
    """The matrix that SciPy solves with when told to ``assume_a``: the elements it reads, mirrored."""
    if assume_a not in _STRUCTURES:
        raise ValueError(f"{assume_a} is not a recognized matrix structure")
    structure = _STRUCTURES[assume_a]
    if structure == "hermitian":
        return hermitian_part(a, lower)
    if structure == "symmetric":
        half = tril(a, -1) if lower else triu(a, 1)
        return half + mt(half) + tril(triu(a))
    if structure in ("diagonal", "tridiagonal"):
        width = 0 if structure == "diagonal" else 1
        return tril(triu(a, -width), width)
    return {"upper": triu, "lower": tril}.get(structure, lambda x: x)(a)


def solve(
    a,
    b,
    lower=False,
    overwrite_a=False,
    overwrite_b=False,
    check_finite=True,
    assume_a=None,
    transposed=False,
):
    """As ``scipy.linalg.solve``; traced, every structure is solved as a general system of the elements it reads."""
    if not is_traced(a, b):
        return _sl.solve(a, b, lower, overwrite_a, overwrite_b, check_finite, assume_a, transposed)
    a, b = inexact(a), inexact(b)
    checked(check_finite, a, b)
    a = _structured(a, assume_a, bool(lower))
    a = mt(a) if transposed else a
    if len(shape_of(b)) == 1:
        return solve_matrix(a, b[:, None])[..., 0]
    return solve_matrix(a, b)


def inv(a, overwrite_a=False, check_finite=True, *, assume_a=None, lower=False):
    """As ``scipy.linalg.inv``."""
    if not is_traced(a):
        return _sl.inv(a, overwrite_a, check_finite, assume_a=assume_a, lower=lower)
    a = inexact(a)
    checked(check_finite, a)
    return _nl.inv(_structured(a, assume_a, bool(lower)))


def det(a, overwrite_a=False, check_finite=True):
    """As ``scipy.linalg.det``."""
    if not is_traced(a):
        return _sl.det(a, overwrite_a, check_finite)
    checked(check_finite, a)
    return _nl.det(a)


def pinv(a, *, atol=None, rtol=None, return_rank=False, check_finite=True):
    """As ``scipy.linalg.pinv``; ``atol`` is refused for traced arrays."""
    if not is_traced(a):
        return _sl.pinv(a, atol=atol, rtol=rtol, return_rank=return_rank, check_finite=check_finite)
    _refused("pinv", atol=(atol, None))
    checked(check_finite, a)
    rtol = max(shape_of(a)[-2:]) * _np.finfo(a.dtype).eps.item() if rtol is None else rtol
    inverse = _nl.pinv(a, rtol)
    return (inverse, int(_nl.matrix_rank(a, rtol=rtol))) if return_rank else inverse


def lstsq(a, b, cond=None, overwrite_a=False, overwrite_b=False, check_finite=True, lapack_driver=None):
    """As ``scipy.linalg.lstsq``; the driver makes no difference to a traced result."""
    if not is_traced(a, b):
        return _sl.lstsq(a, b, cond, overwrite_a, overwrite_b, check_finite, lapack_driver)
    a, b = inexact(a), inexact(b)
    checked(check_finite, a, b)
    return tuple(_nl.lstsq(a, b, _np.finfo(a.dtype).eps.item() if cond is None else cond))


def norm(a, ord=None, axis=None, keepdims=False, check_finite=True):
    """As ``scipy.linalg.norm``."""
    if not is_traced(a):
        return _sl.norm(a, ord, axis, keepdims, check_finite)
    checked(check_finite, a)
    return _nl.norm(a, ord, axis, keepdims)


# ---------------------------------------------------------------- factorizations


def cholesky(a, lower=False, overwrite_a=False, check_finite=True):
    """As ``scipy.linalg.cholesky``: upper by default."""
    if not is_traced(a):
        return _sl.cholesky(a, lower, overwrite_a, check_finite)
    checked(check_finite, a)
    return _nl.cholesky(a, upper=not lower)


def cho_factor(a, lower=False, overwrite_a=False, check_finite=True):
    """As ``scipy.linalg.cho_factor``; the other triangle, which SciPy leaves undefined, is zero."""
    if not is_traced(a):
        return _sl.cho_factor(a, lower, overwrite_a, check_finite)
    return cholesky(a, lower, overwrite_a, check_finite), lower


def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True):
    """As ``scipy.linalg.cho_solve``."""
    c, lower = c_and_lower
    if not is_traced(c, b):
        return _sl.cho_solve(c_and_lower, b, overwrite_b, check_finite)
    first, second = ("N", "C") if lower else ("C", "N")
    half = solve_triangular(c, b, first, lower, check_finite=check_finite)
    return solve_triangular(c, half, second, lower, check_finite=False)


def eigh(
    a,
    b=None,
    *,
    lower=True,
    eigvals_only=False,
    overwrite_a=False,
    overwrite_b=False,
    type=1,
    check_finite=True,
    subset_by_index=None,
    subset_by_value=None,
    driver=None,
):
    """As ``scipy.linalg.eigh``, generalized problems of each type too; ``subset_by_value`` is refused when traced."""
    if not is_traced(a, b):
        given = {
            "lower": lower,
            "eigvals_only": eigvals_only,
            "overwrite_a": overwrite_a,
            "overwrite_b": overwrite_b,
            "type": type,
            "check_finite": check_finite,
            "subset_by_index": subset_by_index,
            "subset_by_value": subset_by_value,
            "driver": driver,
        }
        return _sl.eigh(a, b, **given)
    _refused("eigh", subset_by_value=(subset_by_value, None))
    a = inexact(a)
    checked(check_finite, a)
    w, v = _nl.eigh(a, "L" if lower else "U") if b is None else _generalized(a, inexact(b), bool(lower), type)
    if subset_by_index is not None:
        first, last = subset_by_index
        w, v = w[..., first : last + 1], v[..., first : last + 1]
    return w if eigvals_only else (w, v)


def _generalized(a: Any, b: Any, lower: bool, type: int) -> tuple[Any, Any]:
    """The generalized problem as an ordinary one, by the Cholesky factor of ``b`` (as LAPACK's ``sygst``)."""
    if type not in (1, 2, 3):
        raise ValueError(f'"type" keyword only accepts 1, 2, and 3, got {type}')
    a, b = hermitian_part(a, lower), hermitian_part(b, lower)
    factor = _nl.cholesky(b)
    if type == 1:
        reduced = mh(solve_triangular(factor, mh(solve_triangular(factor, a, lower=True)), lower=True))
    else:
        reduced = matmul(mh(factor), matmul(a, factor))
    w, v = _nl.eigh(reduced)
    return w, matmul(factor, v) if type == 3 else solve_triangular(factor, v, "C", lower=True)


def eigvalsh(
    a,
    b=None,
    *,
    lower=True,
    overwrite_a=False,
    overwrite_b=False,
    type=1,
    check_finite=True,
    subset_by_index=None,
    subset_by_value=None,
    driver=None,
):
    """As ``scipy.linalg.eigvalsh``."""
    return eigh(
        a,
        b,
        lower=lower,
        eigvals_only=True,
        overwrite_a=overwrite_a,
        overwrite_b=overwrite_b,
        type=type,
        check_finite=check_finite,
        subset_by_index=subset_by_index,
        subset_by_value=subset_by_value,
        driver=driver,
    )


def eig(
    a,
    b=None,
    left=False,
    right=True,
    overwrite_a=False,
    overwrite_b=False,
    check_finite=True,
    homogeneous_eigvals=False,
):
    """As ``scipy.linalg.eig``; left vectors and homogeneous values are refused for traced arrays."""
    if not is_traced(a, b):
        return _sl.eig(a, b, left, right, overwrite_a, overwrite_b, check_finite, homogeneous_eigvals)
    _refused("eig", left=(left, False), homogeneous_eigvals=(homogeneous_eigvals, False))
    a = inexact(a)
    checked(check_finite, a)
    if b is not None:
        checked(check_finite, b)
        a = solve_matrix(inexact(b), a)
    w, v = _nl.eig(a)
    w = w * (1 + 0j)  # SciPy's are complex always
    return (w, v) if right else w


def eigvals(a, b=None, overwrite_a=False, check_finite=True, homogeneous_eigvals=False):
    """As ``scipy.linalg.eigvals``."""
    return eig(a, b, False, False, overwrite_a, False, check_finite, homogeneous_eigvals)


def svd(a, full_matrices=True, compute_uv=True, overwrite_a=False, check_finite=True, lapack_driver="gesdd"):
    """As ``scipy.linalg.svd``; the driver makes no difference to a traced result."""
    if not is_traced(a):
        return _sl.svd(a, full_matrices, compute_uv, overwrite_a, check_finite, lapack_driver)
    checked(check_finite, a)
    result = _nl.svd(a, full_matrices, compute_uv)
    return tuple(result) if compute_uv else result


def svdvals(a, overwrite_a=False, check_finite=True):
    """As ``scipy.linalg.svdvals``."""
    return svd(a, False, False, overwrite_a, check_finite)


def qr(a, overwrite_a=False, lwork=None, mode="full", pivoting=False, check_finite=True):
    """As ``scipy.linalg.qr``, modes full, economic and r; pivoting is refused for traced arrays."""
    if not is_traced(a):
        return _sl.qr(a, overwrite_a, lwork, mode, pivoting, check_finite)
    _refused("qr", pivoting=(pivoting, False))
    if mode not in ("full", "economic", "r"):
        raise ArgumentError(f"qr: mode={mode!r} is not supported for traced arrays")
    checked(check_finite, a)
    q, r = _nl.qr(a, "reduced" if mode == "economic" else "complete")
    return (r,) if mode == "r" else (q, r)
