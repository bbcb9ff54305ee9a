"""``numpy.random``: every name of it. Samples have no derivative, also not in their parameters.

The generators are NumPy's own, draw the same streams, and are instances of NumPy's classes. A compiled function that
draws from them replays: each call makes new draws, bit for bit those of the interpreted function.

>>> import autograd_jit.numpy as np
>>> from autograd_jit import jit
>>> rng = np.random.RandomState(0)
>>> noisy = jit(lambda x: x + 0.1 * rng.randn(3))
>>> samples = [noisy(np.zeros(3)) for _ in range(3)]  # three different ones
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy.random as _random

from ..trace.draws import current_log
from ..trace.tracer import notrace_primitive

#: what reads or sets the state of a generator instead of drawing
_STATE = frozenset(["get_state", "set_state", "spawn", "get_bit_generator", "set_bit_generator"])
#: names of ``numpy.random`` that are functions and neither draw nor touch a generator that is there
_QUIET = frozenset(["test"])


def _drawing(name: str, function: Callable) -> Callable:
    """The function of the module that draws ``name`` from NumPy's global generator."""
    quiet = notrace_primitive(function)

    @functools.wraps(quiet)
    def draw(*args: Any, **kwargs: Any) -> Any:
        log = current_log()
        if log is None:
            return quiet(*args, **kwargs)
        return log.draw(sys.modules[__name__], name, quiet, args, kwargs)

    return draw


def _drawing_method(name: str, method: Callable) -> Callable:
    """The method that draws ``name`` from the generator it belongs to."""
    quiet = notrace_primitive(method)

    @functools.wraps(method)
    def draw(self: Any, *args: Any, **kwargs: Any) -> Any:
        log = current_log()
        if log is None:
            return quiet(self, *args, **kwargs)
        return log.draw(self, name, functools.partial(quiet, self), args, kwargs)

    return draw


def _state_method(name: str, method: Callable) -> Callable:
    """A method with which the state of a generator is read or set: no tape can repeat what follows from it."""

    @functools.wraps(method)
    def touch(*args: Any, **kwargs: Any) -> Any:
        log = current_log()
        if log is not None:
            log.spoil(f"it uses the state of a random generator ({name})")
        return method(*args, **kwargs)

    return touch


def _drawing_methods(cls: type) -> dict[str, Any]:
    """A method for each public one of NumPy's generator class."""
    names = [name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))]
    make = {name: _state_method if name in _STATE else _drawing_method for name in names}
    return {name: make[name](name, getattr(cls, name)) for name in names}


def _note_made(generator: Any, has_seed: bool) -> None:
    """Tell a running trace of a generator that is made inside of it."""
    log = current_log()
    if log is not None:
        log.note_made(generator, has_seed)


class _Drawing:
    """What this package's generators have besides NumPy's methods."""

    __slots__ = ()
    draws_on_tape = True


def _restored(cls: type, state: tuple, extra: Any) -> Any:
    """A generator from a pickle of it."""
    found = cls(state[0])
    if extra is not None:
        found.__setstate__(extra)
    return found


class RandomState(_Drawing, _random.RandomState):
    """``numpy.random.RandomState``, whose draws compiled functions can repeat.

    >>> RandomState(0).randn(2)
    array([1.76405235, 0.40015721])
    """

    locals().update(_drawing_methods(_random.RandomState))

    def __init__(self, seed: Any = None) -> None:
        super().__init__(seed)
        _note_made(self, seed is not None)

    def __reduce__(self) -> tuple:
        _, arguments, state = super().__reduce__()
        return _restored, (type(self), arguments, state)


class Generator(_Drawing, _random.Generator):
    """``numpy.random.Generator``, whose draws compiled functions can repeat.

    >>> from autograd_jit.numpy.random import PCG64
    >>> Generator(PCG64(0)).integers(10, size=3)
    array([8, 6, 5])
    """

    locals().update(_drawing_methods(_random.Generator))

    def __init__(self, bit_generator: Any) -> None:
        super().__init__(bit_generator)
        _note_made(self, False)

    @property
    def bit_generator(self) -> Any:
        log = current_log()
        if log is not None:
            log.spoil("it uses the state of a random generator (bit_generator)")
        return super().bit_generator

    def __reduce__(self) -> tuple:
        _, arguments, state = super().__reduce__()
        return _restored, (type(self), arguments, state)


def default_rng(seed: Any = None) -> Any:
    """``numpy.random.default_rng``: a new :class:`Generator`, or ``seed`` itself where that is one.

    >>> default_rng(0).normal(size=2)
    array([ 0.12573022, -0.13210486])
    """
    made = _random.default_rng(seed)
    if made is seed:
        return made
    generator = Generator(made.bit_generator)
    _note_made(generator, seed is not None and not hasattr(seed, "random_raw"))
    return generator


def __getattr__(name: str) -> Any:
    """``numpy.random.name``; a function that draws is wrapped once and kept."""
    try:
        found = getattr(_random, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.numpy.random' (like numpy.random) has no attribute {name!r}"
        ) from None
    if not callable(found) or isinstance(found, type) or name.startswith("_") or name in _QUIET:
        return found
    wrapped = _state_method(name, found) if name in _STATE else _drawing(name, found)
    globals()[name] = wrapped
    return wrapped


def __dir__() -> list[str]:
    return dir(_random)
