"""``jit``: the first call's trace becomes a program; later calls replay it natively.

A jitted function answers as the interpreted one does, in every situation. What cannot be replayed soundly runs
interpreted, with one :class:`FallbackWarning` that says why.

Three levels of lookup, from a call to a program:

    captured state   code and structure of what the function captures -> :class:`_Compiled` (shared by fresh closures)
    signature        containers, dtypes, shapes, static values of the arguments -> :class:`_Entry`
    path             the outcomes of the guards, tried native: the last path first, then by the guard that failed
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import functools
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import ArgumentError, BackendError, FallbackWarning, TraceLimitError, VerificationError
from .trace import tree
from .trace.capture_walk import REBUILDABLE_MARK
from .trace.float_errors import default_error_state, error_state, stops_on_errors
from .trace.tracer import BOX_TYPES
from .trace.tree import is_rebuildable

__all__ = ["Stats", "assert_max_traces", "jit", "jitted"]


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


@dataclass
class _Path:
    """One program of a signature, and where to go when one of its guards fails."""

    program: Any
    source: Any  # ReplaySource, or None where the program has Python steps
    held: _HeldArrays | None
    branches: dict[tuple[int, bytes], _Path] = field(default_factory=dict)

    @functools.cached_property
    def outcomes(self) -> dict[int, bytes]:
        """What each guard of this path found, by its number."""
        return {check.number: check.expected for check in self.program.checks.values()}

    def is_prefix_of(self, other: _Path, guard: int, actual: bytes) -> bool:
        """Whether ``other`` takes this path's turns up to ``guard``, and there the one of ``actual``."""
        if other.outcomes.get(guard) != actual:
            return False
        return all(other.outcomes.get(number) == found for number, found in self.outcomes.items() if number < guard)


@dataclass
class _Entry:
    """All that is known of one signature."""

    paths: list[_Path] = field(default_factory=list)
    last: _Path | None = None
    interpreted: str | None = None
    passing: int = 0  # traces that could not be used, while the next one might
    unused: int = 0  # traces in a row without a replay between them
    replays: int = 0  # of the handle, when the last trace was made

    def after(self, path: _Path, guard: int | None, actual: bytes | None) -> _Path | None:
        """The path that goes on where ``path`` found ``actual`` at ``guard``, if it has been seen."""
        if guard is None or actual is None:
            return None
        key = (guard, actual)
        if key not in path.branches:
            known = next((other for other in self.paths if path.is_prefix_of(other, guard, actual)), None)
            if known is None:
                return None
            path.branches[key] = known
        return path.branches[key]


class _HeldArrays:
    """Arrays that the function reaches through objects, with their contents when they were traced."""

    def __init__(self, arrays: tuple[np.ndarray, ...]) -> None:
        self.pairs = [(array, np.array(array, order="C")) for array in arrays]

    def unchanged(self) -> bool:
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


class _Compiled:
    """What is known of all functions of one captured structure under one operator."""

    def __init__(self, captures: Any) -> None:
        self.captures = captures
        self.entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self.history: list[str] = []
        self.interpreted: str | None = _unsound(captures)
        self.warned: set[str] = set()
        self.compares_inputs = captures.compares_identity
        self.traces = 0


def _unsound(captures: Any) -> str | None:
    """Why functions with these captures must stay interpreted."""
    if captures.unsound:
        return captures.unsound
    if captures.impure:
        return f"it calls {captures.impure[0]}, whose result differs from call to call"
    for path, held in captures.opaque:
        if type(held).__module__.partition(".")[0] not in _HARMLESS_MODULES:
            return f"it uses `{path}`, a {type(held).__name__}, whose state cannot be watched"
    return None


#: objects of these do not take part in any answer
_HARMLESS_MODULES = frozenset(["logging", "warnings"])


#: (operator, captured structure) -> what is known; least recently used out
_registry: OrderedDict[Hashable, _Compiled] = OrderedDict()
_registry_lock = threading.Lock()
MAX_FUNCTIONS = 512
#: handles for calls with objects among the arguments, kept by the identity of the objects
MAX_OBJECT_HANDLES = 32
#: traces that may come to nothing, and traces in a row without a replay, before a signature runs interpreted
MAX_WASTED_TRACES = 16


class _Handle:
    """The state behind one jitted function object."""

    __slots__ = (
        "build", "compiled", "fast", "fun", "interpreted", "name", "options", "stats", "warned", "with_objects"
    )  # fmt: skip

    def __init__(self, build: Callable, fun: Callable, name: str, options: Options) -> None:
        self.build = build
        self.fun = fun
        self.name = name
        self.options = options
        self.interpreted = build(fun)
        self.stats = Stats()
        self.compiled: _Compiled | None = None
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
        if not _all_plain(leaves):
            return self._call_with_objects(leaves, structure)
        if not is_rebuildable(structure):
            return self._fall_back(args, kwargs, "a dataclass among its arguments cannot be rebuilt from its fields")
        if not all([leaf.dtype.isnative for leaf in leaves if type(leaf) is np.ndarray]):
            return self._fall_back(args, kwargs, "an array among its arguments is in foreign byte order")
        if compiled.captures.compares_identity and _share_objects(leaves, compiled.captures.bind(self.fun)):
            return self._fall_back(args, kwargs, "it compares objects with `is`, and was given one array twice")
        entry = self._entry(compiled, (structure, tuple([_leaf_signature(leaf) for leaf in leaves])))
        if entry.interpreted:
            return self._fall_back(args, kwargs, entry.interpreted)
        return self._replay_or_trace(compiled, entry, leaves, args, kwargs)

    def _call_with_objects(self, leaves: list, structure: Any) -> Any:
        """A call with arguments that are objects: what can be reached from them counts as captured."""
        objects = tuple([leaf for leaf in leaves if not _is_plain(leaf)])
        key = tuple([id(value) for value in objects])
        handle = self.with_objects.get(key)
        if handle is None:
            holder = functools.partial(self.fun, *objects)  # keeps the objects alive, and so their ids
            handle = _Handle(_ObjectBuild(self.build), holder, self.name, self.options)
            handle.stats, handle.warned = self.stats, self.warned
            self.with_objects[key] = handle
            while len(self.with_objects) > MAX_OBJECT_HANDLES:
                self.with_objects.popitem(last=False)
        numbers = iter(range(len(objects)))
        replaced = [leaf if _is_plain(leaf) else _placeholder(next(numbers)) for leaf in leaves]
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

    def _find_compiled(self) -> _Compiled | None:
        """What is known of this function and of what it captures now; None where an outer trace is in there."""
        from .trace.captures import scan

        compiled = self.compiled
        if compiled is not None and (compiled.interpreted or compiled.captures.check(self.fun)):
            return compiled
        captures = scan(self.fun)
        if any(type(obj) in BOX_TYPES for _, obj in captures.opaque):
            return None
        key = (_build_key(self.build), captures.structure_key, self.options)
        with _registry_lock:
            known = _registry.get(key)
            if known is None or (captures.unsound is None and not known.captures.check(self.fun)):
                if compiled is not None:
                    why = compiled.captures.explain_change(self.fun) if not compiled.interpreted else ""
                else:
                    why = "first call"
                known = _registry[key] = _Compiled(captures)
                known.history.append(f"{self.name}: captured state scanned ({why})")
                while len(_registry) > MAX_FUNCTIONS:
                    _registry.popitem(last=False)
            else:
                _registry.move_to_end(key)
        self.compiled = known
        return known

    def _entry(self, compiled: _Compiled, signature: Hashable) -> _Entry:
        entry = compiled.entries.get(signature)
        if entry is None:
            return self._new_entry(compiled, signature)
        with contextlib.suppress(KeyError):  # another thread may have thrown it out
            compiled.entries.move_to_end(signature)
        return entry

    def _new_entry(self, compiled: _Compiled, signature: Hashable) -> _Entry:
        entry = _Entry()
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

    def _replay_or_trace(self, compiled: _Compiled, entry: _Entry, leaves: list, args: tuple, kwargs: dict) -> Any:
        from .lower.program import Diverged

        dynamic = _dynamic(leaves)
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
            self._use(compiled, entry, path, args, kwargs)
            result = tree.unflatten(path.program.tape.structure, outputs)
            return self._verified(result, path, args, kwargs) if self.options.verify else result
        return self._trace(compiled, entry, why, args, kwargs)

    def _use(self, compiled: _Compiled, entry: _Entry, path: _Path, args: tuple, kwargs: dict) -> None:
        """Let later calls try ``path`` first, and directly where that is possible."""
        entry.last = path
        if path.source is not None and not kwargs and not self.options.verify and not compiled.compares_inputs:
            self.fast = path.source.make(self.fun, self.stats, None)

    # ---------------------------------------------------------------- tracing

    def _trace(
        self, compiled: _Compiled, entry: _Entry, why: str, args: tuple, kwargs: dict
    ) -> Any:
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
        self._use(compiled, entry, path, args, kwargs)
        return traced.result

    def _limit_reached(self, entry: _Entry, why: str) -> str | None:
        """Why no more traces of this signature are worth their time, or None. Counts the trace that follows."""
        if len(entry.paths) >= self.options.max_paths:
            return f"it took more than {self.options.max_paths} paths for one signature; the last: {why}"
        entry.unused = entry.unused + 1 if self.stats.replays == entry.replays else 0
        entry.replays = self.stats.replays
        if entry.unused > MAX_WASTED_TRACES:
            return f"{entry.unused} calls in a row took a path of their own; the last: {why}"
        return None

    def _lower(self, compiled: _Compiled, traced: Any, why: str, args: tuple, kwargs: dict) -> _Path | None:
        from .lower.compile import counters
        from .lower.program import lower
        from .lower.replay import ReplaySource

        before = counters.compiled, counters.loaded
        try:
            program = lower(traced.tape)
        except BackendError as error:
            compiled.interpreted = f"a kernel could not be compiled: {error}"
            self._warn(compiled.interpreted)
            return None
        made, loaded = counters.compiled - before[0], counters.loaded - before[1]
        self.stats.kernels_compiled += made
        self.stats.kernels_loaded += loaded
        self.stats.python_steps += len(program.steps)
        held = _HeldArrays(compiled.captures.held_arrays) if compiled.captures.held_arrays else None
        source = None
        if program.is_native and not kwargs:
            source = ReplaySource(program, compiled.captures, args, held.unchanged if held else None)
        compiled.history.append(_trace_report(self.name, traced, program, why, made, loaded))
        return _Path(program, source, held)

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
        code = getattr(self.fun, "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
        warnings.warn(f"{self.name}{where} runs interpreted: {reason}", FallbackWarning, stacklevel=_callers_level())

    def _verified(self, result: Any, path: _Path, args: tuple, kwargs: dict) -> Any:
        """``jit(f, verify=True)``: the interpreted answer too, compared."""
        want = self.interpreted(*args, **kwargs)
        for position, (got, expected) in enumerate(
            zip(tree.flatten(result)[0], tree.flatten(want)[0], strict=True)
        ):
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
        signature = (structure, tuple([_leaf_signature(leaf) for leaf in leaves]))
        entry = self._known_entry(signature)
        if entry is None or entry.last is None:
            self.slow(args, kwargs)
            entry = self._known_entry(signature)
        if entry is None or entry.last is None:
            because = (entry and entry.interpreted) or (self.compiled and self.compiled.interpreted)
            raise ArgumentError(f"{self.name} has no tape for these arguments: it runs interpreted ({because})")
        return entry.last.program

    def _known_entry(self, signature: Hashable) -> _Entry | None:
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
            with _registry_lock:
                for key in [key for key, value in _registry.items() if value is self.compiled]:
                    del _registry[key]
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


def _dynamic(leaves: list) -> list:
    from .trace.trace_call import is_dynamic

    return [leaf for leaf in leaves if is_dynamic(leaf)]


def _leaf_signature(leaf: Any) -> Hashable:
    """What two leaves must share to share programs."""
    kind = type(leaf)
    if kind is np.ndarray:
        return (kind, leaf.dtype, leaf.shape)
    if kind is float or kind is complex:
        return (kind,)
    if isinstance(leaf, np.generic):
        return (kind, leaf.dtype)
    return (kind, leaf)


#: Python's immutable values, part of the signature as they are
_STATIC_TYPES = frozenset([int, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented)])


def _is_plain(leaf: Any) -> bool:
    """Whether a leaf is an input of the tape or an immutable value; not so an object, whose state may change."""
    kind = type(leaf)
    if kind in _STATIC_TYPES or kind is _Placeholder:
        return True
    return _dynamic([leaf]) != [] or isinstance(leaf, (enum.Enum, np.dtype))


def _all_plain(leaves: list) -> bool:
    return all(map(_is_plain, leaves))


def _share_objects(leaves: list, captured: list) -> bool:
    """Whether one array turns up twice among arguments and captured arrays, so that ``is`` would see it."""
    arrays = [id(value) for value in (*leaves, *captured) if isinstance(value, np.ndarray)]
    return len(set(arrays)) < len(arrays)


class _Placeholder:
    """Stands for an argument that is an object, in a call of the handle that captured the object."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


@functools.lru_cache(maxsize=256)
def _placeholder(number: int) -> _Placeholder:
    return _Placeholder(number)


class _ObjectBuild:
    """``build`` for a partial that holds the function and the objects among its arguments."""

    def __init__(self, build: Callable) -> None:
        self.build = build
        self.key = ("objects", _build_key(build))

    def __call__(self, holder: functools.partial) -> Callable:
        run, objects = self.build(holder.func), holder.args

        def call(*args: Any, **kwargs: Any) -> Any:
            leaves, structure = tree.flatten((args, kwargs))
            leaves = [objects[leaf.number] if type(leaf) is _Placeholder else leaf for leaf in leaves]
            args, kwargs = tree.unflatten(structure, leaves)
            return run(*args, **kwargs)

        return call


def _build_key(build: Callable) -> Hashable:
    """Two operators with equal keys build the same derivative."""
    if isinstance(build, _ObjectBuild):
        return build.key
    cells = getattr(build, "__closure__", None) or ()
    values = tuple([cell.cell_contents for cell in cells])
    try:
        hash(values)
    except TypeError:
        values = tuple([id(value) for value in values])
    return (getattr(build, "__code__", build), values)


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
    if options.target not in ("cpu", "auto"):
        raise ArgumentError(
            f"target={options.target!r} is not available: this version compiles for the CPU "
            f'(target="cpu" or "auto")'
        )
    return options


def jit(fun: Callable | None = None, **options: Any) -> Any:
    """Compile ``fun`` on its first call. Answers never change; see :meth:`explain <jitted>` for what happened.

    ``fun``: any function of arrays, scalars and containers of them. Usable as ``@jit`` and ``@jit(max_paths=8)``.
    ``jit(grad(f))`` is ``grad(f, jit=True)``.

    Options: ``verify`` runs both ways and raises VerificationError on a difference; ``max_paths`` and
    ``max_signatures`` bound what is kept; ``target`` is ``"cpu"`` or ``"auto"``.

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
                f"{self.function.__name__} was traced {made} times, {self.limit} allowed:\n"
                f"{self.function.explain()}"  # type: ignore[attr-defined]
            )
