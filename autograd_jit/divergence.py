"""What a replay finds where the recorded path is not the one that its values take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .trace.tape import Guard, Tape

__all__ = ["Diverged", "compared_dtype", "describe", "expected_bytes", "outcomes"]


class Diverged(Exception):
    """A replay met a guard that does not hold, or a Python step gave a result of another type.

    ``guard``: its number on the tape, ``actual``: the bytes found there; None where it was no guard.
    """

    def __init__(self, guard: int | None, actual: bytes | None, why: str | Callable[[], str]) -> None:
        super().__init__(why)
        self.guard = guard
        self.actual = actual
        self.why = why

    def __str__(self) -> str:  # described only where somebody reads it: many calls go on to another path
        return self.why if isinstance(self.why, str) else self.why()


def compared_dtype(guard: Guard) -> np.dtype:
    """The dtype in which a guard compares its value, bit for bit.

    A truth is compared as a bool, an integer in the value's own dtype (a float truncated towards zero, without the
    sign of a zero, and never one that machines do not compute with), anything else as it is.
    """
    dtype = guard.var.type.dtype
    if guard.kind == "truth":
        return np.dtype(bool)
    return np.dtype(float) if guard.kind == "int" and dtype.kind == "f" and dtype.itemsize not in (4, 8) else dtype


def expected_bytes(guard: Guard) -> bytes:
    """What a guard found when it was recorded."""
    return np.asarray(guard.expected, compared_dtype(guard)).tobytes()


def outcomes(tape: Tape) -> dict[int, bytes]:
    """What each guard of a tape found when it was recorded, by its number, in the order of a run."""
    return {number: expected_bytes(guard) for number, guard in enumerate(tape.guards)}


def describe(guard: Guard, actual: bytes, dtype: np.dtype) -> str:
    """What a guard found, and where in the user's code it stands."""
    found: Any = np.frombuffer(actual, dtype)
    shown = found[0].item() if found.size == 1 else f"{found.size} other values"
    return f"{guard.line or guard}: {guard.kind} was {guard.expected!r}, now {shown!r}"
