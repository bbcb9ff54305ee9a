"""``jit``: the first call's trace becomes a program; later calls replay it natively.

A jitted function answers as the interpreted one does, in every situation. What cannot be replayed soundly runs
interpreted, with one :class:`FallbackWarning` that says why.

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
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from .config import CompileMode, config
from .errors import ArgumentError, BackendError, FallbackWarning, TraceLimitError, VerificationError
from .known_programs import (
    MAX_FUNCTIONS,
    MAX_OBJECT_HANDLES,
    MAX_WASTED_TRACES,
    Compiled,
    Entry,
    HeldArrays,
    Path,
    registry,
    registry_lock,
)
from .signatures import (
    ObjectBuild,
    all_plain,
    build_key,
    dynamic_leaves,
    is_plain,
    leaf_signature,
    placeholder,
    share_objects,
)
from .trace import tree
from .trace.capture_walk import REBUILDABLE_MARK
from .trace.float_errors import default_error_state, error_state, stops_on_errors
from .trace.tracer import BOX_TYPES
from .trace.tree import is_rebuildable

__all__ = ["Stats", "assert_max_traces", "jit", "jitted"]

_logger = logging.getLogger("autograd_jit")


@dataclass
class Stats:
    """What a jitted function did so far.

    ``calls`` = replays + traces + fallbacks + inlined. ``inlined``: calls made inside another transformation, which run
    interpreted as part of it. ``python_steps``: Python steps in the programs made. ``kernels_compiled``: kernels that
    neither memory nor disk had.
    """

    traces: int = 0
    replays: int = 0
    guard_failures: int = 0
    fallbacks: int = 0
    inlined: int = 0
    python_steps: int = 0
    kernels_compiled: int = 0
    kernels_loaded: int = 0

    @property
    def calls(self) -> int:
        return self.replays + self.traces + self.fallbacks + self.inlined


@dataclass(frozen=True)
class Options:
    """Options of :func:`jit`."""

    verify: bool = False
    max_paths: int = 64
    max_signatures: int = 256
    target: str = "cpu"
    compile: CompileMode | None = None


class _Handle:
    """The state behind one jitted function object."""

    __slots__ = (
        "build",
        "compiled",
        "fast",
        "fun",
        "interpreted",
        "name",
        "operator",
        "options",
        "stats",
        "warned",
        "with_objects",
    )

    def __init__(self, build: Callable, fun: Callable, name: str, options: Options) -> None:
        self.build = build
        self.operator = build_key(build)
        self.fun = fun
        self.name = name
        self.options = options
        self.interpreted = build(fun)
        self.stats = Stats()
        self.compiled: Compiled | None = None
        self.fast: Callable[[tuple], Any] = _never
        self.warned: set[str] = set()
        self.with_objects: OrderedDict[tuple, _Handle] = OrderedDict()

    def __reduce__(self) -> tuple:
        return _Handle, (self.build, self.fun, self.name, self.options)

    # ---------------------------------------------------------------- the slow path

    def slow(self, args: tuple, kwargs: dict) -> Any:
        """Any call that the fast path does not know."""
        leaves, structure = tree.flatten((args, kwargs))
        if any(type(leaf) in BOX_TYPES for leaf in leaves) or self._captures_boxes():
            self.stats.inlined += 1
            return self.interpreted(*args, **kwargs)
        if error_state() is not default_error_state and stops_on_errors():
            return self._fall_back(args, kwargs, "np.errstate or np.seterr asks for floating-point errors")
        compiled = self._find_compiled()
        if compiled is None:
            self.stats.inlined += 1
            return self.interpreted(*args, **kwargs)
        if compiled.interpreted:
            return self._fall_back(args, kwargs, compiled.interpreted)
        if not all_plain(leaves):
            return self._call_with_objects(leaves, structure)
        if not is_rebuildable(structure):
            return self._fall_back(args, kwargs, "a dataclass among its arguments cannot be rebuilt from its fields")
        if not all([leaf.dtype.isnative for leaf in leaves if type(leaf) is np.ndarray]):
            return self._fall_back(args, kwargs, "an array among its arguments is in foreign byte order")
        if compiled.captures.compares_identity and share_objects(leaves, compiled.captures.bind(self.fun)):
            return self._fall_back(args, kwargs, "it compares objects with `is`, and was given one array twice")
        entry = self._entry(compiled, (structure, tuple([leaf_signature(leaf) for leaf in leaves])))
        if entry.interpreted:
            return self._fall_back(args, kwargs, entry.interpreted)
        return self._replay_or_trace(compiled, entry, leaves, args, kwargs)

    def _call_with_objects(self, leaves: list, structure: Any) -> Any:
        """A call with arguments that are objects: what can be reached from them counts as captured."""
        objects = tuple([leaf for leaf in leaves if not is_plain(leaf)])
        key = tuple([id(value) for value in objects])
        handle = self.with_objects.get(key)
        if handle is None:
            holder = functools.partial(self.fun, *objects)  # keeps the objects alive, and so their ids
            handle = _Handle(ObjectBuild(self.build), holder, self.name, self.options)
            handle.stats, handle.warned = self.stats, self.warned
            self.with_objects[key] = handle
            while len(self.with_objects) > MAX_OBJECT_HANDLES:
                self.with_objects.popitem(last=False)
        numbers = iter(range(len(objects)))
        replaced = [leaf if is_plain(leaf) else placeholder(next(numbers)) for leaf in leaves]
        args, kwargs = tree.unflatten(structure, replaced)
        if not kwargs:
            result = handle.fast(args)
            if result is not _never(()):
                return result
        return handle.slow(args, kwargs)

    def _captures_boxes(self) -> bool:
        """Whether the function closes over a value that an outer transformation traces."""
        cells = getattr(self.fun, "__closure__", None) or ()
        try:
            return any(type(cell.cell_contents) in BOX_TYPES for cell in cells)
        except ValueError:  # an empty cell
            return False

    def _find_compiled(self) -> Compiled | None:
        """What is known of this function and of what it captures now; None where an outer trace is in there."""
        from .trace.captures import scan

        compiled = self.compiled
        if compiled is not None and (compiled.interpreted or compiled.captures.check(self.fun)):
            return compiled
        captures = scan(self.fun)
        if any(type(obj) in BOX_TYPES for _, obj in captures.opaque):
            return None
        key = (self.operator, captures.structure_key, self.options)
        with registry_lock:
            known = registry.get(key)
            if known is None or (captures.unsound is None and not known.captures.check(self.fun)):
                if compiled is not None:
                    why = compiled.captures.explain_change(self.fun) if not compiled.interpreted else ""
                else:
                    why = "first call"
                known = registry[key] = Compiled(captures)
                known.history.append(f"{self.name}: captured state scanned ({why})")
                while len(registry) > MAX_FUNCTIONS:
                    registry.popitem(last=False)
            else:
                registry.move_to_end(key)
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

    def _replay_or_trace(self, compiled: Compiled, entry: Entry, leaves: list, args: tuple, kwargs: dict) -> Any:
        from .lower.program import Diverged

        dynamic = dynamic_leaves(leaves)
        bound = compiled.captures.bind(self.fun)
        inputs = (*dynamic, *bound)
        path, why = entry.last, "first call with this signature"
        tried: set[int] = set()
        while path is not None and id(path) not in tried:
            tried.add(id(path))
            if path.held is not None and not path.held.unchanged():
                why = "the contents of a captured array changed"
                path = next((p for p in entry.paths if p.held and p.held.unchanged() and id(p) not in tried), None)
                continue
            try:
                outputs = path.program.run(inputs)
            except Diverged as divergence:
                self.stats.guard_failures += divergence.guard is not None
                why = f"another path: {divergence}"
                path = entry.after(path, divergence.guard, divergence.actual)
                continue
            except BackendError as error:
                return self._fall_back(args, kwargs, str(error))
            except Exception:  # of a Python step: what the function makes of it, it must say itself
                self.stats.fallbacks += 1
                return self.interpreted(*args, **kwargs)
            self.stats.replays += 1
            path.program.replayed()
            self._use(compiled, entry, path, args, kwargs)
            result = tree.unflatten(path.program.tape.structure, outputs)
            return self._verified(result, path, args, kwargs) if self.options.verify else result
        return self._trace(compiled, entry, why, args, kwargs)

    def _use(self, compiled: Compiled, entry: Entry, path: Path, args: tuple, kwargs: dict) -> None:
        """Let later calls try ``path`` first, and directly where that is possible."""
        entry.last = path
        if path.source is not None and not kwargs and not self.options.verify and not compiled.compares_inputs:
            self.fast = path.source.make(self.fun, self.stats, None)

    def _noting_first_replay(self, path: Path) -> Callable[[tuple], Any]:
        """The fast path; its first success tells the program that it is used again, and takes this wrapper away."""
        fast, miss = self.fast, _never(())

        def first(args: tuple) -> Any:
            result = fast(args)
            if result is not miss:
                path.program.replayed()
                if self.fast is first:
                    self.fast = fast
            return result

        return first

    # ---------------------------------------------------------------- tracing

    def _trace(self, compiled: Compiled, entry: Entry, why: str, args: tuple, kwargs: dict) -> Any:
        from .kernels import executor
        from .trace.trace_call import trace_call

        limit = self._limit_reached(entry, why)
        if limit is not None:
            entry.interpreted = limit
            compiled.history.append(f"{self.name}: interpreted from now on: {limit}")
            return self._fall_back(args, kwargs, limit)
        if not executor.supported():
            compiled.interpreted = "this Python or NumPy lays out its objects in a way that the executor does not know"
            return self._fall_back(args, kwargs, compiled.interpreted)
        try:
            traced = trace_call(self.build, self.fun, compiled.captures, args, kwargs, "tape")
        except BaseException:
            self.stats.fallbacks += 1
            raise
        self.stats.traces += 1
        compiled.traces += 1
        if traced.reason is not None:
            if traced.is_passing and entry.passing < MAX_WASTED_TRACES:
                entry.passing += 1
                return traced.result
            compiled.interpreted = traced.reason
            self._warn(traced.reason)
            return traced.result
        path = self._lower(compiled, traced, why, args, kwargs)
        if path is None:
            return traced.result
        entry.paths.append(path)
        before = self.fast
        self._use(compiled, entry, path, args, kwargs)
        if self.fast is not before:
            self.fast = self._noting_first_replay(path)
        return traced.result

    def _limit_reached(self, entry: Entry, why: str) -> str | None:
        """Why no more traces of this signature are worth their time, or None. Counts the trace that follows."""
        if len(entry.paths) >= self.options.max_paths:
            return f"it took more than {self.options.max_paths} paths for one signature; the last: {why}"
        entry.unused = entry.unused + 1 if self.stats.replays == entry.replays else 0
        entry.replays = self.stats.replays
        if entry.unused > MAX_WASTED_TRACES:
            return f"{entry.unused} calls in a row took a path of their own; the last: {why}"
        return None

    def _lower(self, compiled: Compiled, traced: Any, why: str, args: tuple, kwargs: dict) -> Path | None:
        from .lower.compile import counters
        from .lower.program import lower
        from .lower.replay import ReplaySource

        before = counters.compiled, counters.loaded
        try:
            program = lower(traced.tape, self.options.compile or config.compile)
        except BackendError as error:
            compiled.interpreted = f"a kernel could not be compiled: {error}"
            self._warn(compiled.interpreted)
            return None
        except Exception as error:  # a defect of ours must not cost the user the answer, which is there
            compiled.interpreted = f"lowering failed, please report it: {type(error).__name__}: {error}"
            self._warn(compiled.interpreted)
            return None
        made, loaded = counters.compiled - before[0], counters.loaded - before[1]
        self.stats.kernels_compiled += made
        self.stats.kernels_loaded += loaded
        self.stats.python_steps += len(program.steps)
        held = HeldArrays(compiled.captures.held_arrays) if compiled.captures.held_arrays else None
        source = None
        if program.is_native and not kwargs:
            source = ReplaySource(program, compiled.captures, args, held.unchanged if held else None)
        compiled.history.append(_trace_report(self.name, traced, program, why, made, loaded))
        _logger.info("%s: %s", self.name, compiled.history[-1].partition("\n")[0])
        return Path(program, source, held)

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

    def _verified(self, result: Any, path: Path, args: tuple, kwargs: dict) -> Any:
        """``jit(f, verify=True)``: the interpreted answer too, compared."""
        want = self.interpreted(*args, **kwargs)
        for position, (got, expected) in enumerate(zip(tree.flatten(result)[0], tree.flatten(want)[0], strict=True)):
            if isinstance(expected, (np.ndarray, np.generic, float, complex)):
                tolerance = 1e-4 if np.asarray(expected).dtype.itemsize <= 4 else 1e-9
                if not np.allclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True):
                    raise VerificationError(
                        f"{self.name}: compiled and interpreted answers differ in output {position}: "
                        f"{got!r} against {expected!r}\n{path.program.tape}"
                    )
        return result

    # ---------------------------------------------------------------- seeing inside

    def program(self, args: tuple, kwargs: dict) -> Any:
        """The program for these arguments, traced now if need be (which runs the function once)."""
        leaves, structure = tree.flatten((args, kwargs))
        signature = (structure, tuple([leaf_signature(leaf) for leaf in leaves]))
        entry = self._known_entry(signature)
        if entry is None or entry.last is None:
            self.slow(args, kwargs)
            entry = self._known_entry(signature)
        if entry is None or entry.last is None:
            because = (entry and entry.interpreted) or (self.compiled and self.compiled.interpreted)
            raise ArgumentError(f"{self.name} has no tape for these arguments: it runs interpreted ({because})")
        return entry.last.program

    def _known_entry(self, signature: Hashable) -> Entry | None:
        compiled = self._find_compiled()
        return None if compiled is None else compiled.entries.get(signature)

    def tape(self, *args: Any, **kwargs: Any) -> Any:
        """The recorded tape for these arguments; prints as Python."""
        return self.program(args, kwargs).tape

    def kernels(self, *args: Any, **kwargs: Any) -> Any:
        """The fused kernels for these arguments; prints their source."""
        from .lower.listing import KernelListing

        return KernelListing(self.program(args, kwargs))

    def explain(self) -> str:
        """Every trace: why, guards, Python steps, kernels and times; and why not, where it runs interpreted."""
        lines = [f"{self.name}: {self.stats}"]
        compiled = self.compiled
        if compiled is None:
            return lines[0] + "\n  not called yet"
        lines += ["  " + line.replace("\n", "\n  ") for line in compiled.history]
        if compiled.interpreted:
            lines.append(f"  runs interpreted: {compiled.interpreted}")
        reasons = [entry.interpreted for entry in compiled.entries.values() if entry.interpreted]
        lines += [f"  one signature runs interpreted: {reason}" for reason in reasons]
        return "\n".join(lines)

    def clear(self) -> None:
        """Forget all programs of this function."""
        self.fast = _never
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
    from .lower.replay import MISS

    return MISS


def _trace_report(name: str, traced: Any, program: Any, why: str, made: int, loaded: int) -> str:
    lines = [
        f"traced in {traced.seconds * 1e3:.1f} ms, lowered in {program.seconds * 1e3:.1f} ms: {why}",
        f"  {len(traced.tape.ops)} operations, {len(program.table)} kernel launches of "
        f"{len({k.kernel for k in program.kernels})} kernels ({made} compiled, {loaded} from disk, "
        f"{sum(k.seconds for k in program.kernels if k.origin == 'compiled') * 1e3:.0f} ms of compiling in all)",
    ]
    lines += [f"  guard: {guard}  # {guard.line}" for guard in traced.tape.guards[:20]]
    if len(traced.tape.guards) > 20:
        lines.append(f"  ... and {len(traced.tape.guards) - 20} more guards")
    lines += [f"  Python step: {step}" for step in program.steps[:20]]
    return "\n".join(lines)


# ---------------------------------------------------------------- the public functions


def jitted(build: Callable, fun: Callable, *, name: str = "", doc: str | None = None, **options: Any) -> Callable:
    """The compiled form of ``build(fun)``: what the operators return for ``jit=True``."""
    if not callable(fun):
        raise ArgumentError(f"jit needs a function, not {type(fun).__name__}")
    handle = _Handle(build, fun, name or getattr(fun, "__name__", type(fun).__name__), _options(options))

    def compiled(*args: Any, **kwargs: Any) -> Any:
        if fun is not handle.fun:  # a clone of this function, made by the recorder of another trace
            handle.stats.inlined += 1
            return build(fun)(*args, **kwargs)  # ``build`` in a cell tells grad(f) from jit(f) where both are captured
        if not kwargs:
            result = handle.fast(args)
            if result is not miss:
                return result
        return handle.slow(args, kwargs)

    miss = _never(())
    with contextlib.suppress(AttributeError, TypeError):
        functools.update_wrapper(compiled, handle.interpreted)
    compiled.__wrapped__ = fun  # type: ignore[attr-defined]
    compiled.__name__ = handle.name
    compiled.__doc__ = doc or getattr(handle.interpreted, "__doc__", None)
    for attribute in ("stats", "explain", "tape", "kernels", "clear"):
        setattr(compiled, attribute, getattr(handle, attribute))
    setattr(compiled, REBUILDABLE_MARK, True)
    compiled._handle = handle  # type: ignore[attr-defined]
    compiled._transform = (build, fun)  # type: ignore[attr-defined]
    return compiled


def _options(given: dict[str, Any]) -> Options:
    known = set(Options.__dataclass_fields__)
    for name in given:
        if name not in known:
            raise ArgumentError(f"jit has no option {name!r}; it knows {', '.join(sorted(known))}")
    options = Options(**given)
    if options.compile is not None and options.compile not in get_args(CompileMode):
        raise ArgumentError(f"compile is one of {', '.join(get_args(CompileMode))}, not {options.compile!r}")
    if options.target not in ("cpu", "auto"):
        raise ArgumentError(
            f'target={options.target!r} is not available: this version compiles for the CPU (target="cpu" or "auto")'
        )
    return options


def jit(fun: Callable | None = None, **options: Any) -> Any:
    """Compile ``fun`` on its first call. Answers never change; see :meth:`explain <jitted>` for what happened.

    ``fun``: any function of arrays, scalars and containers of them. Usable as ``@jit`` and ``@jit(max_paths=8)``.
    ``jit(grad(f))`` is ``grad(f, jit=True)``.

    Options: ``verify`` runs both ways and raises VerificationError on a difference; ``max_paths`` and
    ``max_signatures`` bound what is kept; ``target`` is ``"cpu"`` or ``"auto"``; ``compile``
    is ``"background"``, ``"eager"`` or ``"never"``, see :mod:`autograd_jit.config`.

    >>> import numpy as np
    >>> from autograd_jit import jit
    >>> @jit
    ... def norm(x):
    ...     return np.sqrt(np.sum(x ** 2))
    >>> norm(np.array([3.0, 4.0]))
    np.float64(5.0)
    """
    if fun is None:
        return functools.partial(jit, **options)
    if not callable(fun):
        raise ArgumentError(f"jit needs a function, not {type(fun).__name__}")
    transform = getattr(fun, "_transform", None)
    # functools.wraps(grad(f)) copies the attribute to a function that is not grad(f): __wrapped__ tells them apart
    if transform is not None and getattr(fun, "__wrapped__", None) is transform[1]:
        build, inner = transform
        return jitted(build, inner, name=getattr(fun, "__name__", ""), doc=fun.__doc__, **options)
    return jitted(_itself, fun, **options)


def _itself(fun: Callable) -> Callable:
    return fun


class assert_max_traces:  # a context manager that reads as a statement
    """``with assert_max_traces(f, 1): ...`` raises TraceLimitError if ``f`` is traced more often inside."""

    def __init__(self, function: Callable, limit: int) -> None:
        self.function, self.limit = function, limit

    def __enter__(self) -> None:
        self.before = self.function.stats.traces  # type: ignore[attr-defined]

    def __exit__(self, *exception: Any) -> None:
        made = self.function.stats.traces - self.before  # type: ignore[attr-defined]
        if exception[0] is None and made > self.limit:
            raise TraceLimitError(
                f"{self.function.__name__} was traced {made} times, {self.limit} allowed:\n{self.function.explain()}"  # type: ignore[attr-defined]
            )
