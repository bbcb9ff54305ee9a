"""Fourier transforms along one axis, as routines of :mod:`autograd_jit.kernels.library`.

NumPy's loops take one row after another. Ours take a vector's worth of rows at a time (:mod:`.fourier_passes`), which
pays where there are that many rows, of a number of points with small factors. Rows in whose result a number is not
finite are left to NumPy's loop, so that infinities, NaN and overflow lie where NumPy has them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .fourier_passes import (
    butterflies,
    gathered_in,
    join_halves,
    lanes_in,
    lanes_out,
    pairs_in,
    pairs_out,
    split_halves,
    transposed_in,
    transposed_out,
)
from .fourier_tables import Kind
from .llvm import lanes
from .subset import Ints, Reals, by_precision, call, ints_at, place, reals_at, routine

__all__ = ["WORK", "fourier", "fourier_of_rows", "lane_count", "workspace"]

#: integers that the routines need to work with
WORK: Final = 11

_DOUBLES: Final = lanes("double")
_FLOATS: Final = lanes("float")
_BACKWARD: Final = int(Kind.BACKWARD)
_OF_REALS: Final = int(Kind.OF_REALS)
_TO_REALS: Final = int(Kind.TO_REALS)


def lane_count(part: np.dtype) -> int:
    """Rows that :func:`fourier_of_rows` takes at a time."""
    return _FLOATS if part == np.float32 else _DOUBLES


def workspace(n: int, part: np.dtype) -> int:
    """Reals that :func:`fourier_of_rows` needs to work with: twice so many rows, of one point more."""
    return 4 * (n + 1) * lane_count(part)


@routine
def fourier(slots: Ints, words: Ints) -> int:
    """``out, work = fourier(x, factor)``, by a loop of NumPy's (:mod:`autograd_jit.kernels.numpy_fourier`).

    ``x``: (calls, points, rows), strides in reals; ``out`` is dense. Numbers: calls, rows of each call, points, points
    of the result, bytes of a real; reals from one row, one point and one call of the result to the next."""
    x = place(slots, words, 12)
    factor = place(slots, words, 17)
    out = place(slots, words, 22)
    work = ints_at(place(slots, words, 24))
    for _ in range(words[0]):
        by_numpy(words, work, words[1], x, factor, out)
        x = x + words[14] * words[4]
        out = out + words[7] * words[4]
    return 0


@routine
def by_numpy(words: Ints, work: Ints, rows: int, x: int, factor: int, out: int) -> int:
    """NumPy's loop for a number of rows at these addresses."""
    size = words[4]
    work[0] = x
    work[1] = factor
    work[2] = out
    work[3] = rows
    work[4] = words[2]
    work[5] = words[3]
    work[6] = words[16] * size
    work[7] = 0
    work[8] = words[5] * size
    work[9] = words[15] * size
    work[10] = words[6] * size
    call(words[8], work, work + 3, work + 6, ints_at(words[9]))
    return 0


@routine
def fourier_of_rows(slots: Ints, words: Ints) -> int:
    """``out, work, memory = fourier_of_rows(x, factor, tables, plan)``: as :func:`fourier`, a vector's worth of rows at
    a time; ``factor`` is of the transform's precision.

    The last rows are taken with some before them once more, or, where there are not as many rows as lanes, with copies
    of the last one: lanes do not meet, so what is stored twice is the same."""
    x = place(slots, words, 12)
    factor = place(slots, words, 17)
    tables = reals_at(place(slots, words, 22))
    plan = ints_at(place(slots, words, 27))
    out = place(slots, words, 32)
    work = ints_at(place(slots, words, 34))
    memory = reals_at(place(slots, words, 36))
    scale = reals_at(factor)
    size = words[4]
    rows = words[1]
    width = by_precision(_DOUBLES, _FLOATS)
    for _ in range(words[0]):
        start = 0
        while start < rows:
            first = start
            if start + width > rows:
                first = rows - width if rows > width else 0
            source = x + first * words[16] * size
            target = out + first * words[5] * size
            left = rows - first
            lost = block(words, plan, tables, left, reals_at(source), scale[0], reals_at(target), memory)
            if lost != 0:
                left_to_numpy(words, work, lost, left, source, factor, target)
            start = start + width
        x = x + words[14] * size
        out = out + words[7] * size
    return 0


@routine
def left_to_numpy(words: Ints, work: Ints, lost: int, rows: int, x: int, factor: int, out: int) -> int:
    """NumPy's loop for those of the rows whose bit is set; bits beyond ``rows`` are of copies of the last one."""
    while lost > 0:
        if lost % 2 == 1:
            by_numpy(words, work, 1, x, factor, out)
        lost = lost // 2
        rows = rows - 1
        if rows > 0:
            x = x + words[16] * words[4]
            out = out + words[5] * words[4]
    return 0


@routine
def block(words: Ints, plan: Ints, tables: Reals, rows: int, x: Reals, factor: float, out: Reals, memory: Reals) -> int:
    """Transform the first rows of ``rows``; the bits of the lanes whose result is not finite."""
    width = by_precision(_DOUBLES, _FLOATS)
    kind = plan[0]
    other = memory + 2 * width * (plan[1] + 1)
    bring_in(words, kind, rows, x, memory)
    if kind == _TO_REALS:
        join_halves(memory, other, plan[1], tables)
        memory = other
        other = memory + -2 * width * (plan[1] + 1)
    turns = tables + plan[2]
    m = plan[1]
    stride = 1
    for i in range(plan[3]):
        radix = plan[4 + i]
        m = m // radix
        butterflies(radix, memory, other, m, stride, turns)
        turns = turns + 2 * (m - 1) * (radix - 1)
        stride = stride * radix
        swapped = memory
        memory = other
        other = swapped
    if kind == _OF_REALS:
        split_halves(memory, other, plan[1], tables)
        memory = other
    return bring_out(words, kind, rows, memory, factor, out)


@routine
def bring_in(words: Ints, kind: int, rows: int, x: Reals, memory: Reals) -> int:
    """From wherever the operand lies into the passes' memory."""
    step = words[15]
    row = words[16]
    width = by_precision(_DOUBLES, _FLOATS)
    points = words[2]
    if kind == _OF_REALS:
        if row == 1 and rows >= width:
            return lanes_in(x, step, points, memory)
        if step == 1:
            return transposed_in(x, rows, row, points, memory, 0)
        return gathered_in(x, rows, row, step, points, memory, width)
    exchanged = 1 if kind == _BACKWARD else 0
    if row == 2 and rows >= width:
        return pairs_in(x, step, points, memory, exchanged)
    if step == 2:
        return transposed_in(x, rows, row, 2 * points, memory, exchanged)
    gathered_in(x + exchanged, rows, row, step, points, memory, 2 * width)
    return gathered_in(x + (1 - exchanged), rows, row, step, points, memory + width, 2 * width)


@routine
def bring_out(words: Ints, kind: int, rows: int, memory: Reals, factor: float, out: Reals) -> int:
    """Into the dense result, whose rows or points lie side by side."""
    row = words[5]
    step = words[6]
    points = words[3]
    if kind == _TO_REALS:
        if step == 1:
            return transposed_out(memory, factor, points, out, rows, row, 1)
        return lanes_out(memory, factor, points // 2, out, step, 1)
    exchanged = 1 if kind == _BACKWARD else 0
    if step == 2:
        return transposed_out(memory, factor, 2 * points, out, rows, row, exchanged)
    return pairs_out(memory, factor, points, out, step, exchanged)
