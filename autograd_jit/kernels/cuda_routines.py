"""CUDA kernels of the routines that take one thread a line, a result or a row: recurrences, searching, convolution.

Counterparts of :mod:`.sequences` with the same orders of additions, and so the same bits; what the numbers and the
strides of a routine are is said there and in :mod:`.library`. The parameters of each kernel:

    status, position      the first step that failed, or -1; the place of this step
    operands, results     pointers
    numbers               sizes and flags
    strides               three of each operand, in elements

Where NumPy's answer is none that a kernel can give, ``status[0] = position``: the call is then made interpreted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

__all__ = ["ROUTINES", "DeviceRoutine", "signature", "source"]

#: threads of a block where each works for itself, and most where they share a row
LANES: Final = 128
SHARED_LANES: Final = 256


class DeviceRoutine(NamedTuple):
    """The text of a kernel, with {real} for the type of the first operand and {f} for libdevice's ending of it.

    ``grid``: blocks that have work, and threads of one, from the routine's numbers.
    """

    text: str
    grid: Callable[[Sequence[int]], tuple[int, int]]


_ACCUMULATE: Final = """
def kernel(status, position, x, out, outer, n, inner, x0, x1, x2):
    if status[0] >= 0:
        return
    line = cuda.grid(1)
    while line < outer * inner:
        source = line // inner * x0 + line % inner * x2
        target = line // inner * n * inner + line % inner
        total = x[source]
        out[target] = total
        for i in range(1, n):
            total = total {sign} x[source + i * x1]
            out[target + i * inner] = total
        line += cuda.gridsize(1)
"""

_RECURRENCE: Final = """
def kernel(status, position, a, b, out, outer, n, inner, from_zero, a0, a1, a2, b0, b1, b2):
    if status[0] >= 0:
        return
    line = cuda.grid(1)
    while line < outer * inner:
        factor = line // inner * a0 + line % inner * a2
        term = line // inner * b0 + line % inner * b2
        target = line // inner * n * inner + line % inner
        state = b[term]
        if from_zero != 0:
            state = a[factor] * {real}(0.0) + state
        out[target] = state
        for i in range(1, n):
            state = a[factor + i * a1] * state + b[term + i * b1]
            out[target + i * inner] = state
        line += cuda.gridsize(1)
"""

_CONVOLVE: Final = """
def kernel(status, position, a, v, out, one, n, m, a0, a1, a2, v0, v1, v2):
    if status[0] >= 0:
        return
    place = cuda.grid(1)
    while place < n + m - 1:
        first = place - n + 1
        if first < 0:
            first = 0
        total = {real}(0.0)
        for j in range(first, min(m, place + 1)):
            total += a[(place - j) * a1] * v[j * v1]
        out[place] = total
        place += cuda.gridsize(1)
"""

_DETERMINANT: Final = """
def kernel(status, position, factors, pivots, signs, logarithms, count, n, f0, f1, f2, p0, p1, p2):
    if status[0] >= 0:
        return
    matrix = cuda.grid(1)
    while matrix < count:
        sign = {real}(1.0)
        total = {real}(0.0)
        for i in range(n):
            u = factors[matrix * f0 + i * (f1 + f2)]
            if pivots[matrix * p0 + i * p1] != i:
                sign = -sign
            if u == {real}(0.0):
                sign = {real}(0.0)
                total = {real}(-INFINITY)
            elif sign != {real}(0.0):
                if u < {real}(0.0):
                    sign = -sign
                total += log{f}(fabs{f}(u))
        signs[matrix] = sign
        logarithms[matrix] = total
        matrix += cuda.gridsize(1)
"""

# NumPy's order: NaN after all numbers. A search among elements that are not in order finds what depends on its steps.
_SEARCHSORTED: Final = """
def kernel(status, position, a, v, places, one, n, keys, right, a0, a1, a2, v0, v1, v2):
    if status[0] >= 0:
        return
    at = cuda.grid(1)
    while at + 1 < n:
        element, following = a[at * a1], a[(at + 1) * a1]
        if following < element or (following == following and element != element):
            status[0] = position
        at += cuda.gridsize(1)
    at = cuda.grid(1)
    while at < keys:
        key = v[at * v1]
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            element = a[middle * a1]
            if right != 0:
                further = not (key < element or (key == key and element != element))
            else:
                further = element < key or (element == element and key != key)
            if further:
                low = middle + 1
            else:
                high = middle
        places[at] = low
        at += cuda.gridsize(1)
"""

# One block a row. The first of equals is found, and NaN is beyond everything: the first NaN, then.
_EXTREMUM: Final = """
def kernel(status, position, x, places, rows, n, itemsize, x0, x1, x2):
    if status[0] >= 0:
        return
    best = cuda.shared.array(256, {real})
    where = cuda.shared.array(256, int64)
    lane, lanes = cuda.threadIdx.x, cuda.blockDim.x
    row = cuda.blockIdx.x
    while row < rows:
        place = int64(min(lane, n - 1))
        value = x[row * x0 + place * x1]
        i = place + lanes
        while i < n:
            other = x[row * x0 + i * x1]
            if other {beyond} value or (other != other and value == value):
                value = other
                place = i
            i += lanes
        best[lane] = value
        where[lane] = place
        cuda.syncthreads()
        width = lanes // 2
        while width > 0:
            if lane < width:
                other = best[lane + width]
                further = other {beyond} value or (other != other and value == value)
                nearer = value {beyond} other or (value != value and other == other)
                if further or (not nearer and where[lane + width] < place):
                    value = other
                    place = where[lane + width]
                    best[lane] = value
                    where[lane] = place
            cuda.syncthreads()
            width //= 2
        if lane == 0:
            places[row] = place
        row += cuda.gridDim.x
"""

# One block: each thread counts its part, then writes after those before it.
_FLATNONZERO: Final = """
def kernel(status, position, mask, places, one, n, count, m0, m1, m2):
    if status[0] >= 0:
        return
    counts = cuda.shared.array(256, int64)
    lane, lanes = cuda.threadIdx.x, cuda.blockDim.x
    size = (n + lanes - 1) // lanes
    first = min(lane * size, n)
    stop = min(first + size, n)
    found = 0
    for i in range(first, stop):
        if mask[i * m1] != 0:
            found += 1
    counts[lane] = found
    cuda.syncthreads()
    at = 0
    for before in range(lane):
        at += counts[before]
    for i in range(first, stop):
        if mask[i * m1] != 0 and at < count:
            places[at] = i
            at += 1
    if lane == lanes - 1:
        for i in range(at, count):
            places[i] = 0
"""


def _by_thread(threads: Callable[[Sequence[int]], int]) -> Callable[[Sequence[int]], tuple[int, int]]:
    return lambda numbers: (-(-threads(numbers) // LANES), LANES)


def _by_row(numbers: Sequence[int]) -> tuple[int, int]:
    rows, n, *_ = numbers
    return rows, min(SHARED_LANES, max(32, 1 << (n - 1).bit_length()))


_lines = _by_thread(lambda numbers: numbers[0] * numbers[2])

ROUTINES: Final[dict[str, DeviceRoutine]] = {
    "cumulative_sum": DeviceRoutine(_ACCUMULATE.replace("{sign}", "+"), _lines),
    "cumulative_product": DeviceRoutine(_ACCUMULATE.replace("{sign}", "*"), _lines),
    "recurrence": DeviceRoutine(_RECURRENCE, _lines),
    "convolve": DeviceRoutine(_CONVOLVE, _by_thread(lambda numbers: numbers[1] + numbers[2] - 1)),
    "determinant": DeviceRoutine(_DETERMINANT, _by_thread(lambda numbers: numbers[0])),
    "searchsorted": DeviceRoutine(_SEARCHSORTED, _by_thread(lambda numbers: max(numbers[1], numbers[2]))),
    "argmax": DeviceRoutine(_EXTREMUM.replace("{beyond}", ">"), _by_row),
    "argmin": DeviceRoutine(_EXTREMUM.replace("{beyond}", "<"), _by_row),
    "flatnonzero": DeviceRoutine(_FLATNONZERO, lambda numbers: (1, SHARED_LANES)),
}

_TYPES: Final = {"double": "float64", "float": "float32", "i64": "int64", "i32": "int32", "i1": "int8"}


def source(routine: str, element: str) -> str:
    """The kernel of a routine whose first operand has elements of a type. Raises KeyError where there is none."""
    ending = "f" if element == "float" else ""
    return ROUTINES[routine].text.replace("{real}", _TYPES[element]).replace("{f}", ending)


def signature(operands: Sequence[str], results: Sequence[str], numbers: int) -> tuple[str, ...]:
    """The types of a kernel's parameters, from those of the elements of operands and results."""
    pointers = [f"*{element}" for element in (*operands, *results)]
    return ("*i64", "i64", *pointers, *["i64"] * (numbers + 3 * len(operands)))
