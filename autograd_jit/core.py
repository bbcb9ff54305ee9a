"""Autograd's module of this name: the engine's interface, and the old ways to define derivatives.

``primitive_vjps`` and ``primitive_jvps`` are views: reading, replacing and deleting an entry works on the
rules that are in force.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from .errors import AutogradJitWarning
from .trace import derivatives, reverse
from .trace.arguments import nary
from .trace.forward import JVPNode, _jvp
from .trace.reverse import VJPNode
from .trace.rules import (
    REGISTRY,
    def_linear,
    defined_by_users,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
)
from .trace.sparse_objects import SparseBox, SparseObject, densify
from .trace.tracer import Box, getval, isbox, notrace_primitive
from .trace.tracer import primitive as _primitive
from .trace.vspace import VSpace, vspace
from .tracer import Node, register_notrace, trace
from .util import func, subval, toposort

__all__ = [
    "Box",
    "JVPNode",
    "Node",
    "SparseBox",
    "SparseObject",
    "VJPNode",
    "VSpace",
    "add_outgrads",
    "backward_pass",
    "def_linear",
    "defjvp",
    "defjvp_argnum",
    "defjvp_argnums",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "func",
    "getval",
    "isbox",
    "make_jvp",
    "make_vjp",
    "notrace_primitive",
    "primitive",
    "primitive_jvps",
    "primitive_vjps",
    "primitive_with_deprecation_warnings",
    "register_notrace",
    "subval",
    "sum_outgrads",
    "toposort",
    "trace",
    "vspace",
]


# ---------------------------------------------------------------- the engine


def make_vjp(fun: Callable, x: Any) -> tuple[Callable, Any]:
    """``(vjp, fun(x))`` for a function of one argument."""
    return nary(derivatives.make_vjp, "make_vjp", fun, 0)(x)


def make_jvp(fun: Callable, x: Any) -> Callable:
    """``jvp`` with ``jvp(v) == (fun(x), tangent)`` for a function of one argument."""
    return nary(derivatives.make_jvp, "make_jvp", fun, 0)(x)


def backward_pass(g: Any, end_node: VJPNode) -> Any:
    """Pull ``g`` from ``end_node`` back to the graph's root (the one made first, of several)."""
    root = min((node for node in toposort(end_node) if not node.parents), key=lambda node: node.number)
    return reverse.backward_pass([(end_node, g)], [root])[0]


def add_outgrads(prev_g_flagged: tuple[Any, bool] | None, g: Any) -> tuple[Any, bool]:
    """``(sum of cotangents, whether it may be written into)``; None stands for nothing yet."""
    fresh = isinstance(g, (SparseObject, SparseBox))
    if fresh:
        g = densify(g)
    if prev_g_flagged is None:
        return g, fresh
    previous, writable = prev_g_flagged
    space = vspace(g)
    if writable and not isbox(previous) and not isbox(g):
        return space.mut_add(previous, g), True
    return space.add(previous, g), True


def sum_outgrads(gs: list) -> Any:
    """The sum of cotangents."""
    total = None
    for g in gs:
        total = add_outgrads(total, g)
    return total[0] if total is not None else None


# ---------------------------------------------------------------- the rules as dictionaries


class _Rules(MutableMapping):
    """Primitive function -> its rule for several arguments at once."""

    def __init__(self, read: Callable, write: Callable) -> None:
        self._read, self._write = read, write

    def __getitem__(self, fun: Callable) -> Callable:
        prim = getattr(fun, "primitive", None)
        rule = self._read(prim) if prim is not None else None
        if rule is None:
            raise KeyError(fun)
        return rule

    def __setitem__(self, fun: Callable, rule: Callable) -> None:
        self._write(fun.primitive, rule)  # type: ignore[attr-defined]

    def __delitem__(self, fun: Callable) -> None:
        self[fun]
        self._write(fun.primitive, None)  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[Callable]:
        registered = [entry.function for entry in REGISTRY.values() if entry.kind != "composite"]
        for fun in {**dict.fromkeys(registered), **dict.fromkeys(defined_by_users)}:
            if fun in self:
                yield fun

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _read_vjps(prim: Any) -> Callable | None:
    if prim.vjp_all is not None:
        return prim.vjp_all
    if prim.vjps is None:
        return None

    def vjp_argnums(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Callable:
        pulls = [reverse._vjp_rule(prim, argnum)(ans, *args, **kwargs) for argnum in argnums]
        return lambda g: tuple([pull(g) for pull in pulls])

    return vjp_argnums


def _write_vjps(prim: Any, rule: Callable | None) -> None:
    prim.vjp_all, prim.vjps = rule, None


def _read_jvps(prim: Any) -> Callable | None:
    if prim.jvps is None:
        return None

    def jvp_argnums(argnums: tuple, gs: tuple, ans: Any, args: tuple, kwargs: dict) -> Any:
        if callable(prim.jvps):
            return prim.jvps(argnums, gs, ans, args, kwargs)
        return sum_outgrads([_jvp(prim, argnum, g, ans, list(args), kwargs) for argnum, g in zip(argnums, gs)])

    return jvp_argnums


def _write_jvps(prim: Any, rule: Callable | None) -> None:
    prim.jvps = rule


primitive_vjps = _Rules(_read_vjps, _write_vjps)
primitive_jvps = _Rules(_read_jvps, _write_jvps)


# ---------------------------------------------------------------- the old forms: f.defvjp, f.defgrad


def primitive_with_deprecation_warnings(f_raw: Callable) -> Callable:
    """:func:`primitive`, whose result also has the methods ``defvjp``, ``defgrad`` and ``defvjp_is_zero`` of
    old.

    >>> from autograd_jit.core import primitive_with_deprecation_warnings as primitive
    >>> square = primitive(lambda x: x * x)
    >>> square.defvjp_is_zero()
    >>> grad(lambda x: x + square(x))(3.0)
    np.float64(1.0)
    """
    wrapped: Any = _primitive(f_raw)
    makers: dict[int, Callable | None] = {}

    def define(argnum: int, maker: Callable | None) -> None:
        makers[argnum] = maker
        numbers = sorted(makers)
        defvjp(wrapped, *[makers[number] for number in numbers], argnums=numbers)

    def method_defvjp(vjpfun: Callable, argnum: int = 0) -> None:
        """Old form: ``vjpfun(g, ans, vs, gvs, *args, **kwargs)``."""
        _deprecated("defvjp")

        def maker(ans: Any, *args: Any, **kwargs: Any) -> Callable:
            return lambda g: vjpfun(g, ans, vspace(args[argnum]), vspace(g), *args, **kwargs)

        define(argnum, maker)

    def method_defgrad(gradfun: Callable, argnum: int = 0) -> None:
        """Oldest form: ``gradfun(ans, *args, **kwargs)`` gives ``g -> cotangent``."""
        _deprecated("defgrad")
        define(argnum, gradfun)

    def method_defvjp_is_zero(argnums: tuple = (0,)) -> None:
        """Old form: the derivative by these arguments is zero."""
        _deprecated("defvjp_is_zero")
        for argnum in argnums:
            define(argnum, None)

    wrapped.defvjp, wrapped.defgrad, wrapped.defvjp_is_zero = (
        method_defvjp,
        method_defgrad,
        method_defvjp_is_zero,
    )
    return wrapped


primitive = primitive_with_deprecation_warnings


def _deprecated(method: str) -> None:
    warnings.warn(
        f"f.{method}(...) is Autograd's old form: use autograd_jit.extend.defvjp(f, ...)",
        AutogradJitWarning,
        stacklevel=3,
    )
