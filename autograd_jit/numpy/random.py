"""``numpy.random``: every name of it. Samples have no derivative, also not in their parameters.

A function that draws carries ``_draws = True``, so that a recorder knows that running it again gives something else.
"""

from __future__ import annotations

from typing import Any

import numpy.random as _random

from ..trace.tracer import notrace_primitive

#: names of ``numpy.random`` that are functions and draw nothing
_QUIET = frozenset(["default_rng", "get_state", "set_state", "seed", "get_bit_generator", "set_bit_generator", "test"])


def __getattr__(name: str) -> Any:
    """``numpy.random.name``; a function that draws is wrapped once and kept."""
    try:
        found = getattr(_random, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.numpy.random' (like numpy.random) has no attribute {name!r}"
        ) from None
    if not callable(found) or isinstance(found, type) or name.startswith("_") or name in _QUIET:
        return found
    wrapped = notrace_primitive(found)
    wrapped._draws = True  # type: ignore[attr-defined]
    globals()[name] = wrapped
    return wrapped


def __dir__() -> list[str]:
    return dir(_random)
