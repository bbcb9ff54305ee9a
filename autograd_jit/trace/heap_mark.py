"""A mark on the heap, below which the C library keeps memory that arrays of a replay have given back.

The C library returns what is free at the top of its heap to the system: glibc whenever that is twice the largest array
that was ever freed. A replay lets go of each array after its last use, and with little else on the heap the next one
comes from the system again, page by page, which takes longer than the arithmetic: 980 page faults in a replay of ten
Jacobi steps over 150x150. A small block that stays at the highest address that such arrays had prevents it. It lives as
long as the replay does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["MARK_BYTES", "WatchedValues"]

#: more than NumPy keeps in lists of its own when it is freed, less than any array that replays let go of
MARK_BYTES = 1 << 11
#: arrays that have pages of their own begin behind a header there, and are no part of the heap
PAGE, HEADER = 1 << 12, 16


class WatchedValues(list):
    """The values of a run, which keeps the array that lay highest on the heap of those that are replaced by None."""

    def __init__(self, values: Iterable[Any]) -> None:
        super().__init__(values)
        self._newest: Any = None
        self._address = 0
        self._highest: np.ndarray | None = None

    def __setitem__(self, place: Any, value: Any) -> None:
        if value is None:
            self._let_go(self[place])
        else:
            self._newest = value
        super().__setitem__(place, value)

    def _let_go(self, array: Any) -> None:
        """Note an array that dies, unless the newest value was written over it, and lives on in it."""
        if type(array) is not np.ndarray or array is self._newest or not array.flags.owndata:
            return
        address = array.__array_interface__["data"][0]
        if address > self._address and address % PAGE != HEADER:
            self._address, self._highest = address, array

    def mark(self) -> np.ndarray | None:
        """That array's first bytes, when the run is over; None where something else may still look at the array."""
        self.clear()
        mark, self._highest, self._newest = self._highest, None, None
        if mark is None or mark.nbytes < MARK_BYTES:
            return None
        with contextlib.suppress(ValueError):  # NumPy counts the references to it: somebody has it, or a view of it
            mark.resize(MARK_BYTES // mark.itemsize)
            return mark
        return None
