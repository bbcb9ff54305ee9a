"""Looking into a jitted function: its tapes, its programs, and what it has to say of itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .errors import ArgumentError
from .known_programs import Entry, Path
from .signatures import opened_arguments, signature_of
from .trace import tree

if TYPE_CHECKING:
    from .handle import Handle

__all__ = ["explanation", "path_for", "program_for"]


def program_for(handle: Handle, args: tuple, kwargs: dict) -> Any:
    """The program for these arguments, traced and lowered now if need be (which runs the function once)."""
    (entry, path), compiled = path_for(handle, args, kwargs), handle.compiled
    assert compiled is not None
    if not path.program.is_lowered:
        key = next(key for key, known in compiled.entries.items() if known is entry)
        handle.lowerer.of(compiled, key, entry, path, (args, kwargs)).wait()
    if not path.program.is_lowered:
        raise ArgumentError(f"{handle.name} has no program for these arguments: {compiled.interpreted}")
    return path.program


def path_for(handle: Handle, args: tuple, kwargs: dict) -> tuple[Entry, Path]:
    """What is known of these arguments, traced now if need be, and the path that they took last."""
    entry = _known_entry(handle, args, kwargs)
    if entry is None or entry.last is None:
        handle.slow(args, kwargs)
        entry = _known_entry(handle, args, kwargs)
        if entry is not None and entry.deferred_only:
            entry.waiting.seconds = math.inf
            handle.slow(args, kwargs)
    if entry is None or entry.last is None:
        because = (entry and entry.interpreted) or (handle.compiled and handle.compiled.interpreted)
        raise ArgumentError(f"{handle.name} has no tape for these arguments: it runs interpreted ({because})")
    return entry, entry.last


def _known_entry(handle: Handle, args: tuple, kwargs: dict) -> Entry | None:
    compiled = handle.find_compiled()
    if compiled is None:
        return None
    leaves, structure = opened_arguments(compiled, args, kwargs) or tree.flatten((args, kwargs))
    return compiled.entries.get(signature_of(compiled, leaves, structure).key)


def explanation(handle: Handle) -> str:
    """Every trace: why, guards, Python steps, kernels and times; and why not, where it runs interpreted."""
    lines = [f"{handle.name}: {handle.stats}"]  # which waits for what is being made
    compiled = handle.compiled
    if compiled is None:
        deferred = "its calls run interpreted: compiling them is not yet worth its time"
        return f"{lines[0]}\n  {deferred if handle.stats.deferred else 'not called yet'}"
    lines += ["  " + str(line).replace("\n", "\n  ") for line in compiled.history]
    if compiled.interpreted:
        lines.append(f"  runs interpreted: {compiled.interpreted}")
    reasons = [entry.interpreted for entry in compiled.entries.values() if entry.interpreted]
    lines += [f"  one signature runs interpreted: {reason}" for reason in reasons]
    return "\n".join(lines)
