"""The state behind one compiled function: how a call finds its program, and what is done where there is none.

Three levels of lookup, from a call to a program:

    captured state   code and structure of what the function captures -> :class:`Compiled` (shared by fresh closures)
    signature        containers, dtypes, shapes, static values of the arguments -> :class:`Entry`
    path             the outcomes of the guards, tried native: the last path first, then by the guard that failed
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from . import program_memory
from .device_array import adopted, host_copies, on_host, sent_back
from .divergence import Diverged, outcomes
from .errors import BackendError, FallbackWarning, VerificationError
from .known_programs import (
    MAX_FUNCTIONS,
    MAX_OBJECT_HANDLES,
    MAX_RECENT,
    MAX_WASTED_TRACES,
    MISS,
    MOST_COMPARED,
    Compiled,
    Entry,
    Held,
    Path,
    Turnover,
    Waiting,
    registry,
    registry_lock,
    turnover_of,
    waiting_of,
)
from .lowering import Lowerer
from .options import Options
from .recorded import Recorded
from .records import replaced
from .reports import Late, Stats, TraceReport
from .signatures import (
    ObjectBuild,
    Signature,
    all_plain,
    build_key,
    dynamic_leaves,
    is_plain,
    nearest_difference,
    opened_arguments,
    placeholder,
    share_objects,
    signature_of,
)
from .trace import tree
from .trace.draws import session
from .trace.float_errors import default_error_state, error_state, stops_on_errors, warnings_raise
from .trace.tracer import BOX_TYPES
from .trace.tree import is_rebuildable
from .verification import period_of

__all__ = ["Handle"]

_logger = logging.getLogger("autograd_jit")


class Handle:
    """The state behind one jitted function object."""

    __slots__ = (
        "__weakref__",
        "build",
        "compiled",
        "fast",
        "fast_of",
        "followed_by",
        "fun",
        "interpreted",
        "lowerer",
        "name",
        "operator",
        "options",
        "period",
        "recent",
        "stats",
        "strangers",
        "turns",
        "warned",
        "with_objects",
    )

    def __init__(self, build: Callable, fun: Callable, name: str, options: Options) -> None:
        self.build = build
        self.operator = build_key(build)
        self.fun = fun
        self.name = name
        self.options = options
        self.interpreted = build(fun) if options.target == "cpu" else on_host(build(fun))
        self.period = period_of(options.verify)
        self.stats = Stats()
        self.lowerer = Lowerer(name, options, self.stats)
        self.compiled: Compiled | None = None
        self.fast: Callable[[tuple], Any] = _never
        #: fast paths of the signatures used last, and for each the one that served the call after it
        self.recent: OrderedDict[Hashable, Callable[[tuple], Any]] = OrderedDict()
        self.turns: tuple[Callable[[tuple], Any], ...] = ()
        self.followed_by: dict[Callable, Callable] = {}
        #: by the id of a path, which is held with it: its fast path
        self.fast_of: dict[int, tuple[Path, Callable[[tuple], Any]]] = {}
        self.warned: set[str] = set()
        self.with_objects: OrderedDict[tuple, Handle] = OrderedDict()
        #: calls in a row with objects never seen before, and the replays when the last of them came
        self.strangers = (0, 0)

    # ---------------------------------------------------------------- the slow path

    def slow(self, args: tuple, kwargs: dict) -> Any:
        """Any call that the fast path does not know."""
        if self.options.target != "cpu":
            args, kwargs = adopted(args, kwargs)
        if not kwargs and len(self.turns) > 1:
            result = self._replay_recent(args)
            if result is not MISS:
                return result
        leaves, structure = tree.flatten((args, kwargs))
        if any(type(leaf) in BOX_TYPES for leaf in leaves) or self._captures_boxes():
            self.stats.inlined += 1
            return self.interpreted(*args, **kwargs)
        if error_state() is not default_error_state and stops_on_errors():
            return self._fall_back(args, kwargs, "np.errstate or np.seterr asks for floating-point errors")
        if warnings_raise():  # no warning that it runs interpreted: that would be an error, too
            self.stats.fallbacks += 1
            return self.interpreted(*args, **kwargs)
        waiting = waiting_of(self.operator, self.fun) if self.compiled is None and self.options.mode == "lazy" else None
        if waiting is not None and not waiting.is_over:  # not even looked at: that takes 30 ms, with imports
            return self._deferred(waiting, args, kwargs)
        turnover = None if self._knows_captures() else turnover_of(self.operator, self.fun)
        if turnover is not None and turnover.defers:
            self._warn_of(turnover)
            return self._deferred(turnover.waiting, args, kwargs)
        compiled = self.find_compiled()
        if compiled is None:
            self.stats.inlined += 1
            return self.interpreted(*args, **kwargs)
        if compiled.interpreted:
            return self._fall_back(args, kwargs, compiled.interpreted)
        if not all_plain(leaves):
            opened = opened_arguments(compiled, args, kwargs)
            if opened is None:
                return self._call_with_objects(leaves, structure, args, kwargs)
            leaves, structure = opened
            if any([type(leaf) in BOX_TYPES for leaf in leaves]):
                self.stats.inlined += 1
                return self.interpreted(*args, **kwargs)
        if not is_rebuildable(structure):
            return self._fall_back(args, kwargs, "a dataclass among its arguments cannot be rebuilt from its fields")
        if not all([leaf.dtype.isnative for leaf in leaves if type(leaf) is np.ndarray]):
            return self._fall_back(args, kwargs, "an array among its arguments is in foreign byte order")
        if compiled.captures.compares_identity and share_objects(leaves, compiled.captures.bind(self.fun)):
            return self._fall_back(args, kwargs, "it compares objects with `is`, and was given one array twice")
        signature = signature_of(compiled, leaves, structure)
        entry = self._entry(compiled, signature.key)
        if entry.interpreted:
            return self._fall_back(args, kwargs, entry.interpreted)
        known = self.fast_of.get(id(entry.last)) if not kwargs else None
        if known is not None and known[1] is not self.fast:  # a signature that has not come for a while
            result = known[1](args)
            if result is not MISS:
                self.fast = known[1]
                return result
        return self._replay_or_trace(compiled, entry, signature, leaves, args, kwargs)

    def _replay_recent(self, args: tuple) -> Any:
        """A call that takes turns with others (minibatches by number, a short last batch): 5 us instead of 50."""
        before = self.fast
        guess = self.followed_by.get(before, _never)
        result = guess(args)
        if result is not MISS:
            self.fast = guess
            return result
        for fast in self.turns:
            if fast is before or fast is guess:
                continue
            result = fast(args)
            if result is not MISS:
                self.fast = self.followed_by[before] = fast
                return result
        return MISS

    def _call_with_objects(self, leaves: list, structure: Any, args: tuple, kwargs: dict) -> Any:
        """A call with arguments that are objects: what can be reached from them counts as captured."""
        objects = tuple([leaf for leaf in leaves if not is_plain(leaf)])
        key = tuple([id(value) for value in objects])
        handle = self.with_objects.get(key)
        if handle is None:
            count, replays = self.strangers
            count = count + 1 if replays == self.stats.replays else 1
            self.strangers = count, self.stats.replays
            if count > MAX_WASTED_TRACES:
                kinds = ", ".join(sorted({type(value).__name__ for value in objects}))
                reason = f"it is given other objects ({kinds}) at every call, and programs know objects by identity"
                if count == MAX_WASTED_TRACES + 1 and self.compiled is not None:
                    self.compiled.history.append(f"{self.name}: interpreted from now on: {reason}")
                return self._fall_back(args, kwargs, reason)
            holder = functools.partial(self.fun, *objects)  # keeps the objects alive, and so their ids
            handle = Handle(ObjectBuild(self.build), holder, self.name, self.options)
            handle.stats, handle.warned, handle.lowerer = self.stats, self.warned, self.lowerer
            self.with_objects[key] = handle
            while len(self.with_objects) > MAX_OBJECT_HANDLES:
                self.with_objects.popitem(last=False)
        numbers = iter(range(len(objects)))
        replaced = [leaf if is_plain(leaf) else placeholder(next(numbers)) for leaf in leaves]
        args, kwargs = tree.unflatten(structure, replaced)
        if not kwargs:
            result = handle.fast(args)
            if result is not MISS:
                return result
        return handle.slow(args, kwargs)

    def _captures_boxes(self) -> bool:
        """Whether the function closes over a value that an outer transformation traces."""
        cells = getattr(self.fun, "__closure__", None) or ()
        try:
            return any(type(cell.cell_contents) in BOX_TYPES for cell in cells)
        except ValueError:  # an empty cell
            return False

    def _knows_captures(self) -> bool:
        """Whether what the function captures is as it was."""
        compiled = self.compiled
        return compiled is not None and (bool(compiled.interpreted) or compiled.captures.check(self.fun))

    def find_compiled(self) -> Compiled | None:
        """What is known of this function and of what it captures now; None where an outer trace is in there."""
        from .trace.captures import nearest_change, scan

        compiled = self.compiled
        if self._knows_captures():
            return compiled
        nearest = nearest_change(self.fun) if compiled is None else None
        captures = scan(self.fun)
        if any(type(obj) in BOX_TYPES for _, obj in captures.opaque):
            return None
        key, is_new = (self.operator, captures.structure_key, self.options), False
        with registry_lock:
            known = registry.get(key)
            if known is None or (captures.unsound is None and not known.captures.check(self.fun)):
                if compiled is not None:
                    why = compiled.captures.explain_change(self.fun) if not compiled.interpreted else ""
                else:
                    why = nearest or "first call"
                known = registry[key] = Compiled(captures)
                known.history.append(f"{self.name}: captured state scanned ({why})")
                is_new = True
                while len(registry) > MAX_FUNCTIONS:
                    registry.popitem(last=False)
            else:
                registry.move_to_end(key)
        turnover = turnover_of(self.operator, self.fun) if is_new else None
        if turnover is not None:
            turnover.note(self.stats)
        self.compiled = known
        return known

    def _entry(self, compiled: Compiled, signature: Hashable) -> Entry:
        entry = compiled.entries.get(signature)
        if entry is None:
            return self._new_entry(compiled, signature)
        with contextlib.suppress(KeyError):  # another thread may have thrown it out
            compiled.entries.move_to_end(signature)
        return entry

    def _new_entry(self, compiled: Compiled, signature: Hashable) -> Entry:
        entry = Entry()
        if not compiled.entries and self.options.mode == "lazy":  # it has waited before it was looked at
            waiting = waiting_of(self.operator, self.fun)
            entry.waiting = Waiting() if waiting is None else replaced(waiting)
        if len(compiled.entries) >= self.options.max_signatures:
            compiled.entries.popitem(last=False)
            if compiled.traces > 2 * self.options.max_signatures and self.stats.replays < compiled.traces:
                entry.interpreted = (
                    f"it was called with more than {self.options.max_signatures} signatures (shapes, dtypes, "
                    f"values of integer arguments), most of them once"
                )
                compiled.interpreted = entry.interpreted
        compiled.entries[signature] = entry
        return entry

    def resume(self, args: tuple, made: tuple) -> Any:
        """A call that the fast path has begun: ``made`` are the random draws it made, to be served again."""
        with session() as log, log.attempt():
            for generator, name, answer in made:
                log.add(generator, name, answer)
            return self.slow(args, {})

    def _replay_or_trace(
        self, compiled: Compiled, entry: Entry, signature: Signature, leaves: list, args: tuple, kwargs: dict
    ) -> Any:
        if not entry.draws:
            return self._attempts(compiled, entry, signature, leaves, args, kwargs, lambda: None)
        with session() as log, log.attempt() as start:
            return self._attempts(compiled, entry, signature, leaves, args, kwargs, lambda: log.rewind(start))

    def _attempts(
        self,
        compiled: Compiled,
        entry: Entry,
        signature: Signature,
        leaves: list,
        args: tuple,
        kwargs: dict,
        rewind: Callable[[], None],
    ) -> Any:
        """Replay path after path, then trace. ``rewind``: the next attempt is served the draws of the one before."""
        dynamic = dynamic_leaves(leaves)
        bound = compiled.captures.bind(self.fun)
        generators = compiled.captures.bind_generators(self.fun) if entry.draws else ()
        is_to_be_verified = self._is_to_be_verified()
        path, why = entry.last, "" if entry.paths else self._why_new(compiled, signature, args, kwargs)
        tried: set[int] = set()
        left: tuple[Path, int | None, bytes | None] | None = None
        while path is not None and id(path) not in tried:
            tried.add(id(path))
            if path.held is not None and not path.held.unchanged():
                why = "the contents of a captured array changed, or code of a registered type"
                path = next((p for p in entry.paths if p.held and p.held.unchanged() and id(p) not in tried), None)
                continue
            inputs = (*dynamic, *signature.values_of(path.numbers), *bound)
            program = self.lowerer.program_of(path)
            if compiled.interpreted:  # it could not be lowered
                return self._fall_back(args, kwargs, compiled.interpreted)
            try:
                outputs = program.run(inputs, generators)
            except Diverged as divergence:
                rewind()
                self.stats.guard_failures += divergence.guard is not None
                why = f"another path: {divergence}"
                left = path, divergence.guard, divergence.actual
                path = entry.after(*left)
                if path is None and (left[1] is None or left[1] < 0):  # no guard of the tape: nobody knows what goes on
                    path = next((other for other in entry.paths if id(other) not in tried), None)
                continue
            except BackendError as error:
                rewind()
                return self._fall_back(args, kwargs, str(error))
            except Exception:  # of a step, or Stopped: what the function makes of it, it must say itself
                rewind()
                self.stats.fallbacks += 1
                return self.interpreted(*args, **kwargs)
            self.stats.replays += 1
            if left is not None and left[1] is not None and left[2] is not None:
                left[0].branches[left[1], left[2]] = path
            self._use(compiled, entry, signature, path, args, kwargs)
            result = tree.unflatten(program.tape.structure, outputs)
            if is_to_be_verified:
                self._verify(result, (args, kwargs), (program.tape, inputs, generators), rewind)
            return result
        if self.options.mode == "lazy" and not entry.paths and not entry.waiting.is_over:
            return self._deferred(entry.waiting, args, kwargs)
        return self._trace(compiled, entry, signature, why, args, kwargs)

    def _deferred(self, waiting: Waiting, args: tuple, kwargs: dict) -> Any:
        """An interpreted call, which counts towards the time that compiling is expected to take."""
        started = time.perf_counter()
        try:
            return self.interpreted(*args, **kwargs)
        finally:
            self.stats.deferred += 1
            waiting.note(time.perf_counter() - started)

    def _why_new(self, compiled: Compiled, signature: Signature, args: tuple, kwargs: dict) -> object:
        """What is new about a signature: how it differs from the one of an earlier trace that is most like it."""
        from .trace.trace_call import leaf_names

        others = [key for key, known in list(compiled.entries.items())[-MOST_COMPARED:] if known.paths]
        if not others:
            return "first call with this signature"
        key, names = signature.key, leaf_names(args, kwargs)
        return Late(lambda: f"a new signature: {nearest_difference(key, others, names) or 'of the same types'}")

    def _use(
        self, compiled: Compiled, entry: Entry, signature: Signature, path: Path, args: tuple, kwargs: dict
    ) -> None:
        """Let later calls try ``path`` first, and directly where that is possible. It has come again: it is lowered."""
        entry.last = path
        program_memory.used(entry)
        path.program.replayed()  # which may be another than the one that has just run
        if not path.program.is_lowered:
            self.lowerer.note_again(compiled, signature.key, entry, path)
            return
        if not kwargs and self.period != 1 and not compiled.compares_inputs and self._has_source(compiled, path, args):
            self.recent[signature.key] = self.fast = self._fast_path(entry, path)
            while len(self.recent) > MAX_RECENT:
                self.recent.popitem(last=False)
                self.followed_by.clear()
            self.turns = tuple(self.recent.values())  # in one piece, for threads that go through it

    def _has_source(self, compiled: Compiled, path: Path, args: tuple) -> bool:
        """Whether the generated call path can serve the program; makes its source."""
        if path.source is None and path.program.has_call_path:
            from .lower.replay import ReplaySource

            unchanged = path.held.unchanged if path.held else None
            path.source = ReplaySource(
                path.program, compiled.captures, args, path.integers, unchanged, path.numbers
            )
        return path.source is not None

    def _fast_path(self, entry: Entry, path: Path) -> Callable[[tuple], Any]:
        """The generated function that replays a native path."""
        known = self.fast_of.get(id(path))
        if known is None:
            divert = functools.partial(self._divert, entry, path)
            path.program.frames.clear()  # the fast path has a frame of its own
            fast = path.source.make(self.fun, self.stats, self.resume, divert)
            if len(self.fast_of) >= 2 * self.options.max_paths:
                self.fast_of.clear()
            known = self.fast_of[id(path)] = path, self._sampled(fast) if self.period else fast
            path.holders.add(self)
        return known[1]

    def is_at(self, path: Path) -> bool:
        """Whether the next call will try ``path`` first."""
        known = self.fast_of.get(id(path))
        return known is not None and known[1] is self.fast

    def forget(self, path: Path) -> None:
        """Drop the fast path of a program that was thrown out."""
        _, fast = self.fast_of.pop(id(path), (None, None))
        if fast is not None:
            if self.fast is fast:
                self.fast = _never
            for key in [key for key, value in list(self.recent.items()) if value is fast]:
                self.recent.pop(key, None)
            self.turns = tuple(self.recent.values())
            self.followed_by.clear()

    def _divert(self, entry: Entry, path: Path, args: tuple) -> Any:
        """A guard of ``path`` has failed: go on with the path that takes this turn, if it is known and native.

        What the guard found may be of a call in another thread. A wrong turn ends at the other path's own guards.
        """
        divergence = path.source.frame.diverged(0)
        other = entry.after(path, getattr(divergence, "guard", None), getattr(divergence, "actual", None))
        if other is None or other.source is None:
            return MISS
        fast = self._fast_path(entry, other)
        result = fast(args)
        if result is not MISS:
            other.program.replayed()
            self.stats.guard_failures += 1
            self.fast = fast
        return result

    # ---------------------------------------------------------------- tracing

    def _trace(
        self, compiled: Compiled, entry: Entry, signature: Signature, why: object, args: tuple, kwargs: dict
    ) -> Any:
        from .trace.trace_call import trace_call

        limit = self._limit_reached(entry, why)
        if limit is not None:
            entry.interpreted = limit
            compiled.history.append(f"{self.name}: interpreted from now on: {limit}")
            return self._fall_back(args, kwargs, limit)
        on_cpu = self.options.target == "cpu"
        call = (args, kwargs) if on_cpu else host_copies(args, kwargs)
        try:
            boxing = signature.boxes_integers, signature.inputs_from_now_on()
            traced = trace_call(self.build, self.fun, compiled.captures, *call, "tape", *boxing)
        except BaseException:
            self.stats.fallbacks += 1
            raise
        if not on_cpu:
            traced = replaced(traced, result=sent_back(traced.result, (args, kwargs)))
        self.stats.traces += 1
        compiled.traces += 1
        if traced.failed and signature.boxes_integers:  # of which the function may be unable to make sense
            signature.fix_integers()
            return traced.result
        if traced.reason is not None:
            if traced.is_passing and entry.passing < MAX_WASTED_TRACES:
                entry.passing += 1
                return traced.result
            compiled.interpreted = traced.reason
            self._warn(traced.reason)
            return traced.result
        integers = signature.taken(traced.integers, traced.meets_floats_only)
        path = self._new_path(compiled, traced, integers, why)
        key = signature.key_with(integers)
        entry = self._entry(compiled, key)
        entry.paths.append(path)
        entry.draws |= path.program.has_draws
        entry.last = path  # the first replay goes the slow way, which notes that the program is used again
        program_memory.added(compiled, key, entry, path.program)
        self.lowerer.note_new(compiled, key, entry, path, (args, kwargs))
        if compiled.interpreted:
            self._warn(compiled.interpreted)
        return traced.result

    def _new_path(self, compiled: Compiled, traced: Any, integers: dict[str, int], why: object) -> Path:
        """The path of a trace, which is not lowered yet."""
        arrays, checks = (*compiled.captures.held_arrays, *traced.companions.arrays), traced.companions.checks
        held = Held(arrays, checks) if arrays or checks else None
        report = TraceReport.of(traced, integers, why)
        compiled.history.append(report)
        if _logger.isEnabledFor(logging.INFO):
            _logger.info("%s: %s", self.name, report.head)
        return Path(Recorded(traced.tape), held, outcomes(traced.tape), integers, traced.numbers, report)

    def _limit_reached(self, entry: Entry, why: object) -> str | None:
        """Why no more traces of this signature are worth their time, or None. Counts the trace that follows."""
        if len(entry.paths) >= self.options.max_paths:
            return f"it took more than {self.options.max_paths} paths for one signature; the last: {why}"
        entry.unused = entry.unused + 1 if self.stats.replays == entry.replays else 0
        entry.replays = self.stats.replays
        if entry.unused > MAX_WASTED_TRACES:
            return f"{entry.unused} calls in a row took a path of their own; the last: {why}"
        return None

    # ---------------------------------------------------------------- falling back

    def _fall_back(self, args: tuple, kwargs: dict, reason: str) -> Any:
        self.stats.fallbacks += 1
        self._warn(reason)
        return self.interpreted(*args, **kwargs)

    def _warn(self, reason: str) -> None:
        warned = self.warned if self.compiled is None else self.compiled.warned
        if reason in warned or reason in self.warned:
            return
        warned.add(reason)
        self.warned.add(reason)
        _logger.info("%s: fall-back: %s", self.name, reason)
        code = getattr(self.fun, "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
        warnings.warn(f"{self.name}{where} runs interpreted: {reason}", FallbackWarning, stacklevel=_callers_level())

    def _warn_of(self, turnover: Turnover) -> None:
        """Say once for all functions of one code that most of their calls run interpreted."""
        reason = "it captures other values (numbers, settings, objects) at every call; each would be compiled anew"
        if not turnover.has_warned:
            turnover.has_warned = True
            if self.compiled is not None:
                self.compiled.history.append(f"{self.name}: interpreted for a while: {reason}")
            self._warn(reason)

    def _is_to_be_verified(self) -> bool:
        return self.period > 0 and self.stats.calls % self.period == 0

    def _sampled(self, fast: Callable[[tuple], Any]) -> Callable[[tuple], Any]:
        """``fast``, but for the calls that are to be verified."""

        def sampled(args: tuple) -> Any:
            return MISS if self._is_to_be_verified() else fast(args)

        return sampled

    def _verify(
        self, result: Any, call: tuple[tuple, dict], replay: tuple[Any, tuple, Any], rewind: Callable[[], None]
    ) -> None:
        """Raise VerificationError where the interpreted answer to ``call`` is another.

        ``replay``: the tape, its inputs and generators.
        """
        from .verification import difference, first_differing_value

        rewind()
        found = difference(result, self.interpreted(*call[0], **call[1]))
        if found is not None:
            where = first_differing_value(*replay, rewind, precise=bool(self.options.precise))
            raise VerificationError(
                f"{self.name}: compiled and interpreted answers differ in {found}\n"
                f"the first value that differs: {where}\n{replay[0]}"
            )

    # ---------------------------------------------------------------- seeing inside

    def program(self, args: tuple, kwargs: dict) -> Any:
        """The program for these arguments, traced and lowered now if need be (which runs the function once)."""
        from .inspection import program_for

        return program_for(self, args, kwargs)

    def tape(self, *args: Any, **kwargs: Any) -> Any:
        """The recorded tape for these arguments; prints as Python."""
        from .inspection import path_for

        return path_for(self, args, kwargs)[1].program.tape

    def kernels(self, *args: Any, **kwargs: Any) -> Any:
        """The fused kernels for these arguments; prints their source."""
        return self.program(args, kwargs).listing()

    def explain(self) -> str:
        """Every trace: why, guards, Python steps, kernels and times; and why not, where it runs interpreted."""
        from .inspection import explanation

        return explanation(self)

    def clear(self) -> None:
        """Forget all programs of this function."""
        self.fast = _never
        self.recent.clear()
        self.turns = ()
        self.followed_by.clear()
        self.fast_of.clear()
        if self.compiled is not None:
            with registry_lock:
                for key in [key for key, value in registry.items() if value is self.compiled]:
                    del registry[key]
        self.compiled = None
        self.warned.clear()
        self.with_objects.clear()


def _callers_level() -> int:
    """The ``stacklevel`` for a warning that points at the user's own line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("autograd_jit."):
        level, frame = level + 1, frame.f_back
    return level


def _never(args: tuple) -> Any:
    return MISS
