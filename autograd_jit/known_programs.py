"""What is known of jitted functions: captured structure -> signature -> paths, all of it bounded."""

from __future__ import annotations

import ctypes
import itertools
import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np

from .records import field, record
from .reports import TraceReport
from .trace.arguments import innermost
from .trace.integers import IntegerFacts

__all__ = [
    "LOWERING_CALLS",
    "LOWERING_SECONDS",
    "MAX_FUNCTIONS",
    "MAX_OBJECT_HANDLES",
    "MAX_RECENT",
    "MAX_WASTED_TRACES",
    "MISS",
    "MOST_COMPARED",
    "Compiled",
    "Entry",
    "Held",
    "Path",
    "Turnover",
    "Waiting",
    "registry",
    "registry_lock",
    "turnover_of",
    "waiting_of",
]


class _Miss:
    def __repr__(self) -> str:
        return "MISS"

    def __reduce__(self) -> str:  # pickled as the one object of this name
        return "MISS"


#: what the fast path returns when the call is not one that it knows
MISS = _Miss()


@record
class Path:
    """One program of a signature, and where to go when one of its guards fails.

    ``program`` is the recorded tape (`Recorded`), later what it is lowered to. ``outcomes``: what each guard found, by
    its number, in the order of a run. ``integers``: expressions of integer arguments and their values.
    """

    program: Any
    held: Held | None
    outcomes: dict[int, bytes]
    integers: dict[str, int] = field(default_factory=dict)
    #: expressions of integer arguments whose values are inputs, between the arguments and captured arrays
    numbers: tuple[str, ...] = ()
    report: Any = None
    #: the program's `Lowering`, once it has been asked for
    lowering: Any = None
    source: Any = None  # ReplaySource, made when the program is used; None where a Python step draws random numbers
    branches: dict[tuple[int, bytes], Path] = field(default_factory=dict)
    #: jitted functions' handles that have a fast path of it
    holders: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)

    def note_lowered(self, program: Any) -> None:
        """The tape is lowered to ``program``, which has conditions of its own among its guards: below zero."""
        self.program = program
        self.outcomes = {check.number: check.expected for check in program.checks.values()} | self.outcomes

    def is_prefix_of(self, other: Path, guard: int, actual: bytes) -> bool:
        """Whether ``other`` takes this path's turns up to ``guard``, and there the one of ``actual``."""
        if other.outcomes.get(guard) != actual:
            return False
        before = itertools.takewhile(lambda outcome: outcome[0] != guard, self.outcomes.items())
        return all(other.outcomes.get(number) == found for number, found in before)


@record
class Waiting:
    """How long calls have run interpreted because compiling them is not yet worth its time (``compile="lazy"``)."""

    seconds: float = 0.0
    fastest: float = math.inf

    def note(self, seconds: float) -> None:
        """A call ran interpreted."""
        self.seconds += seconds
        self.fastest = min(self.fastest, seconds)

    @property
    def is_over(self) -> bool:
        """Whether interpreted calls have taken as long as compiling is expected to.

        Whoever rents until the rent makes up the price pays at most twice the least, whenever the calls end.
        """
        return self.seconds >= LOWERING_SECONDS + LOWERING_CALLS * self.fastest


def waiting_of(operator: Hashable, fun: Any) -> Waiting | None:
    """How long functions of this code have waited, under one operator; None for a callable without code.

    By the code, so that a function that is made anew for each call does not wait for ever."""
    code = getattr(fun, "__code__", None)
    return None if code is None else _of_code(_waiting, (operator, code), Waiting)


def _of_code(known: OrderedDict[Hashable, Any], key: Hashable, make: Callable[[], Any]) -> Any:
    with registry_lock:
        found = known.get(key)
        if found is None:
            found = known[key] = make()
            while len(known) > MAX_FUNCTIONS:
                known.popitem(last=False)
        known.move_to_end(key)
    return found


@record
class Turnover:
    """How often functions of one code came with captured state never seen before, and were not called again with it.

    Each costs a scan and a trace, a hundred times what a small function takes. After `MAX_WASTED_TRACES` in a row such
    calls run interpreted, and one is compiled each time that these have taken as long as that: state that stays
    as it is gets its program after all, and what is wasted is bounded by what the program takes anyway.
    """

    in_a_row: int = 0
    newest: Any = None  # Stats of the function object that was compiled last
    replays: int = 0  # of it, then
    waiting: Waiting = field(default_factory=Waiting)
    has_warned: bool = False

    @property
    def defers(self) -> bool:
        """Whether a call with new captured state should run interpreted."""
        return self.in_a_row >= MAX_WASTED_TRACES and self._is_unused and not self.waiting.is_over

    @property
    def _is_unused(self) -> bool:
        return self.newest is not None and self.newest.replays == self.replays

    def note(self, stats: Any) -> None:
        """A function object with these statistics is compiled for new captured state."""
        self.in_a_row = self.in_a_row + 1 if self._is_unused else 0
        self.newest, self.replays, self.waiting = stats, stats.replays, Waiting()


def turnover_of(operator: Hashable, fun: Any) -> Turnover | None:
    """What is known of functions of this code, however wrapped; None for a callable without code."""
    code = getattr(innermost(fun), "__code__", None)
    return None if code is None else _of_code(_turnovers, (operator, code), Turnover)


@record
class Entry:
    """All that is known of one signature."""

    paths: list[Path] = field(default_factory=list)
    last: Path | None = None
    interpreted: str | None = None
    waiting: Waiting = field(default_factory=lambda: Waiting())
    passing: int = 0  # traces that could not be used, while the next one might
    draws: bool = False  # some path draws random numbers
    unused: int = 0  # traces in a row without a replay between them
    replays: int = 0  # of the handle, when the last trace was made

    @property
    def deferred_only(self) -> bool:
        """Whether nothing but waiting has kept it from being traced."""
        return bool(self.waiting.seconds) and not self.paths and self.interpreted is None and not self.waiting.is_over

    @property
    def bytes_kept(self) -> int:
        """Memory that its programs keep."""
        return sum([path.program.bytes_kept for path in self.paths])

    @property
    def is_active(self) -> bool:
        """Whether a jitted function tries one of its paths first."""
        return any([handle.is_at(path) for path in self.paths for handle in list(path.holders)])

    def after(self, path: Path, guard: int | None, actual: bytes | None) -> Path | None:
        """The path that goes on where ``path`` found ``actual`` at ``guard``, if it has been seen."""
        if guard is None or actual is None:
            return None
        known = path.branches.get((guard, actual))
        if known is None:
            known = next((other for other in self.paths if path.is_prefix_of(other, guard, actual)), None)
            if known is not None:
                path.branches[guard, actual] = known
        return known


class Held:
    """What a program depends on besides its inputs and the guards of captured state.

    ``arrays``: reached through objects, with their contents when they were traced; ``checks``: functions that tell
    whether other code that took part is as it was.
    """

    def __init__(self, arrays: tuple[np.ndarray, ...], checks: Iterable[Callable[[], bool]] = ()) -> None:
        self.pairs = [(array, np.array(array, order="C")) for array in arrays]
        self.checks = tuple(checks)

    def unchanged(self) -> bool:
        for check in self.checks:
            if not check():
                return False
        for array, copy in self.pairs:
            if array.shape != copy.shape or array.dtype != copy.dtype:
                return False
            if array.flags.c_contiguous:
                if _memcmp(array.ctypes.data, copy.ctypes.data, copy.nbytes):
                    return False
            elif array.tobytes() != copy.tobytes():
                return False
        return True


_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Compiled:
    """What is known of all functions of one captured structure under one operator."""

    def __init__(self, captures: Any) -> None:
        self.captures = captures
        self.entries: OrderedDict[Hashable, Entry] = OrderedDict()
        #: what is made of integer arguments, by the signature without their values
        self.integers: OrderedDict[Hashable, IntegerFacts] = OrderedDict()
        self.history: list[str | TraceReport] = []
        self.interpreted: str | None = captures.why_interpreted
        self.warned: set[str] = set()
        self.compares_inputs = captures.compares_identity
        self.traces = 0
        #: whether one of its tapes was worth lowering
        self.is_hot = False


#: (operator, captured structure) -> what is known; least recently used out
registry: OrderedDict[Hashable, Compiled] = OrderedDict()
#: (operator, code) -> how long its functions have waited, before anything else is known of them
_waiting: OrderedDict[Hashable, Waiting] = OrderedDict()
#: (operator, code) -> what became of the captured states with which its functions came
_turnovers: OrderedDict[Hashable, Turnover] = OrderedDict()
registry_lock = threading.Lock()
MAX_FUNCTIONS = 512
#: handles for calls with objects among the arguments, kept by the identity of the objects
MAX_OBJECT_HANDLES = 32
#: signatures of a jitted function whose fast paths are tried before the arguments are looked at
MAX_RECENT = 16
#: signatures that a new one is compared with, to say in what it is new
MOST_COMPARED = 8
#: traces that may come to nothing, and traces in a row without a replay, before a signature runs interpreted
MAX_WASTED_TRACES = 16
#: what it is expected to take to trace, lower and compile: so many seconds and interpreted calls. Measured, cold:
#: 70 ms where a call takes 0.4 ms, and 20 to 40 calls where it takes 5 to 14 ms.
LOWERING_SECONDS, LOWERING_CALLS = 0.05, 20
