"""Users' code that a run calls although the function does not capture it, and that a replay must find unchanged.

A registered type comes with an argument: its methods, its box's and its vector space's run while its values are
computed with. So does the function of a primitive that is followed (:mod:`.registered`).
"""

from __future__ import annotations

import contextlib
import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import record
from .capture_values import same_array_kind
from .tracer import Box
from .vspace import VSpace

if TYPE_CHECKING:
    from .captures import Captures

__all__ = ["Companions"]


@record(frozen=True)
class _Companion:
    """``holder``: the class, or the function in a ``staticmethod``: the arrays that it reaches are no inputs then."""

    holder: Any
    captures: Captures
    contents: tuple[np.ndarray, ...]  # copies of the arrays that it reaches

    def changed(self) -> str | None:
        """What is not as it was, or None."""
        if not self.captures.check(self.holder):
            return self.captures.explain_change(self.holder)
        pairs = zip(self.captures.held_paths, self.captures.held_arrays, self.contents, strict=True)
        found = [path for path, array, copy in pairs if not same_array_kind(array, copy)]
        return f"the contents of `{found[0]}` were changed" if found else None


class Companions:
    """The companions of one run."""

    def __init__(self) -> None:
        self._found: dict[int, _Companion] = {}
        self._refused: dict[int, tuple[Any, str]] = {}
        self._types: set[type] = set()

    def meet_type(self, kind: type) -> str | None:
        """Watch a registered type, its box and its space; why that cannot be done, or None."""
        if kind in self._types:
            return None
        for code in (kind, Box.type_mappings.get(kind), VSpace.mappings.get(kind)):
            reason = self.meet(code) if code is not None else None
            if reason is not None:
                return reason
        self._types.add(kind)
        return next(filter(None, [_shows_address(each.captures, kind) for each in self._found.values()]), None)

    def meet(self, code: Any) -> str | None:
        """Watch a class or function; why that cannot be done, or None."""
        if id(code) in self._refused:
            return self._refused[id(code)][1]
        if id(code) not in self._found:
            holder, captures = _scanned(code)
            reason = captures.why_interpreted or _unfit(captures, self._types)
            if reason is not None:
                self._refused[id(code)] = code, reason
                return reason
            copies = tuple([array.copy() for array in captures.held_arrays])
            self._found[id(code)] = _Companion(holder, captures, copies)
        return None

    def changed(self) -> str | None:
        """What the run changed of what its companions capture, or None."""
        return next(filter(None, [each.changed() for each in self._found.values()]), None)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Arrays whose contents are part of the recording."""
        return tuple([array for each in self._found.values() for array in each.captures.held_arrays])

    @property
    def checks(self) -> list[Callable[[], bool]]:
        """One function a companion: whether it is as it was."""
        return [functools.partial(each.captures.check, each.holder) for each in self._found.values()]


#: companions met last, by the id of their code: a walk takes some ms, a check some us
_known: OrderedDict[int, tuple[Any, Any, Captures]] = OrderedDict()
MOST_KNOWN = 128


def _scanned(code: Any) -> tuple[Any, Captures]:
    """The holder of a class or function, and what it captures."""
    from .captures import scan, scan_all  # most runs have no companions, and some no captures

    known = _known.get(id(code))
    if known is not None and known[0] is code and known[2].check(known[1]):
        return known[1:]
    holder = code if isinstance(code, type) else staticmethod(code)
    captures = scan_all(holder) if holder is code else scan(holder)
    _known[id(code)] = code, holder, captures
    while len(_known) > MOST_KNOWN:
        with contextlib.suppress(KeyError):  # another thread may have been first
            _known.popitem(last=False)
    return holder, captures


def _unfit(captures: Captures, kinds: set[type]) -> str | None:
    """Why captured state that would do for a function to be compiled does not do here."""
    if captures.arrays or captures.generators or captures.generator_paths:
        return "it captures random generators, or arrays that cannot be held"
    if captures.compares_identity:
        return "it compares objects with `is`"
    return next(filter(None, [_shows_address(captures, kind) for kind in kinds]), None)


def _shows_address(captures: Captures, kind: type) -> str | None:
    if captures.shows_address_of(kind):
        return f"it shows the address of a {kind.__name__}"
    return None
