"""What a compiled function tells of itself: counts, and a report of each trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Stats", "trace_report"]


@dataclass
class Stats:
    """What a jitted function did so far.

    ``calls`` = replays + traces + fallbacks + inlined + deferred. ``deferred``: calls that ran interpreted because
    compiling them is not yet worth its time (``compile="lazy"``). ``inlined``: calls made inside another
    transformation, which run interpreted as part of it. ``python_steps``: Python steps in the programs made.
    ``kernels_compiled``: kernels that neither memory nor disk had.
    """

    traces: int = 0
    replays: int = 0
    guard_failures: int = 0
    fallbacks: int = 0
    inlined: int = 0
    python_steps: int = 0
    kernels_compiled: int = 0
    kernels_loaded: int = 0
    deferred: int = 0

    @property
    def calls(self) -> int:
        return self.replays + self.traces + self.fallbacks + self.inlined + self.deferred


def trace_report(
    name: str, traced: Any, integers: dict[str, int], program: Any, why: str, made: int, loaded: int
) -> str:
    """What `explain` says of a trace: its times, kernels, guards and Python steps."""
    lines = [
        f"traced in {traced.seconds * 1e3:.1f} ms, lowered in {program.seconds * 1e3:.1f} ms: {why}",
        f"  {len(traced.tape.ops)} operations, {len(program.table)} kernel launches of "
        f"{len({k.kernel for k in program.kernels})} kernels ({made} compiled, {loaded} from disk, "
        f"{sum(k.seconds for k in program.kernels if k.origin == 'compiled') * 1e3:.0f} ms of compiling in all)",
    ]
    lines += [f"  integer: {source} == {value}" for source, value in integers.items()]
    lines += [f"  guard: {guard}  # {guard.line}" for guard in traced.tape.guards[:20]]
    if len(traced.tape.guards) > 20:
        lines.append(f"  ... and {len(traced.tape.guards) - 20} more guards")
    lines += [f"  {remark}" for remark in program.remarks[:20]]
    return "\n".join(lines)
