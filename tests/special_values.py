"""Inputs at which functions go wrong, and what a call may not change there: for the tests of special values.

A *salt* replaces each floating-point array among the arguments of a call by another of its shape: zeros of both signs,
infinities, NaN, subnormal and huge numbers, integers at their limits, other dtypes and layouts, empty arrays, scalars.
:func:`difference` tells two results apart down to the sign of a zero.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_jit.divergence import Diverged
from autograd_jit.errors import AutogradJitError
from autograd_jit.lower.frame import Stopped
from autograd_jit.lower.program import lower
from autograd_jit.trace import tree
from autograd_jit.trace.recorder import LeaveTrace, Recorder
from autograd_jit.trace.reverse import make_vjp_leaves
from autograd_jit.trace.tracer import concrete

INF, NAN = np.inf, np.nan


@dataclass(frozen=True)
class Call:
    """A call of one of our functions and of the plain library's, which have to agree."""

    name: str
    function: Callable
    reference: Callable
    args: tuple
    kwargs: dict


# ---------------------------------------------------------------- salts

_FLOATS = {
    "zeros": [0.0, -0.0, 1.0, -0.0],
    "infinities": [INF, 1.0, -INF, 0.5, -2.0],
    "one infinity": [0.5, INF, 1.0, -2.0, 3.0, 0.25],
    "nan": [0.5, NAN, 1.0, -2.0, 3.0],
    "mixed": [NAN, 0.0, INF, -0.0, -INF, 1.5],
    "subnormal": [5e-324, -5e-324, 1e-310, 2.2250738585072014e-308, -1e-320],
    "huge": [1e308, -1e308, 1.7e308, 3.0, 1e200],
    "constant": [2.0],
}
_COMPLEX = {
    "complex mixed": [complex(INF, 0), complex(0, INF), complex(NAN, 1), complex(1, NAN), complex(0, -0.0), -3 - 0j],
    "complex infinities": [1 + 1j, complex(INF, 0), 2.0, complex(0, -INF)],
}
_INTEGERS = (np.int8, np.int32, np.int64, np.uint8, np.uint64)
#: what the compiler is asked about, too: it leaves rare dtypes to NumPy
NATIVE = frozenset(
    "zeros,infinities,one infinity,nan,mixed,subnormal,constant,float32 mixed,int32,int64,bool,no rows,"
    "complex mixed,complex infinities,complex64,"
    "no columns,one element,0-d,scalar,reversed,broadcast".split(",")
)


def _cycled(values: list, shape: tuple, dtype: Any, number: int) -> np.ndarray:
    count = int(np.prod(shape))
    chosen = [values[(i + number) % len(values)] for i in range(count)]
    return np.array(chosen, object).reshape(shape).astype(dtype) if count else np.empty(shape, dtype)


def _limits(dtype: Any, shape: tuple, number: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return _cycled([info.min, info.max, 1, 0, info.max - 1, info.min + 1], shape, dtype, number)


def salts(leaf: Any, number: int) -> dict[str, Any]:
    """Label -> what stands in for ``leaf``, the argument of that number."""
    shape = np.shape(leaf)
    found: dict[str, Any] = {}
    with np.errstate(all="ignore"):
        for name, values in _FLOATS.items():
            found[name] = _cycled(values, shape, float, number)
            if not isinstance(leaf, (np.ndarray, np.generic)):
                found[name] = float(found[name])
                continue
            if name in ("one infinity", "mixed", "huge"):
                for dtype in (np.float16, np.float32, np.longdouble):
                    found[f"{dtype.__name__} {name}"] = _cycled(values, shape, dtype, number)
    if isinstance(leaf, (np.ndarray, np.generic)):
        found |= {dtype.__name__: _limits(dtype, shape, number) for dtype in _INTEGERS}
        found["bool"] = _cycled([True, False, False], shape, bool, number)
        found |= {name: _cycled(values, shape, complex, number) for name, values in _COMPLEX.items()}
        found["complex64"] = _cycled(_COMPLEX["complex mixed"], shape, np.complex64, number)
        found |= _layouts(shape, number) | _sizes(shape, number)
    return found


def _layouts(shape: tuple, number: int) -> dict[str, np.ndarray]:
    values = np.random.default_rng(3 + number).normal(size=shape)
    fixed = values.copy()
    fixed.flags.writeable = False
    found = {"read-only": fixed, "Fortran": np.asfortranarray(values)}
    if shape and values.size:
        found["reversed"] = values[..., ::-1]
        found["broadcast"] = np.broadcast_to(values.reshape(-1)[:1].reshape((1,) * len(shape)), shape)
    return found


def _sizes(shape: tuple, number: int) -> dict[str, Any]:
    found = {
        "one element": np.full((1,) * len(shape), 1.5 + number),
        "0-d": np.array(1.5 + number),
        "scalar": np.float64(0.7 + number),
        "integer 0-d": np.array(2**62 + number),
        "float32 scalar": np.float32(0.5 + number),
    }
    if shape:
        found |= {"no rows": np.zeros((0, *shape[1:])), "no columns": np.zeros((*shape[:-1], 0))}
    return found


def is_float(leaf: Any) -> bool:
    return isinstance(leaf, (float, complex)) or getattr(getattr(leaf, "dtype", None), "kind", "") in ("f", "c")


def salted(call: Call, held: tuple[int, ...] = ()) -> Iterator[tuple[str, tuple, dict]]:
    """The call's arguments once for each salt; those at the positions ``held`` stay."""
    kept = tuple([arg if i in held else None for i, arg in enumerate(call.args)])
    leaves, structure = tree.flatten(([None if i in held else arg for i, arg in enumerate(call.args)], call.kwargs))
    places = [i for i, leaf in enumerate(leaves) if is_float(leaf)]
    substitutes = [salts(leaves[place], number) for number, place in enumerate(places)]
    for label in dict.fromkeys(label for found in substitutes for label in found):
        changed = list(leaves)
        for found, place in zip(substitutes, places, strict=True):
            changed[place] = found.get(label, changed[place])
        args, kwargs = tree.unflatten(structure, changed)
        yield label, tuple([kept[i] if i in held else arg for i, arg in enumerate(args)]), kwargs


# ---------------------------------------------------------------- running


def outcome(function: Callable, *args: Any) -> tuple[str, Any]:
    try:
        return "value", function(*args)
    except Exception as error:
        return "error", error


def _with_boxes(call: Call, args: tuple, kwargs: dict, boxed: Callable) -> tuple[list, Callable]:
    """The leaves that are ``boxed``, and the call as a function of the list of them."""
    leaves, structure = tree.flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if boxed(leaf)]

    def run(boxes: list) -> Any:
        filled = list(leaves)
        for place, box in zip(places, boxes, strict=True):
            filled[place] = box
        filled_args, filled_kwargs = tree.unflatten(structure, filled)
        return call.function(*filled_args, **filled_kwargs)

    return [leaves[place] for place in places], run


def differentiated(call: Call, args: tuple, kwargs: dict) -> Any:
    """The value of the call with its arrays of floats traced by reverse mode."""
    leaves, run = _with_boxes(
        call, args, kwargs, lambda leaf: is_float(leaf) and isinstance(leaf, (np.ndarray, np.generic))
    )
    if not leaves:
        return call.function(*args, **kwargs)
    _, found, structure = make_vjp_leaves(run, leaves)
    return tree.unflatten(structure, found)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, float) or (isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc")


def recorded(call: Call, args: tuple, kwargs: dict) -> Any:
    """The value of the call under a recorder, as in the first call of a function that is compiled."""
    return _record(call, args, kwargs)[0]


def _record(call: Call, args: tuple, kwargs: dict) -> tuple[Any, Any, list]:
    leaves, run = _with_boxes(call, args, kwargs, _is_number)
    recorder = Recorder(call.name)
    try:
        answer = run([recorder.add_input(leaf, f"x{i}") for i, leaf in enumerate(leaves)])
    except LeaveTrace:  # such a call is made again without the recorder
        return call.function(*copy.deepcopy(args), **copy.deepcopy(kwargs)), None, leaves
    return tree.map_leaves(concrete, answer), recorder.finish(answer) if recorder.invalid is None else None, leaves


def replayed(call: Call, args: tuple, kwargs: dict) -> tuple[Any, Any] | None:
    """``(answer of the compiled program, recorded answer)``; None where there is no program."""
    answer, tape, leaves = _record(call, args, kwargs)
    if tape is None:
        return None
    try:
        return lower(tape).run(tuple(leaves)), answer
    except (Diverged, Stopped):  # such a call is made interpreted
        return None


# ---------------------------------------------------------------- comparing


def difference(got: Any, want: Any, tolerance: float = 0.0) -> str:
    """How two results differ, in a word and with the numbers; empty where they are the same.

    The word: ``type``, ``length``, ``dtype``, ``shape``, ``nan``, ``infinity``, ``zero`` (its sign) or ``value``.
    Values may differ by ``tolerance``, relative to the largest one, and then by a subnormal number, too. A NaN has
    no sign.
    """
    if type(got) is not type(want):
        return f"type: {type(got).__name__} instead of {type(want).__name__}"
    if isinstance(want, (list, tuple)):
        if len(got) != len(want):
            return f"length: {len(got)} instead of {len(want)}"
        return next(filter(None, (difference(g, w, tolerance) for g, w in zip(got, want, strict=True))), "")
    if isinstance(want, (np.ndarray, np.generic)):
        if got.dtype != want.dtype:
            return f"dtype: {got.dtype} instead of {want.dtype}"
        if got.shape != want.shape:
            return f"shape: {got.shape} instead of {want.shape}"
    elif not isinstance(want, (float, complex)):
        return "" if want is None or got == want else f"value: {got!r} instead of {want!r}"
    word = _numbers_differ(np.asarray(got), np.asarray(want), tolerance)
    return f"{word}: {got!r} instead of {want!r}" if word else ""


def _numbers_differ(got: np.ndarray, want: np.ndarray, tolerance: float) -> str:
    if want.dtype.kind == "c":
        return _numbers_differ(got.real, want.real, tolerance) or _numbers_differ(got.imag, want.imag, tolerance)
    if want.dtype.kind != "f":
        return "" if np.array_equal(got, want) else "value"
    if not np.array_equal(np.isnan(got), np.isnan(want)):
        return "nan"
    known = ~np.isnan(want)
    got, want = got[known], want[known]
    if not np.array_equal(np.isinf(got), np.isinf(want)):
        return "infinity"
    with np.errstate(all="ignore"):
        scale = np.max(np.abs(want), initial=0.0, where=np.isfinite(want))
        allowed = tolerance * scale + (np.finfo(want.dtype).tiny if tolerance else 0)
        apart = (got != want) & ~(np.abs(got - want) <= allowed)
    if apart.any():
        return "value"
    zeros = (got == 0) & (want == 0)
    return "zero" if (np.signbit(got) != np.signbit(want))[zeros].any() else ""


def is_refused(result: tuple[str, Any]) -> bool:
    """Whether a traced call said that it is not supported: no answer, and so no wrong one."""
    return result[0] == "error" and isinstance(result[1], AutogradJitError)


def problem(got: tuple[str, Any], want: tuple[str, Any], tolerance: float = 0.0) -> str:
    """How two outcomes differ: in value, or in the class of their exceptions."""
    if got[0] != want[0]:
        return f"error: {got} instead of {want}"
    if got[0] == "value":
        return difference(got[1], want[1], tolerance)
    return "" if type(got[1]) is type(want[1]) else f"exception: {got[1]!r} instead of {want[1]!r}"


def problems(call: Call, allowed: frozenset[str] = frozenset(), held: tuple[int, ...] = ()) -> list[str]:
    """What differs between the plain library and our call, plain, differentiated and recorded, over all salts.

    ``allowed``: words of :func:`difference` that are no problem for this function.
    """
    found = []
    for label, args, kwargs in salted(call, held):
        want = outcome(lambda a, k: call.reference(*a, **k), args, kwargs)
        again = outcome(lambda a, k: call.reference(*a, **k), args, kwargs)
        if problem(again, want):
            continue  # the library reads memory that it has not set
        for way in (_plain, differentiated, recorded):
            got = outcome(way, call, args, kwargs)
            if way is not _plain and is_refused(got):
                continue
            if way is recorded and got[0] == "error":
                continue  # the call is made again without the recorder
            word = problem(got, want)
            if word and word.split(":")[0] not in allowed:
                found.append(f"{call.name}, {label}, {way.__name__.strip('_')}: {word}")
    return found


def _plain(call: Call, args: tuple, kwargs: dict) -> Any:
    return call.function(*args, **kwargs)


def replay_problems(
    call: Call, share: int, allowed: frozenset[str] = frozenset(), held: tuple[int, ...] = ()
) -> list[str]:
    """What differs between recorded and compiled answers, over one in ``share`` of the salts of native dtypes."""
    found = []
    for label, args, kwargs in salted(call, held):
        if label not in NATIVE or zlib.crc32(f"{call.name}, {label}".encode()) % share:
            continue
        first, second = outcome(recorded, call, args, kwargs), outcome(recorded, call, args, kwargs)
        if first[0] == "error" or problem(first, second):  # or the library reads memory that it has not set
            continue
        both = replayed(call, args, kwargs)
        if both is None:
            continue
        leaves = [leaf for leaf in tree.flatten((args, kwargs, both[1]))[0] if is_float(leaf)]
        single = any(np.asarray(leaf).real.dtype.itemsize < 8 for leaf in leaves)
        word = difference(list(tree.flatten(both[0])[0]), tree.flatten(both[1])[0], 2e-4 if single else 1e-9)
        if word and word.split(":")[0] not in allowed:
            found.append(f"{call.name}, {label}, compiled: {word}")
    return found
