"""States of the random generators that a run could move without the recorder seeing it.

The states of the two global ones, NumPy's and that of `random`, are 624 words each, which Python hands out as numbers:
35 us both. Whether one was drawn from, its memory tells in 1 us.
"""

from __future__ import annotations

import ctypes
import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from .captures import Captures
from .draws import perform, unlogged
from .recorder import Recorder
from .tape import Op

__all__ = ["GeneratorStates"]

#: of NumPy's Mersenne twister: 624 words and the place among them
_TWISTER_BYTES = 625 * 4


class GeneratorStates:
    """States of the random generators that a run could move without the recorder seeing it."""

    def __init__(self, captures: Captures, drawing: list[Any]) -> None:
        """``drawing``: the generators whose draws the recorder writes down."""
        self.drawing = drawing
        self.captured = [*captures.generators, *zip(captures.generator_paths, drawing, strict=True)]
        self.before = self._states()
        self._memory = _memory_of_global_ones()

    def _states(self) -> list[tuple[str, Any]]:
        states: list[tuple[str, Any]] = [
            ("numpy's global random generator", np.random.get_state(legacy=False)),
            ("the random module", random.getstate()),
        ]
        return states + self._states_of_captured()

    def _states_of_captured(self) -> list[tuple[str, Any]]:
        return [(f"`{path}`", _state_of(generator)) for path, generator in self.captured]

    def restore(self) -> None:
        """Take back the draws of a run whose result is not used."""
        self._set(self.before)

    def _set(self, states: list[tuple[str, Any]]) -> None:
        for (_, state), generator in zip(states, [np.random, random, *[g for _, g in self.captured]], strict=True):
            _set_state(generator, state)

    def moved(self, recorder: Recorder) -> str | None:
        """Which generator was drawn from in another way than the tape knows of, as a reason."""
        if not recorder.draws and self._memory is not None and self._memory == _memory_of_global_ones():
            pairs = zip(self.before[2:], self._states_of_captured())  # of most runs there are none
        else:
            pairs = zip(*self._expected_and_found(recorder))
        for (name, wanted), (_, found) in pairs:
            if not _equal(wanted, found):
                return f"it draws random numbers from {name}, which is not one of autograd_jit.numpy.random"
        return None

    def _expected_and_found(self, recorder: Recorder) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
        after, expected = self._states(), self.before
        if recorder.draws and recorder.invalid is None:
            expected = self._repeated(recorder)
            self._set(after)
        return expected, after

    def _repeated(self, recorder: Recorder) -> list[tuple[str, Any]]:
        """The states to which the draws on the tape lead."""
        self.restore()
        ops = [op for op in recorder.ops if isinstance(op, Op) and op.prim.draws is not None]
        with unlogged():
            for op, draw in zip(ops, recorder.draws, strict=True):
                if draw.is_new:
                    perform(op, self.drawing)
        return self._states()


def _state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.BitGenerator):
        return generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.BitGenerator):
        generator.state = state
    elif hasattr(generator, "set_state"):
        generator.set_state(state)
    else:
        generator.setstate(state)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)


def _memory_of_global_ones() -> tuple[bytes, bytes, bytes, Any] | None:
    """What differs when one was drawn from or set; None where that is not certain."""
    numpys, pythons = getattr(np.random.get_state, "__self__", None), getattr(random, "_inst", None)
    words = getattr(numpys, "_bit_generator", None)
    if type(numpys) is not np.random.RandomState or type(words) is not np.random.MT19937:
        return None
    if type(pythons) is not random.Random or not _memory_tells():
        return None
    return _memory_of(numpys, words, pythons)


def _memory_of(numpys: Any, words: Any, pythons: Any) -> tuple[bytes, bytes, bytes, Any]:
    """Of NumPy's generator: the words, and the object, which keeps the second of two normal numbers for the next call.
    Of Python's: the object, which has its words in it, and the number that it keeps likewise."""
    return (
        ctypes.string_at(words.ctypes.state_address, _TWISTER_BYTES),
        _contents(numpys, np.random.RandomState),
        _contents(pythons, random.Random.__base__),
        pythons.gauss_next,
    )


def _contents(thing: object, kind: Any) -> bytes:
    """The memory of an object behind its head, in which the count of references changes."""
    head = object.__basicsize__
    return ctypes.string_at(id(thing) + head, kind.__basicsize__ - head)


@functools.cache
def _memory_tells() -> bool:
    """Whether each kind of draw changes the memory that is looked at, in this Python and this NumPy, and only draws."""
    numpys, pythons = np.random.RandomState(0), random.Random(0)
    words = numpys._bit_generator
    draws: list[Callable[[], object]] = [
        numpys.random_sample, numpys.normal, numpys.normal,  # the second of these out of its pocket
        pythons.random, lambda: pythons.gauss(0, 1), lambda: pythons.gauss(0, 1),
    ]  # fmt: skip
    for draw in draws:
        before = _memory_of(numpys, words, pythons)
        if before != _memory_of(numpys, words, pythons):
            return False
        draw()
        if before == _memory_of(numpys, words, pythons):
            return False
    return True
