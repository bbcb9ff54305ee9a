"""Dense linear algebra over stacks of matrices: LAPACK by address, own loops where matrices are tiny.

Routines of :mod:`autograd_jit.kernels.library`, which says what their words are. Operands may lie in any way; results
are dense: factors column-major, as LAPACK makes them (a graph sees them through a transposed view), solutions
row-major. Where NumPy raises LinAlgError they return STOPPED.

Results are those of the LAPACK routine that NumPy calls. Up to SMALL rows own loops take 0.03 us where OpenBLAS takes
0.3 to 1 us, for its locks and its threads. They give up on any matrix with a pivot that is not clearly away from zero
(or not finite), and LAPACK decides: whether a matrix is singular is a matter of single roundings, and so are the digits
of what is computed from a matrix that nearly is.
"""

from __future__ import annotations

import ctypes
import functools
from math import log, sqrt
from typing import Final

import numpy as np

from .blas import routine_address
from .subset import Ints, Reals, by_precision, call, ints_at, narrows_at, place, reals_at, ref, routine

__all__ = [
    "cholesky",
    "determinant",
    "eigh",
    "integer_width",
    "lu",
    "matrix_vector",
    "qr",
    "solve",
    "svd",
    "triangular",
    "workspace",
]

STOPPED: Final = 2
#: rows of matrices that own loops take
SMALL: Final = 8

_LOWER: Final = ord("L")
_UPPER: Final = ord("U")
_NO: Final = ord("N")
_TRANSPOSED: Final = ord("T")
_UNIT: Final = ord("U")
_VECTORS: Final = ord("V")
_INFINITY: Final = float("inf")

# ---------------------------------------------------------------- shared


@routine
def copy_matrix(rows: int, columns: int, a: Reals, row: int, column: int, out: Reals) -> int:
    """``out`` = the matrix ``a``, column-major."""
    for j in range(columns):
        for i in range(rows):
            out[j * rows + i] = a[i * row + j * column]
    return 0


@routine
def tolerance() -> float:
    """The cube root of the precision: pivots that are smaller, relative to their matrix, are left to LAPACK."""
    return by_precision(6e-6, 5e-3)


# ---------------------------------------------------------------- products with vectors


@routine
def matrix_vector(slots: Ints, words: Ints) -> int:
    """``y = matrix_vector(a, x)``, one stride of ``a`` is 1. Numbers: count, rows, columns.

    A quarter of the time that gemm takes for a single column."""
    rows = words[1]
    columns = words[2]
    a = reals_at(place(slots, words, 12))
    x = reals_at(place(slots, words, 17))
    y = reals_at(place(slots, words, 22))
    by_rows = words[15] != 1
    trans = _TRANSPOSED if by_rows else _NO
    leading = words[15] if by_rows else words[16]
    m = columns if by_rows else rows
    n = rows if by_rows else columns
    leading = leading if leading > m else m  # of a single row or column it means nothing, but BLAS minds
    step = words[20]
    dense = 1
    one = 1.0
    zero = 0.0
    for _ in range(words[0]):
        call(
            words[8], ref(trans), ref(m), ref(n), ref(one), a, ref(leading), x, ref(step), ref(zero), y, ref(dense)
        )
        a = a + words[14]
        x = x + words[19]
        y = y + rows
    return 0


# ---------------------------------------------------------------- LU


@routine
def eliminate(n: int, f: Reals, pivots: Ints) -> int:
    """LU of a small column-major matrix in place, by rows of largest pivots. 1 where a pivot is doubtful."""
    total = 0.0
    for i in range(n * n):
        total += abs(f[i])
    limit = tolerance() * total  # infinite or NaN where an element is: then no pivot passes
    for k in range(n):
        largest = abs(f[k * n + k])
        pivot = k
        for i in range(k + 1, n):
            size = abs(f[k * n + i])
            if size > largest:
                largest = size
                pivot = i
        if not (largest > limit):
            return 1
        pivots[k] = pivot
        if pivot != k:
            for j in range(n):
                other = f[j * n + pivot]
                f[j * n + pivot] = f[j * n + k]
                f[j * n + k] = other
        for i in range(k + 1, n):
            f[k * n + i] = f[k * n + i] / f[k * n + k]
        for j in range(k + 1, n):
            factor = f[j * n + k]
            for i in range(k + 1, n):
                f[j * n + i] -= f[k * n + i] * factor
    return 0


@routine
def factorize(n: int, f: Reals, pivots: Ints, getrf: int, width: int) -> int:
    """LU in place by LAPACK. 1 where the result is near to singular. Pivots become 64-bit and count from zero."""
    info = 0
    call(getrf, ref(n), ref(n), f, ref(n), pivots, ref(info))
    narrow = narrows_at(pivots)
    for k in range(n):  # backwards, since 32-bit integers are spread out in place
        i = n - 1 - k
        pivots[i] = narrow[i * width] - 1
    largest = 0.0
    for i in range(n):
        size = abs(f[i * n + i])
        largest = size if size > largest else largest
    for i in range(n):
        if not (abs(f[i * n + i]) > tolerance() * largest):
            return 1
    return 0


@routine
def factorized(n: int, a: Reals, row: int, column: int, f: Reals, pivots: Ints, getrf: int, width: int) -> int:
    """LU of ``a`` into ``f``; 1 where it is near to singular."""
    copy_matrix(n, n, a, row, column, f)
    if n <= SMALL:
        if not eliminate(n, f, pivots):
            return 0
        copy_matrix(n, n, a, row, column, f)
    return factorize(n, f, pivots, getrf, width)


@routine
def lu(slots: Ints, words: Ints) -> int:
    """``factors, pivots = lu(a)``. Numbers: count, n, width of LAPACK's integers in 32 bits.

    The word after each matrix's pivots says whether it is near to singular. Never stops: a determinant may be zero."""
    count = words[0]
    n = words[1]
    a = reals_at(place(slots, words, 12))
    f = reals_at(place(slots, words, 17))
    pivots = ints_at(place(slots, words, 19))
    for _ in range(count):
        pivots[n] = factorized(n, a, words[15], words[16], f, pivots, words[8], words[2])
        a = a + words[14]
        f = f + n * n
        pivots = pivots + (n + 1)
    return 0


@routine
def determinant(slots: Ints, words: Ints) -> int:
    """``sign, logarithm = determinant(factors, pivots)``. Numbers: count, n."""
    n = words[1]
    f = reals_at(place(slots, words, 12))
    pivots = ints_at(place(slots, words, 17))
    sign = reals_at(place(slots, words, 22))
    logarithm = reals_at(place(slots, words, 24))
    for b in range(words[0]):
        s = 1.0
        total = 0.0
        for i in range(n):
            u = f[i * n + i]
            if pivots[i] != i:
                s = -s
            if u == 0.0:
                s = 0.0
                total = -_INFINITY
            elif s != 0.0:
                s = -s if u < 0.0 else s
                total += log(abs(u))
        sign[b] = s
        logarithm[b] = total
        f = f + words[14]
        pivots = pivots + words[19]
    return 0


# ---------------------------------------------------------------- systems


@routine
def copy_rows(rows: int, columns: int, a: Reals, row: int, column: int, out: Reals) -> int:
    """``out`` = the matrix ``a``, row-major."""
    for i in range(rows):
        for j in range(columns):
            out[i * columns + j] = a[i * row + j * column]
    return 0


@routine
def substitute(n: int, t: Reals, row: int, column: int, lower: int, unit: int, x: Reals) -> int:
    """``x`` = the solution of a small triangular system, in place."""
    for step in range(n):
        i = step if lower else n - 1 - step
        if not unit:
            x[i] = x[i] / t[i * (row + column)]
        value = x[i]
        first = i + 1 if lower else 0
        last = n if lower else i
        for k in range(first, last):
            x[k] -= t[k * row + i * column] * value
    return 0


@routine
def substitute_rows(n: int, m: int, t: Reals, row: int, column: int, lower: int, unit: int, x: Reals) -> int:
    """As :func:`substitute` for the ``m`` columns of a row-major ``x``."""
    for step in range(n):
        i = step if lower else n - 1 - step
        if not unit:
            pivot = t[i * (row + column)]
            for j in range(m):
                x[i * m + j] = x[i * m + j] / pivot
        first = i + 1 if lower else 0
        last = n if lower else i
        for k in range(first, last):
            factor = t[k * row + i * column]
            for j in range(m):
                x[k * m + j] -= factor * x[i * m + j]
    return 0


@routine
def solve_triangle(
    n: int, m: int, t: Reals, row: int, column: int, lower: int, unit: int, x: Reals, gemm: int, trsv: int
) -> int:
    """Solve a triangular system in place for the ``m`` columns of a row-major ``x``. One stride of ``t`` is 1.

    By halves, with a product between them: trsm would do, but wakes OpenBLAS's threads even for the smallest matrices,
    which takes longer than to solve (and 16 ms on a busy machine)."""
    transposed = row != 1
    leading = row if transposed else column
    if n <= SMALL:
        if m == 1:
            return substitute(n, t, row, column, lower, unit, x)
        return substitute_rows(n, m, t, row, column, lower, unit, x)
    if m == 1:
        uplo = _LOWER if lower != transposed else _UPPER
        trans = _TRANSPOSED if transposed else _NO
        diagonal = _UNIT if unit else _NO
        step = 1
        call(trsv, ref(uplo), ref(trans), ref(diagonal), ref(n), t, ref(leading), x, ref(step))
        return 0
    half = n // 2
    first = 0 if lower else half
    size = half if lower else n - half
    then = half if lower else 0
    rest = n - size
    solve_triangle(size, m, t + first * (row + column), row, column, lower, unit, x + first * m, gemm, trsv)
    minus = -1.0
    one = 1.0
    plain = _NO
    turned = _NO if transposed else _TRANSPOSED
    block = t + then * row + first * column
    call(
        gemm,
        ref(plain),
        ref(turned),
        ref(m),
        ref(rest),
        ref(size),
        ref(minus),
        x + first * m,
        ref(m),
        block,
        ref(leading),
        ref(one),
        x + then * m,
        ref(m),
    )
    return solve_triangle(rest, m, t + then * (row + column), row, column, lower, unit, x + then * m, gemm, trsv)


@routine
def has_zero(n: int, t: Reals, step: int) -> int:
    """Whether there is a zero on a diagonal."""
    for i in range(n):
        if t[i * step] == 0.0:
            return 1
    return 0


@routine
def interchange(n: int, m: int, pivots: Ints, backwards: int, x: Reals) -> int:
    """Apply an LU's interchanges to the rows of ``x``."""
    for step in range(n):
        i = n - 1 - step if backwards else step
        other = pivots[i]
        if other != i:
            for j in range(m):
                value = x[other * m + j]
                x[other * m + j] = x[i * m + j]
                x[i * m + j] = value
    return 0


@routine
def solve_factors(n: int, m: int, f: Reals, pivots: Ints, transposed: int, x: Reals, gemm: int, trsv: int) -> int:
    """Solve in place with the factors of a matrix, or of its transpose."""
    if transposed:
        solve_triangle(n, m, f, n, 1, 1, 0, x, gemm, trsv)
        solve_triangle(n, m, f, n, 1, 0, 1, x, gemm, trsv)
        return interchange(n, m, pivots, 1, x)
    interchange(n, m, pivots, 0, x)
    solve_triangle(n, m, f, 1, n, 1, 1, x, gemm, trsv)
    return solve_triangle(n, m, f, 1, n, 0, 0, x, gemm, trsv)


@routine
def solve_afresh(
    n: int,
    m: int,
    a: Reals,
    row: int,
    column: int,
    b: Reals,
    b_row: int,
    b_column: int,
    x: Reals,
    matrix: Reals,
    right: Reals,
    pivots: Ints,
    gesv: int,
) -> int:
    """``x`` as NumPy computes it, digit by digit; not zero where the matrix is singular."""
    info = 0
    copy_matrix(n, n, a, row, column, matrix)
    copy_matrix(n, m, b, b_row, b_column, right)
    call(gesv, ref(n), ref(m), matrix, ref(n), pivots, right, ref(n), ref(info))
    copy_rows(n, m, right, 1, n, x)
    return info


@routine
def solve(slots: Ints, words: Ints) -> int:
    """``x, matrix, right, order = solve(a, factors, pivots, b)``; the last three are memory to work in.

    Numbers: count, n, columns of ``b``, whether the factors are those of the transpose of ``a``. Where the factors are
    near to singular, ``a`` is factorized as NumPy does it. Stops where it is singular."""
    n = words[1]
    m = words[2]
    a = reals_at(place(slots, words, 12))
    factors = reals_at(place(slots, words, 17))
    pivots = ints_at(place(slots, words, 22))
    b = reals_at(place(slots, words, 27))
    x = reals_at(place(slots, words, 32))
    matrix = reals_at(place(slots, words, 34))
    right = reals_at(place(slots, words, 36))
    order = ints_at(place(slots, words, 38))
    for _ in range(words[0]):
        if pivots[n]:
            if solve_afresh(
                n, m, a, words[15], words[16], b, words[30], words[31], x, matrix, right, order, words[8]
            ):
                return STOPPED
        else:
            copy_rows(n, m, b, words[30], words[31], x)
            solve_factors(n, m, factors, pivots, words[3], x, words[9], words[10])
        a = a + words[14]
        factors = factors + words[19]
        pivots = pivots + words[24]
        b = b + words[29]
        x = x + n * m
    return 0


@routine
def triangular(slots: Ints, words: Ints) -> int:
    """``x = triangular(t, b)``. Numbers: count, n, columns of ``b``, lower, unit diagonal. Stops at a zero pivot."""
    n = words[1]
    m = words[2]
    t = reals_at(place(slots, words, 12))
    b = reals_at(place(slots, words, 17))
    x = reals_at(place(slots, words, 22))
    for _ in range(words[0]):
        if not words[4] and has_zero(n, t, words[15] + words[16]):
            return STOPPED
        copy_rows(n, m, b, words[20], words[21], x)
        solve_triangle(n, m, t, words[15], words[16], words[3], words[4], x, words[8], words[9])
        t = t + words[14]
        b = b + words[19]
        x = x + n * m
    return 0


# ---------------------------------------------------------------- Cholesky


@routine
def copy_lower(n: int, a: Reals, row: int, column: int, out: Reals) -> int:
    for j in range(n):
        for i in range(j):
            out[j * n + i] = 0.0
        for i in range(j, n):
            out[j * n + i] = a[i * row + j * column]
    return 0


@routine
def small_cholesky(n: int, f: Reals) -> int:
    """The lower factor in place. 1 where a pivot is doubtful."""
    total = 0.0
    for i in range(n):
        total += abs(f[i * n + i])
    limit = tolerance() * total
    for k in range(n):
        pivot = f[k * n + k]
        if not (pivot > limit):
            return 1
        pivot = sqrt(pivot)
        f[k * n + k] = pivot
        for i in range(k + 1, n):
            f[k * n + i] = f[k * n + i] / pivot
        for j in range(k + 1, n):
            factor = f[k * n + j]
            for i in range(j, n):
                f[j * n + i] -= f[k * n + i] * factor
    return 0


@routine
def cholesky(slots: Ints, words: Ints) -> int:
    """``factor = cholesky(a)``, of which the lower triangle is read. Numbers: count, n. Stops if it is not positive."""
    n = words[1]
    a = reals_at(place(slots, words, 12))
    f = reals_at(place(slots, words, 17))
    for _ in range(words[0]):
        copy_lower(n, a, words[15], words[16], f)
        doubtful = 1
        if n <= SMALL:
            doubtful = small_cholesky(n, f)
            if doubtful:
                copy_lower(n, a, words[15], words[16], f)
        if doubtful:
            uplo = _LOWER
            info = 0
            call(words[8], ref(uplo), ref(n), f, ref(n), ref(info))
            if info != 0:
                return STOPPED
        a = a + words[14]
        f = f + n * n
    return 0


# ---------------------------------------------------------------- eigenvalues, singular values, QR


@routine
def eigh(slots: Ints, words: Ints) -> int:
    """``w, v, work, integer work = eigh(a)``. Numbers: count, n, character of the triangle, lengths of both works."""
    n = words[1]
    uplo = words[2]
    reals = words[3]
    integers = words[4]
    a = reals_at(place(slots, words, 12))
    w = reals_at(place(slots, words, 17))
    v = reals_at(place(slots, words, 19))
    work = reals_at(place(slots, words, 21))
    iwork = ints_at(place(slots, words, 23))
    job = _VECTORS
    for _ in range(words[0]):
        copy_matrix(n, n, a, words[15], words[16], v)
        info = 0
        call(
            words[8], ref(job), ref(uplo), ref(n), v, ref(n), w, work, ref(reals), iwork, ref(integers), ref(info), 1, 1
        )
        if info != 0:
            return STOPPED
        a = a + words[14]
        w = w + n
        v = v + n * n
    return 0


@routine
def svd(slots: Ints, words: Ints) -> int:
    """``u, s, vt, copy, work, integer work = svd(a)``.

    Numbers: count, rows, columns, job, columns of u, rows of vt, length of the work."""
    m = words[1]
    n = words[2]
    job = words[3]
    u_columns = words[4]
    vt_rows = words[5]
    length = words[6]
    a = reals_at(place(slots, words, 12))
    u = reals_at(place(slots, words, 17))
    s = reals_at(place(slots, words, 19))
    vt = reals_at(place(slots, words, 21))
    copy = reals_at(place(slots, words, 23))
    work = reals_at(place(slots, words, 25))
    iwork = ints_at(place(slots, words, 27))
    for _ in range(words[0]):
        copy_matrix(m, n, a, words[15], words[16], copy)
        info = 0
        call(
            words[8],
            ref(job),
            ref(m),
            ref(n),
            copy,
            ref(m),
            s,
            u,
            ref(m),
            vt,
            ref(vt_rows),
            work,
            ref(length),
            iwork,
            ref(info),
            1,
        )
        if info != 0:
            return STOPPED
        a = a + words[14]
        u = u + m * u_columns
        s = s + (m if m < n else n)
        vt = vt + vt_rows * n
    return 0


@routine
def qr(slots: Ints, words: Ints) -> int:
    """``q, r, tau, work = qr(a)``, as many rows as columns or more. Numbers: count, rows, columns, length of work."""
    m = words[1]
    n = words[2]
    length = words[3]
    a = reals_at(place(slots, words, 12))
    q = reals_at(place(slots, words, 17))
    r = reals_at(place(slots, words, 19))
    tau = reals_at(place(slots, words, 21))
    work = reals_at(place(slots, words, 23))
    for _ in range(words[0]):
        copy_matrix(m, n, a, words[15], words[16], q)
        info = 0
        call(words[8], ref(m), ref(n), q, ref(m), tau, work, ref(length), ref(info))
        for j in range(n):
            for i in range(n):
                r[j * n + i] = q[j * m + i] if i <= j else 0.0
        call(words[9], ref(m), ref(n), ref(n), q, ref(m), tau, work, ref(length), ref(info))
        a = a + words[14]
        q = q + m * n
        r = r + n * n
    return 0


# ---------------------------------------------------------------- what rules ask for


def _letter(dtype: np.dtype) -> str:
    return "d" if dtype.itemsize == 8 else "s"


def integer_width(name: str, dtype: np.dtype) -> int:
    """The width of a library function's integers, in units of 32 bits."""
    return routine_address(_letter(dtype) + name).integer_bytes // 4


@functools.cache
def workspace(name: str, dtype: np.dtype, *leading: int) -> tuple[int, int]:
    """``(reals, integers)`` that a library function wants to work in, by its own account.

    ``leading``: its integers (and characters) before the arrays, by name: see the table below."""
    real = ctypes.c_double if dtype.itemsize == 8 else ctypes.c_float
    size, integers = real(0.0), ctypes.c_int64(0)
    held = [ctypes.c_int64(number) for number in leading]
    ask, info, nothing = ctypes.c_int64(-1), ctypes.c_int64(0), real(0.0)
    here = {"work": size, "iwork": integers, "lwork": ask, "info": info, "array": nothing}
    arguments = [held[part] if isinstance(part, int) else here[part] for part in _QUERIES[name]]
    address = routine_address(_letter(dtype) + name).address
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments))(address)(*[ctypes.addressof(a) for a in arguments])
    if info.value != 0:
        raise ValueError(f"{name} refused {leading}")
    return max(int(size.value), 1), max(int(integers.value), 1)


#: the arguments of each function: places among ``leading`` (of gesdd: job, m, n, ldvt), and what they are
_QUERIES: Final[dict[str, tuple[int | str, ...]]] = {
    "syevd": (0, 1, 2, "array", 2, "array", "work", "lwork", "iwork", "lwork", "info"),  # job, triangle, n
    "gesdd": (0, 1, 2, "array", 1, "array", "array", 1, "array", 3, "work", "lwork", "iwork", "info"),
    "geqrf": (0, 1, "array", 0, "array", "work", "lwork", "info"),  # m, n
    "orgqr": (0, 1, 1, "array", 0, "array", "work", "lwork", "info"),
}
