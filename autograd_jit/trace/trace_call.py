"""One traced call: run a function for real, with its arguments and captured arrays on a tape.

The result of the run is the interpreted answer. Whether the tape may be replayed is a second question, answered
by ``TracedCall.reason``.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from . import tree
from .captures import Captures, clone_with
from .recorder import LeaveTrace, Recorder
from .tape import Tape, tensor_type
from .tracer import BOX_TYPES, getval

__all__ = ["TracedCall", "holds_boxes", "is_dynamic", "trace_call"]


@dataclass(frozen=True)
class TracedCall:
    """``result``: what the call returned. ``tape``: its recording. ``reason``: why the tape must not be replayed, or None."""

    result: Any
    tape: Tape | None
    reason: str | None
    seconds: float


def trace_call(
    build: Callable, fun: Callable, captures: Captures, args: tuple, kwargs: dict, name: str
) -> TracedCall:
    """Run ``build(fun)(*args, **kwargs)``, recorded."""
    started = time.perf_counter()
    recorder = Recorder(name)
    boxed_args, boxed_kwargs = _boxed_arguments(recorder, args, kwargs)
    bound = captures.bind(fun)
    boxes = [
        recorder.add_input(array, captured.paths[0] if captured.paths else f"captured{i}")
        for i, (array, captured) in enumerate(zip(bound, captures.arrays, strict=True))
    ]
    snapshot = captures.snapshot(fun)
    generators = _GeneratorStates(captures)
    run = build(clone_with(fun, captures, list(boxes)) if boxes else fun)
    try:
        boxed = run(*boxed_args, **boxed_kwargs)
    except LeaveTrace as leave:
        # Nothing was written yet: the trace ends before the first write to an array.
        result = build(fun)(*args, **kwargs)
        return TracedCall(result, None, str(leave), time.perf_counter() - started)
    tape = recorder.finish(boxed, {})
    result = tree.map_leaves(getval, boxed)
    reason = recorder.invalid or generators.moved()
    if reason is None:
        changed = captures.changed_since(snapshot, fun)
        reason = f"it changes state that it captures: {changed}" if changed else None
    return TracedCall(result, tape, reason, time.perf_counter() - started)


def _boxed_arguments(recorder: Recorder, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    leaves, structure = tree.flatten((args, kwargs))
    names = _names(args, kwargs)
    boxed = [
        recorder.add_input(leaf, name) if is_dynamic(leaf) else leaf
        for leaf, name in zip(leaves, names, strict=True)
    ]
    return tree.unflatten(structure, boxed)


def is_dynamic(leaf: Any) -> bool:
    """Whether an argument leaf is an input of the tape; others (ints, strings, None, ...) are part of the signature."""
    kind = type(leaf)
    if kind is np.ndarray or kind is float or kind is complex:
        return tensor_type(leaf) is not None
    return isinstance(leaf, np.generic) and tensor_type(leaf) is not None


def _names(args: tuple, kwargs: dict) -> list[str]:
    """A readable name for each leaf: ``x0``, ``x1_weights``, ``rate``."""
    names: list[str] = []

    def visit(value: Any, name: str) -> None:
        if not tree.is_container(value):
            names.append(name if name.isidentifier() else f"x{len(names)}")
        elif isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{name}_{key}".replace(" ", "_"))
        else:
            for position, item in enumerate(tree.flatten_once(value)):
                visit(item, f"{name}_{position}")

    for position, arg in enumerate(args):
        visit(arg, f"x{position}")
    for key, value in kwargs.items():
        visit(value, key)
    seen: dict[str, int] = {}
    for position, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[position] = f"{name}__{seen[name]}"
    return names


class _GeneratorStates:
    """States of the random generators that a run could move without the recorder seeing it."""

    def __init__(self, captures: Captures) -> None:
        self.captured = captures.generators
        self.before = self._states()

    def _states(self) -> list[tuple[str, Any]]:
        states: list[tuple[str, Any]] = [
            ("numpy's global random generator", np.random.get_state(legacy=False)),
            ("the random module", random.getstate()),
        ]
        states += [(f"`{path}`", _state_of(generator)) for path, generator in self.captured]
        return states

    def moved(self) -> str | None:
        """Which generator was drawn from, as a reason."""
        for (name, before), (_, after) in zip(self.before, self._states(), strict=True):
            if not _equal(before, after):
                return f"it draws random numbers from {name}"
        return None


def _state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)


def holds_boxes(values: list) -> bool:
    """Whether any leaf is traced by an outer transformation."""
    return any(type(value) in BOX_TYPES for value in values)


