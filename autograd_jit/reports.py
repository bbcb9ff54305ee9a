"""What a compiled function tells of itself: counts, and a report of each trace."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .records import field, fields, record

if TYPE_CHECKING:
    from .lowering import Lowering

__all__ = ["Late", "Made", "Stats", "TraceReport"]


#: guards of a trace that `explain` prints
MOST_GUARDS = 20


@record
class Stats:
    """What a jitted function did so far.

    ``calls`` = replays + traces + fallbacks + inlined + deferred. ``deferred``: calls that ran interpreted because
    compiling them is not yet worth its time (``compile="lazy"``, or captured values that are new at every call).
    ``inlined``: calls made inside another transformation, which run interpreted as part of it. ``python_steps``:
    Python steps in the programs made. ``kernels_compiled``: kernels that neither memory nor disk had. Who reads these
    two, or ``kernels_loaded``, waits for the programs that are being made.
    """

    traces: int = 0
    replays: int = 0
    guard_failures: int = 0
    fallbacks: int = 0
    inlined: int = 0
    deferred: int = 0
    made: Made = field(default_factory=lambda: Made())

    @property
    def calls(self) -> int:
        return self.replays + self.traces + self.fallbacks + self.inlined + self.deferred

    @property
    def python_steps(self) -> int:
        return self.made.complete().python_steps

    @property
    def kernels_compiled(self) -> int:
        return self.made.complete().kernels_compiled

    @property
    def kernels_loaded(self) -> int:
        return self.made.complete().kernels_loaded

    def __str__(self) -> str:
        names = [name for name in (*fields(self), *fields(Made)) if name not in ("made", "pending")]
        return f"Stats({', '.join([f'{name}={getattr(self, name)}' for name in names])})"

    __repr__ = __str__


@record
class Made:
    """What was made for a jitted function's programs, and their lowerings as long as the paths are there."""

    python_steps: int = 0
    kernels_compiled: int = 0
    kernels_loaded: int = 0
    pending: weakref.WeakValueDictionary[int, Lowering] = field(default_factory=lambda: weakref.WeakValueDictionary())

    def add(self, program: Any, compiled: int, loaded: int) -> None:
        """A program is there, for which so many kernels were compiled and loaded."""
        self.python_steps += len(program.steps)
        self.kernels_compiled += compiled
        self.kernels_loaded += loaded

    def complete(self) -> Made:
        """Itself, when all is lowered that ran first or came again."""
        for reference in self.pending.valuerefs():
            lowering = reference()
            if lowering is not None:
                lowering.wait()
        return self


class Late:
    """Text that is put together when it is read."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    def __str__(self) -> str:
        return self._make()


@record(eq=False)
class TraceReport:
    """What `explain` says of a trace: its times, kernels, guards and Python steps. Put into words when it is read."""

    seconds: float
    operations: int
    why: object  # its text
    integers: dict[str, int]
    guards: list[Any]
    more_guards: int
    lowered: str = "  not compiled yet: it has not come again"
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, traced: Any, integers: dict[str, int], why: object) -> TraceReport:
        """The report of a trace that is not lowered yet."""
        guards = traced.tape.guards
        shown = [_to_be_shown(guard) for guard in guards[:MOST_GUARDS]]
        return cls(traced.seconds, len(traced.tape.ops), why, integers, shown, len(guards) - len(shown))

    @property
    def head(self) -> str:
        """What is known before it is lowered, in a line."""
        return f"traced in {self.seconds * 1e3:.1f} ms, {self.operations} operations: {self.why}"

    def note_lowered(self, program: Any, made: int, loaded: int) -> None:
        """Its program is there; so many kernels were compiled for it and loaded."""
        distinct = {kernel.kernel: kernel for kernel in program.kernels}.values()  # the program's are by launch
        compiling = sum(kernel.seconds for kernel in distinct if kernel.origin == "compiled")
        self.lowered = (
            f"  lowered in {program.seconds * 1e3:.1f} ms: {len(program.table)} kernel launches of "
            f"{len(distinct)} kernels ({made} compiled, {loaded} from disk, "
            f"{compiling * 1e3:.0f} ms of compiling in all)"
        )
        self.remarks = [f"  {remark}" for remark in program.remarks[:20]]

    def __str__(self) -> str:
        details = [f"  integer: {source} == {value}" for source, value in self.integers.items()]
        details += [_line_of(guard) for guard in self.guards]
        if self.more_guards:
            details.append(f"  ... and {self.more_guards} more guards")
        return "\n".join([self.head, self.lowered, *details, *self.remarks])


def _line_of(guard: Any) -> str:
    return guard if isinstance(guard, str) else f"  guard: {guard}  # {guard.line}"


def _to_be_shown(guard: Any) -> Any:
    """A guard, or its text where the guard would keep an array alive as long as its report."""
    return _line_of(guard) if isinstance(guard.expected, np.ndarray) else guard
