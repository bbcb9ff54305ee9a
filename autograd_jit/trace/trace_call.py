"""One traced call: run a function for real, with its arguments and captured arrays on a tape.

The result of the run is the interpreted answer. Whether the tape may be replayed is a second question, answered
by ``TracedCall.reason``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..device_array import DeviceArray
from ..records import field, record
from . import collector, tree
from .capture_clone import Clone
from .captures import Captures, clone_with
from .companions import Companions
from .draws import DrawLog, session
from .generator_states import GeneratorStates
from .instances import attributes
from .integers import LARGEST_EXACT, IntegerBox, evaluated, in_range, integer_name
from .leaks import evict, may_have_leaked, return_originals
from .recorder import LeaveTrace, Recorder
from .registered import meet_types
from .tape import Op, Tape, tensor_type
from .tracer import BOX_TYPES, REGISTERED, concrete

__all__ = ["TracedCall", "is_dynamic", "leaf_names", "trace_call"]


@record(frozen=True)
class TracedCall:
    """``result``: what the call returned. ``tape``: its recording.

    ``reason``: why the tape must not be replayed, or None. ``is_passing``: another call may well be recorded.
    ``integers``: the expressions of integer arguments that the tape depends on, with their values.
    ``failed``: the run went without the recorder, but not with it.
    ``companions``: code that the tape depends on besides what the function captures.
    """

    result: Any
    tape: Tape | None
    reason: str | None
    seconds: float
    is_passing: bool = False
    integers: dict[str, int] = field(default_factory=dict)
    failed: bool = False
    companions: Companions | None = None
    numbers: tuple[str, ...] = ()
    meets_floats_only: dict[str, bool] = field(default_factory=dict)


def trace_call(
    build: Callable,
    fun: Callable,
    captures: Captures,
    args: tuple,
    kwargs: dict,
    name: str,
    box_integers: bool = False,
    numbers: tuple[str, ...] = (),
) -> TracedCall:
    """Run ``build(fun)(*args, **kwargs)``, recorded. ``numbers``: expressions of integers that are to be inputs.

    An exception under the recorder may be the recorder's own doing: the call is made again without it, and
    raises what it raises.
    """
    with collector.relaxed(), session() as log, log.attempt():
        # no variable for the recorder: `may_have_leaked` counts references to it
        return _trace_call(
            build, fun, captures, args, kwargs, Recorder(name, base=_recorded_run), box_integers, numbers, log
        )


def _trace_call(
    build: Callable,
    fun: Callable,
    captures: Captures,
    args: tuple,
    kwargs: dict,
    recorder: Recorder,
    box_integers: bool,
    numbers: tuple[str, ...],
    log: DrawLog,
) -> TracedCall:
    started = time.perf_counter()
    given = _boxed_arguments(recorder, args, kwargs, box_integers, numbers)
    leaves, structure = tree.flatten(given, opened=True)
    meet_types(recorder, structure)
    snapshot = captures.snapshot(fun)
    recorder.generators = captures.bind_generators(fun)
    generators = GeneratorStates(captures, recorder.generators)
    drawn_before = log.mark()
    clone = _with_boxes(recorder, fun, captures)
    boxed: Any = None
    failed = False
    log.recorders.append(recorder)
    try:
        boxed = _recorded_run(build, clone, given)
    except LeaveTrace as leave:
        void: str | None = str(leave)
    except Exception as error:
        void, failed = f"{type(error).__name__} under the recorder: {error}", True
    else:
        tape = recorder.finish(boxed)
        void = recorder.left or _mutated(given, leaves, structure) or _not_rebuildable(tape) or _altered(clone)
    finally:
        log.recorders.remove(recorder)
        recorder.close()
    kept = return_originals(clone)
    changed = captures.changed_since(snapshot, fun) or recorder.companions.changed()
    del clone
    if void is not None:
        generators.restore()
        log.take_back(drawn_before)
        del boxed, given, leaves
        result = build(fun)(*args, **kwargs)
        return TracedCall(result, None, void, time.perf_counter() - started, failed=failed)
    result = tree.map_leaves(concrete, boxed, opened=True)
    del boxed, given, leaves
    reason = recorder.invalid or generators.moved(recorder)
    if changed:
        reason = reason or f"it changes state that it captures: {changed}"
    elif kept:
        reason = reason or f"it keeps an object that it captures: {kept}"
    if reason or may_have_leaked(recorder):
        left_behind = evict(recorder)
        reason = reason or (f"it keeps a traced value: {left_behind}" if left_behind else None)
    if reason is None and recorder.handled_error is not None:
        reason = f"it may handle an error that depends on its data ({recorder.handled_error})"
        return TracedCall(result, None, reason, time.perf_counter() - started, is_passing=True)
    seconds = time.perf_counter() - started
    return TracedCall(
        result,
        tape,
        reason,
        seconds,
        integers=recorder.integers,
        companions=recorder.companions,
        numbers=tuple(recorder.numbers),
        meets_floats_only=_of_integers(recorder),
    )


def _of_integers(recorder: Recorder) -> dict[str, bool]:
    """The expressions of integers that met floats; not those inputs of which the run took what it computed."""
    if not recorder.numbers:
        return recorder.meets_floats_only
    depends = {var.number for var in recorder.numbers.values()}
    for op in recorder.ops:
        if isinstance(op, Op):
            if any([var.number in depends for var in op.operands()]):
                depends.update([var.number for var in op.outputs])
        elif op.kind != "truth" and op.var.number in depends:
            return recorder.meets_floats_only | dict.fromkeys(recorder.numbers, False)
    return recorder.meets_floats_only


def _with_boxes(recorder: Recorder, fun: Callable, captures: Captures) -> Clone:
    """``fun`` with boxes in place of the arrays that it captures."""
    bound = captures.bind(fun)
    boxes: list[object] = [
        recorder.add_input(array, _identifier(captured.paths[0]) if captured.paths else f"captured{i}")
        for i, (array, captured) in enumerate(zip(bound, captures.arrays, strict=True))
    ]
    return clone_with(fun, captures, boxes) if boxes or captures.type_node is not None else Clone(fun, [])


def _identifier(path: str) -> str:
    """``self.layers[0].weights`` as a name for the printed tape: ``self_layers_0_weights``."""
    return re.sub(r"\W+", "_", path).strip("_")


def _recorded_run(build: Callable, clone: Clone, given: tuple) -> Any:
    """The run itself, in a frame of its own that holds no box afterwards."""
    return build(clone.call)(*given[0], **given[1])


def _altered(clone: Clone) -> str | None:
    """Whether the run changed a captured object of which it was given a clone: it must change the original."""
    changed = clone.altered()
    return f"it changes {changed} that it captures" if changed else None


def _mutated(given: tuple, leaves: list, structure: Any) -> str | None:
    """Whether the run changed a container among its arguments: it was a copy of the caller's."""
    after, structure_after = tree.flatten(given, opened=True)
    if structure_after == structure and all(a is b for a, b in zip(after, leaves)):
        return None
    return "it changes a container that it is given as an argument"


def _not_rebuildable(tape: Tape) -> str | None:
    """Why containers like the returned one cannot be made again by a replay, or None."""
    if any(type(key) in BOX_TYPES for key in tree.keys_of(tape.structure)):
        return "it returns a dictionary keyed by traced values"
    return None if tree.is_rebuildable(tape.structure) else "it returns a dataclass that is more than its fields"


def _boxed_arguments(
    recorder: Recorder, args: tuple, kwargs: dict, box_integers: bool, numbers: tuple[str, ...]
) -> tuple[tuple, dict]:
    leaves, structure = tree.flatten((args, kwargs), opened=True)
    names = leaf_names(args, kwargs)
    boxed: list[Any] = []
    integers: list[int] = []
    for leaf, name in zip(leaves, names, strict=True):
        if is_dynamic(leaf):
            boxed.append(recorder.add_input(leaf, name))
        elif box_integers and type(leaf) is int:
            boxed.append(IntegerBox(recorder, leaf, integer_name(len(integers))))
            integers.append(leaf)
        else:
            boxed.append(leaf)
    if all([abs(number) <= LARGEST_EXACT for number in evaluated(numbers, integers)]):
        for source, number in zip(numbers, evaluated(numbers, integers), strict=True):
            recorder.add_input(float(number), f"number{len(recorder.numbers)}")
            recorder.numbers[source] = recorder.inputs[-1]
            recorder.integers[in_range(source)] = True
    return tree.unflatten(structure, boxed)


def is_dynamic(leaf: Any) -> bool:
    """Whether an argument leaf is an input of the tape; others (ints, strings, None, ...) are part of the signature."""
    kind = type(leaf)
    if kind is np.ndarray or kind is float or kind is complex:
        return tensor_type(leaf) is not None
    return (isinstance(leaf, np.generic) and tensor_type(leaf) is not None) or kind is DeviceArray


def leaf_names(args: tuple, kwargs: dict) -> list[str]:
    """A readable name for each leaf: ``x0``, ``x1_weights``, ``rate``."""
    names: list[str] = []

    def visit(value: Any, name: str) -> None:
        if not tree.is_container(value, opened=True):
            names.append(name if name.isidentifier() else f"x{len(names)}")
        elif isinstance(value, dict) or type(value) in REGISTERED:
            keys = value if isinstance(value, dict) else attributes(value)[0]
            for key, item in zip(keys, tree.flatten_once(value, opened=True)):
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
