"""Fourier transforms along one axis, as a routine of :mod:`autograd_jit.kernels.library`."""

from __future__ import annotations

from .subset import Ints, call, ints_at, place, routine

__all__ = ["WORK", "fourier"]

#: integers that the routine needs to work with
WORK = 11


@routine
def fourier(slots: Ints, words: Ints) -> int:
    """``out, work = fourier(x, factor)``, by a loop of NumPy's (:mod:`autograd_jit.kernels.numpy_fourier`).

    ``x``: (calls, points, rows), strides in reals; ``out`` is dense. Numbers: calls, rows of each call, points, points
    of the result, bytes of a real; reals from one row, one point and one call of the result to the next."""
    x = place(slots, words, 12)
    factor = place(slots, words, 17)
    out = place(slots, words, 22)
    work = ints_at(place(slots, words, 24))
    size = words[4]
    work[1] = factor
    work[3] = words[1]
    work[4] = words[2]
    work[5] = words[3]
    work[6] = words[16] * size
    work[7] = 0
    work[8] = words[5] * size
    work[9] = words[15] * size
    work[10] = words[6] * size
    for _ in range(words[0]):
        work[0] = x
        work[2] = out
        call(words[8], work, work + 3, work + 6, ints_at(words[9]))
        x = x + words[14] * size
        out = out + words[7] * size
    return 0
