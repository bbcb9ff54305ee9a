"""Random draws of one call: served again when the call is made again, recorded when it is traced.

A draw is a call of a method of a generator: ``rs.randn(3)``. Within a :func:`session` the generators of
:mod:`autograd_jit.numpy.random` draw through a :class:`DrawLog`. A replay that stops at a guard has drawn what the
interpreted run would have drawn up to there, since both take the same way to the guard; the next attempt at the same
call (another path, a trace, the interpreted function) is served these samples again before it draws new ones. So no
generator is ever set back, and the stream is the interpreted one, bit for bit.

    log = DrawLog()
    with log.attempt() as start:
        first = log.draw(generator, "randn", (3,), {})
        log.rewind(start)
        again = log.draw(generator, "randn", (3,), {})  # the same samples
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import record
from . import tree
from .tape import Constant, Op
from .tracer import BOX_TYPES, Primitive, concrete, getval, hidden_boxes

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = [
    "GLOBAL_GENERATOR",
    "Draw",
    "DrawLog",
    "current_log",
    "draw_primitive",
    "perform",
    "session",
    "unlogged",
]

_current: ContextVar[DrawLog | None] = ContextVar("autograd_jit.draws", default=None)

#: the log that generators draw through, or None: outside of compiled calls they draw directly
current_log: Callable[[], DrawLog | None] = _current.get


@record(frozen=True, eq=False)
class Draw:
    """One call of a method of a generator. ``is_new``: whether it moved the generator, or was served again."""

    generator: Any
    name: str
    args: tuple
    kwargs: dict[str, Any]
    is_new: bool = True


@record(frozen=True, eq=False)
class _Made:
    generator: Any
    name: str
    answer: Any


class DrawLog:
    """The draws of one call in order, and how many of them the running attempt has been served.

    ``recorders``: the traces in progress, innermost last. Draws are kept only while an attempt may come to nothing.
    """

    def __init__(self) -> None:
        self.recorders: list[Recorder] = []
        self._made: list[_Made] = []
        self._served = 0
        self._attempts = 0

    def draw(self, generator: Any, name: str, make: Callable, args: tuple, kwargs: dict) -> Any:
        """``make(*args, **kwargs)``, or what it gave when this call was attempted before; recorded where one traces."""
        if not self.recorders:
            return self._answer(generator, name, make, args, kwargs)[0]
        for recorder in self.recorders[:-1]:
            recorder.spoil(f"a compiled function that it calls draws random numbers ({name})")
        recorder = self.recorders[-1]
        args, kwargs = tree.map_leaves(_plain_integer, (args, kwargs))
        if not hidden_boxes((args, kwargs)):
            answer, is_new = self._answer(generator, name, make, args, kwargs)
            return recorder.record_draw(Draw(generator, name, args, kwargs, is_new), answer)
        traced_args, traced_kwargs = tree.map_leaves(getval, (args, kwargs))
        rule = TRACED_PARAMETERS.get(name)
        if rule is not None and not traced_kwargs:
            with contextlib.suppress(NotDecomposed):
                return rule(generator, *traced_args)
        recorder.spoil(f"it draws with parameters that depend on traced values ({name})")
        plain_args, plain_kwargs = tree.map_leaves(concrete, (args, kwargs))
        return self._answer(generator, name, make, plain_args, plain_kwargs)[0]

    def spoil(self, reason: str) -> None:
        """Note that the traces in progress cannot be replayed."""
        for recorder in self.recorders:
            recorder.spoil(reason)

    def note_made(self, generator: Any, has_seed: bool) -> None:
        """A generator is made inside of the traces in progress: with a seed, its draws are the same in each call."""
        for recorder in self.recorders:
            if has_seed:
                recorder.own_generators.append(generator)

    def _answer(self, generator: Any, name: str, make: Callable, args: tuple, kwargs: dict) -> tuple[Any, bool]:
        if self._served < len(self._made):
            known = self._made[self._served]
            if known.generator is not generator or known.name != name:
                raise AssertionError(f"{known.name} was drawn before, now {name}: the attempts at one call disagree")
            self._served += 1
            return _copied(known.answer), False
        with unlogged():  # some of NumPy's methods draw by others
            answer = make(*args, **kwargs)
        if self._attempts:
            self._made.append(_Made(generator, name, _copied(answer)))
            self._served += 1
        elif self._made:
            self._made.clear()
            self._served = 0
        return answer, True

    def mark(self) -> tuple[int, int]:
        """How far this attempt is: draws served, and draws made."""
        return self._served, len(self._made)

    def take_back(self, mark: tuple[int, int]) -> None:
        """Forget what was drawn since ``mark``: the generators have been set back."""
        self._served = mark[0]
        del self._made[mark[1] :]

    @contextlib.contextmanager
    def attempt(self) -> Iterator[int]:
        """What is drawn inside is kept, to be served again after a ``rewind`` to the position that this gives."""
        self._attempts += 1
        try:
            yield self._served
        finally:
            self._attempts -= 1

    def rewind(self, position: int) -> None:
        """The next attempt is served from here on."""
        self._served = position

    def add(self, generator: Any, name: str, answer: Any) -> None:
        """A draw made outside of the log, to be served by it."""
        self._made.append(_Made(generator, name, answer))


def _plain_integer(leaf: Any) -> Any:
    """An integer argument of the traced call is taken: the number of samples is part of the program."""
    return leaf._value if type(leaf) in BOX_TYPES and leaf.stands_for_integer else leaf


def _copied(answer: Any) -> Any:
    """Arrays belong to whom they are given to, who may write into them."""
    return tree.map_leaves(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, answer)


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Generators draw directly inside."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def session(log: DrawLog | None = None) -> Iterator[DrawLog]:
    """The log of the running call: the one that is there, else ``log`` or a new one."""
    running = _current.get()
    if running is not None:
        yield running
        return
    running = log or DrawLog()
    token = _current.set(running)
    try:
        yield running
    finally:
        _current.reset(token)


# ---------------------------------------------------------------- draws on the tape


@functools.cache
def draw_primitive(name: str) -> Primitive:
    """The operation of a tape that draws ``name`` from the generator whose number is its first argument."""

    def draw(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a draw is performed by `perform`, which knows the generators")

    primitive = Primitive(draw, f"draw_{name}", differentiable=False)
    primitive.draws = name
    return primitive


def perform(op: Op, generators: Sequence[Any]) -> Any:
    """The draw of a tape's ``op``, made anew from these generators."""
    number, *args = [plain_constant(arg) for arg in op.args]
    kwargs = {name: plain_constant(value) for name, value in op.kwargs.items()}
    generator = generators[number] if number >= 0 else sys.modules[GLOBAL_GENERATOR]
    return getattr(generator, str(op.prim.draws))(*args, **kwargs)


def plain_constant(value: Any) -> Any:
    """A static argument as the function is given it. Arrays are copies: a generator may not keep the tape's."""
    kind = type(value)
    if kind is Constant:
        return value.value.copy()
    if kind is tuple or kind is list:
        return kind([plain_constant(item) for item in value])
    return value


#: the module whose functions draw from NumPy's global generator
GLOBAL_GENERATOR = "autograd_jit.numpy.random"


# ---------------------------------------------------------------- parameters that are traced


class NotDecomposed(Exception):
    """A draw with traced parameters that cannot be written as plain draws and recorded operations."""


def _shape(parameters: tuple, size: Any) -> tuple[int, ...]:
    """The shape of the samples, as NumPy finds it."""
    if hidden_boxes((size,)):
        raise NotDecomposed
    shape = np.broadcast_shapes(*[np.shape(concrete(parameter)) for parameter in parameters])
    asked = shape if size is None else (size,) if np.ndim(size) == 0 else tuple(size)
    if asked == () or np.broadcast_shapes(shape, asked) != asked:  # a Python float, an error
        raise NotDecomposed
    return asked


def _hold(condition: Any) -> None:
    """Guard that a recorded condition is true of all elements."""
    if not bool(condition.all()):
        raise NotDecomposed


def _normal(generator: Any, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
    """NumPy's own way: ``loc + scale * z``, each operation rounded, in the order of the elements."""
    from .. import numpy as anp

    shape = _shape((loc, scale), size)
    _hold(anp.logical_not(anp.signbit(scale)))
    return loc + scale * generator.standard_normal(shape)


def _uniform(generator: Any, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
    """``low + (high - low) * u``."""
    from .. import numpy as anp

    shape = _shape((low, high), size)
    span = high - low
    _hold(anp.logical_and(anp.isfinite(span), anp.logical_not(anp.signbit(span))))
    draw = generator.random if hasattr(generator, "integers") else generator.random_sample
    return low + span * draw(shape)


def _permutation(generator: Any, values: Any) -> Any:
    if np.ndim(concrete(values)) == 0:
        raise NotDecomposed
    return values[generator.permutation(len(values))]


def _choice(generator: Any, values: Any, size: Any = None, replace: bool = True, p: Any = None) -> Any:
    if hidden_boxes((size, replace, p)) or np.ndim(concrete(values)) != 1:
        raise NotDecomposed
    return values[generator.choice(len(values), size, replace, p)]


#: name of a draw -> the same samples by draws with plain parameters
TRACED_PARAMETERS: dict[str, Callable] = {
    "normal": _normal,
    "uniform": _uniform,
    "permutation": _permutation,
    "choice": _choice,
}
