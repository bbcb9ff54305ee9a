"""CUDA kernels that are not made of loops: guards and products of matrices. In Python, for :mod:`.cuda_compiler`.

All return at once where an earlier guard has failed (``status[0] >= 0``).
"""

from __future__ import annotations

from typing import Final

__all__ = ["CHECK", "CHECK_SIGNATURE", "TILE", "gemm", "gemm_signature"]

#: one block: whether ``count`` bytes are as expected; otherwise the status becomes ``position``, and behind it come the
#: bytes found as far as there is room
CHECK: Final = """
def kernel(status, report, found, expected, count, room, position):
    if status[0] >= 0:
        return
    at = cuda.threadIdx.x
    differ = False
    while at < count:
        if found[at] != expected[at]:
            differ = True
        at += cuda.blockDim.x
    cuda.syncthreads()
    if differ:
        status[0] = position
    cuda.syncthreads()
    if status[0] == position:
        at = cuda.threadIdx.x
        while at < min(count, room):
            report[at] = found[at]
            at += cuda.blockDim.x
"""
CHECK_SIGNATURE: Final = ("*i64", "*i1", "*i1", "*i1", "i64", "i64", "i64")

#: edge of the square that a block of products computes
TILE: Final = 16

_GEMM: Final = """
def kernel(status, left, right, out, batch, m, n, k, ls0, ls1, ls2, rs0, rs1, rs2):
    if status[0] >= 0:
        return
    a = cuda.shared.array((16, 17), {real})
    b = cuda.shared.array((16, 17), {real})
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    across = (n + 15) // 16
    column, row = cuda.blockIdx.x % across * 16 + x, cuda.blockIdx.x // across * 16 + y
    matrix = cuda.blockIdx.z
    while matrix < batch:
        total = {zero}
        first = 0
        while first < k:
            if row < m and first + x < k:
                a[y, x] = left[matrix * ls0 + row * ls1 + (first + x) * ls2]
            else:
                a[y, x] = {zero}
            if column < n and first + y < k:
                b[y, x] = right[matrix * rs0 + (first + y) * rs1 + column * rs2]
            else:
                b[y, x] = {zero}
            cuda.syncthreads()
            for i in range(min(16, k - first)):
                total += a[y, i] * b[i, x]
            cuda.syncthreads()
            first += 16
        if row < m and column < n:
            out[(matrix * m + row) * n + column] = total
        matrix += cuda.gridDim.z
"""


def gemm(element: str) -> str:
    """``out[b] = left[b] @ right[b]`` for any strides of the operands; the rows of ``out`` follow one another.

    A block of 16 x 16 threads computes a square of the result from squares of the operands in shared memory, padded by
    a column so that neighbouring threads meet different banks. All squares lie along one axis of the grid: the others
    end at 65,535.
    """
    real, zero = ("float64", "0.0") if element == "double" else ("float32", "float32(0.0)")
    return _GEMM.replace("{real}", real).replace("{zero}", zero)


def gemm_signature(element: str) -> tuple[str, ...]:
    return ("*i64", *[f"*{element}"] * 3, *["i64"] * 10)
