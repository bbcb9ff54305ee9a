"""Functions among the arguments of a Python step, compiled: a solver calls its dynamics thousands of times.

A primitive whose ``replayed`` is set is called by that function in replays, and by its own otherwise; the two differ
in speed only. The functions it is given are the same objects at every replay of a program, so that what was compiled
for one is found again by identity.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

__all__ = ["compiled", "compiled_curried"]

#: functions remembered; each is held with all that it captures
MOST = 128


def compiled(function: Any) -> Any:
    """``jit(function)``, one object as long as it is in use; other callables as they are."""
    return _compiled(function) if type(function) is types.FunctionType else function


def compiled_curried(function: Callable) -> Callable:
    """``g(a, x) = function(a)(x)``, compiled."""
    return _compiled_curried(function) if type(function) is types.FunctionType else lambda a, x: function(a)(x)


@functools.lru_cache(maxsize=MOST)
def _compiled(function: Callable) -> Callable:
    from ..jit import jit

    return jit(function)


@functools.lru_cache(maxsize=MOST)
def _compiled_curried(function: Callable) -> Callable:
    from ..jit import jit

    return jit(lambda a, x: function(a)(x))
