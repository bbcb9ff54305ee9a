"""What a trace left behind: a function may have stored a traced value, or a clone, where it outlives the run.

The interpreted run would have stored the plain value or the original there, which is what is put in its place.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from typing import Any

from .capture_clone import Clone
from .capture_values import is_library
from .integers import IntegerBox
from .recorder import Recorder, TapeVar
from .tape_box import TAPE_BOXES

__all__ = ["evict", "may_have_leaked", "return_originals"]

#: a caller's variable, the parameter and the argument of getrefcount
_REFERENCES_AT_REST = 3
_LRU_CACHE = type(functools.lru_cache(len))


def may_have_leaked(recorder: Recorder) -> bool:
    """Whether something still refers to the recorder, as every box of it does. Costs a collection where it does."""
    if sys.getrefcount(recorder) <= _REFERENCES_AT_REST:
        return False
    gc.collect()
    return sys.getrefcount(recorder) > _REFERENCES_AT_REST


def evict(recorder: Recorder) -> str | None:
    """Put plain values in place of all boxes of a closed recorder that something holds; where one was, or None."""
    boxes = _boxes_of(recorder)
    places = [
        _replace(holder, box, box._value) for box in boxes for holder in gc.get_referrers(box) if holder is not boxes
    ]
    boxes.clear()
    if _boxes_of(recorder):
        _clear_caches()
    return next(filter(None, places), None)


def _boxes_of(recorder: Recorder) -> list:
    kinds = frozenset([*TAPE_BOXES, IntegerBox])
    found = [candidate for candidate in gc.get_objects() if type(candidate) in kinds]
    return [box for box in found if isinstance(box._node, TapeVar) and box._node.recorder is recorder]


def return_originals(clone: Clone) -> str | None:
    """Put originals in place of the cloned objects that something besides the clone holds; where one was, or None."""
    place: str | None = None
    for made, original in clone.held_elsewhere():
        for holder in gc.get_referrers(made):  # loops, no comprehensions: those would hold `made` in a cell
            if not clone.owns(holder):
                place = _replace(holder, made, original) or place
    return place


def _replace(holder: Any, box: Any, value: Any) -> str | None:
    """Exchange ``box`` for ``value`` in a list, a dictionary, a closure or an object; what it was, or None."""
    kind = type(holder)
    if isinstance(holder, list):
        held = [position for position, item in enumerate(holder) if item is box]
        if not held:
            return None
        for position in held:
            list.__setitem__(holder, position, value)
        return f"in a {kind.__name__}"
    if isinstance(holder, dict):
        for key in [key for key, item in holder.items() if item is box]:
            dict.__setitem__(holder, key, value)
        return f"in a {kind.__name__}"
    if kind is types.CellType:
        holder.cell_contents = value
        return "in a closure"
    if isinstance(holder, tuple) or kind is types.FrameType or kind.__module__.startswith("autograd_jit"):
        return None
    names = [name for name, item in list(getattr(holder, "__dict__", {}).items()) if item is box]
    for name in names:
        object.__setattr__(holder, name, value)
    return f"in {', '.join(names)} of a {kind.__name__}" if names else None


def _clear_caches() -> None:
    """A box that lives on in a user's ``functools.lru_cache`` goes with the cache."""
    for candidate in gc.get_objects():
        if type(candidate) is _LRU_CACHE and not is_library(getattr(candidate, "__module__", None)):
            candidate.cache_clear()
