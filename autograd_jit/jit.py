"""``jit``: the first call's trace becomes a program; later calls replay it natively.

A jitted function answers as the interpreted one does, in every situation. What cannot be replayed soundly runs
interpreted, with one :class:`FallbackWarning` that says why.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from .errors import ArgumentError, TraceLimitError
from .handle import Handle
from .known_programs import (
    MISS,
)
from .options import Options, options_of
from .reports import Stats
from .signatures import (
    Build,
)

__all__ = ["Jitted", "Stats", "assert_max_traces", "jit", "jitted"]


class Jitted:
    """A compiled function: what :func:`jit` and the operators with ``jit=True`` return.

    It takes the function's arguments. Copies are the function itself. It is pickled by its name, or as its operator and
    its function.
    """

    __autograd_jit_rebuildable__ = True

    #: counts of what happened so far
    stats: Stats
    #: ``explain()``: every trace, why, its guards, Python steps, kernels and times; or why it runs interpreted
    explain: Callable[[], str]
    #: ``tape(*args)``: the recorded tape for these arguments; prints as Python
    tape: Callable[..., Any]
    #: ``kernels(*args)``: the fused kernels for these arguments; prints their source
    kernels: Callable[..., Any]
    #: ``clear()``: forget all programs of this function
    clear: Callable[[], None]

    def __init__(self, build: Callable, fun: Callable, name: str, doc: str | None, options: Options) -> None:
        handle = Handle(build, fun, name, options)
        with contextlib.suppress(AttributeError, TypeError):
            functools.update_wrapper(self, handle.interpreted)
        self._handle = handle  # after the attributes that functools.wraps(another compiled function) gave ``fun``
        self.__wrapped__ = fun
        self.__name__ = name
        self.__doc__ = doc or getattr(handle.interpreted, "__doc__", None)
        self._transform = (build, fun)
        self.stats, self.explain, self.clear = handle.stats, handle.explain, handle.clear
        self.tape, self.kernels = handle.tape, handle.kernels

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        handle = self._handle
        if not kwargs:
            result = handle.fast(args)
            if result is not MISS:
                return result
        return handle.slow(args, kwargs)

    def into(self, out: Any, *args: Any, **kwargs: Any) -> Any:
        """The call, with its results written into ``out``, which is returned: a replay allocates nothing.

        ``out``: an array, or a container of arrays, like the result. Its arrays must have the shapes and dtypes of the
        results; those that are C-contiguous and share no memory with arguments are written directly, others
        get copies. Where the call raises, what they hold is undefined. Raises ArgumentError where ``out`` does not fit.

        >>> import numpy as np
        >>> from autograd_jit import grad
        >>> slope = grad(lambda x: np.sum(x ** 3), jit=True)
        >>> memory = np.empty(2)
        >>> slope.into(memory, np.array([1.0, 2.0])) is memory
        True
        >>> memory
        array([ 3., 12.])
        """
        from .into import call_into

        return call_into(self, self._handle, out, args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled function {self.__name__}>"

    def with_function(self, fun: Callable) -> Callable:
        """The same operator, interpreted, on a clone of the function that the recorder of another trace made."""
        build, stats = self._handle.build, self._handle.stats

        @functools.wraps(self)
        def inlined(*args: Any, **kwargs: Any) -> Any:
            stats.inlined += 1
            return build(fun)(*args, **kwargs)

        return inlined

    def __copy__(self) -> Jitted:
        return self

    def __deepcopy__(self, memo: dict) -> Jitted:
        return self

    def __reduce__(self) -> Any:
        found: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        name = getattr(self, "__qualname__", "")
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name
        handle = self._handle
        return Jitted, (handle.build, handle.fun, handle.name, self.__doc__, handle.options)


def jitted(build: Callable, fun: Callable, *, name: str = "", doc: str | None = None, **options: Any) -> Jitted:
    """The compiled form of ``build(fun)``: what the operators return for ``jit=True``."""
    if not callable(fun):
        raise ArgumentError(f"jit needs a function, not {type(fun).__name__}")
    return Jitted(build, fun, name or getattr(fun, "__name__", type(fun).__name__), doc, options_of(options))


def jit(fun: Callable | None = None, **options: Any) -> Any:
    """Compile ``fun`` on its first call. Answers never change. :class:`~autograd_jit.jit.Jitted` shows what happened.

    ``fun``: any function of arrays, scalars and containers of them. Usable as ``@jit`` and ``@jit(max_paths=8)``.
    ``jit(grad(f))`` is ``grad(f, jit=True)``.

    Options: ``verify`` runs both ways and raises VerificationError on a difference, naming the first value that
    differs (``verify=0.01``: every hundredth call); ``max_paths`` and
    ``max_signatures`` bound what is kept; ``target`` is ``"cpu"``, ``"cuda"`` or ``"auto"``;
    ``compile`` is ``"background"``, ``"eager"``, ``"never"`` or ``"lazy"``; ``precise`` and ``fast_approximations`` (of
    devices) are True or False; see :mod:`autograd_jit.config`.

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
    return jitted(Build(_itself), fun, **options)


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
