"""What a Fourier transform of our own is told about its number of points: its passes, and roots of unity."""

from __future__ import annotations

import functools
from enum import IntEnum
from typing import Any, Final

import numpy as np

__all__ = ["RADICES", "Kind", "passes", "plan", "roots", "tables"]

#: numbers of points that a pass can take, in the order in which passes are chosen
RADICES: Final = (8, 4, 2, 3, 5, 7)


class Kind(IntEnum):
    """What is transformed; those of reals are transforms of half as many complex numbers."""

    FORWARD = 0
    BACKWARD = 1
    OF_REALS = 2
    TO_REALS = 3


def roots(n: int, powers: Any) -> tuple[Any, Any]:
    """Cosine and sine of ``2 pi powers / n``, rounded once where long double is longer than double.

    Angles are first brought below an eighth of a turn, in integers: nothing is lost for large powers, and what should
    be 0, 1 or the same for two powers is.

    >>> roots(4, 1)
    (0.0, 1.0)
    """
    eighths = 8 * (np.asarray(powers, np.int64) % n)
    octant, rest = eighths // n, eighths % n
    # odd octants are measured from their end
    turn = np.where(octant % 2 == 1, n - rest, rest).astype(np.longdouble) / (8 * n)
    angle = 2 * np.arccos(np.longdouble(-1)) * turn
    c, s = np.cos(angle).astype(np.float64), np.sin(angle).astype(np.float64)
    swapped = np.isin(octant, (1, 2, 5, 6))
    x, y = np.where(swapped, s, c), np.where(swapped, c, s)
    x, y = np.where(np.isin(octant, (2, 3, 4, 5)), -x, x) + 0.0, np.where(octant >= 4, -y, y) + 0.0
    return (x, y) if np.ndim(powers) else (float(x), float(y))


def passes(n: int) -> tuple[int, ...] | None:
    """The numbers of points of the passes that make up ``n``; None where it has a larger prime factor."""
    found = []
    for radix in RADICES:
        while n % radix == 0:
            found.append(radix)
            n //= radix
    return tuple(found) if n == 1 else None


def plan(kind: Kind, n: int) -> np.ndarray:
    """Integers for a transform of ``n`` points: kind, points of its complex part, where the passes' roots begin in
    ``tables``, number of passes, the passes."""
    inner = n // 2 if kind >= Kind.OF_REALS else n
    taken = passes(inner) or ()
    return np.array([kind, inner, 2 * (inner // 2 + 1) if inner < n else 0, len(taken), *taken], np.int64)


@functools.lru_cache(64)
def tables(kind: Kind, n: int) -> np.ndarray:
    """Roots of unity for a transform of ``n`` points, forwards: real and imaginary part by turns.

    First, for transforms of reals, ``exp(-2 pi i k / n)`` up to a quarter of a turn; then of each pass, for each
    butterfly but the first and each of its results but the first, what it is turned by."""
    inner = n // 2 if kind >= Kind.OF_REALS else n
    powers = [np.arange(inner // 2 + 1) if inner < n else np.arange(0)]
    length = inner
    for radix in passes(inner) or ():
        across = length // radix
        # of length, in parts of n: p j / length = p j (n / length) / n
        powers.append((np.arange(1, across)[:, None] * np.arange(1, radix) * (n // length)).ravel())
        length = across
    c, s = roots(n, np.concatenate(powers))
    return np.stack([c, -s], axis=1).ravel()
