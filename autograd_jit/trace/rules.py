"""Registration: one call per function says all there is to know about its derivative.

Three kinds, by what the mathematics needs:

``elementwise``
    One *partial* per argument, a function of the result ``ans`` and the arguments ``x``, ``y``, ``z``, taken by
    name: ``elementwise(np.sin, lambda x: cos(x))``. It serves forward (``t * d``) and reverse (``g * d``).
    A real result of complex arguments has ``d = du/dx - 1j * du/dy``; the real part is taken centrally.
``linear``
    A function linear in its first argument, and its transpose. Forward mode applies the function itself.
``general``
    Everything else: makers of vjps and jvps per argument.
``composite``
    A public function that is written in terms of the others, and so has all their derivatives.
``with_formula``
    A function whose value is its own, and whose derivatives are those of a formula written in the others: for
    algorithms whose answers at infinities, ties or overflows no formula repeats.

Rules never unbroadcast, cast or take real parts: see :mod:`autograd_jit.trace.cotangent`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from numpy import float64

from ..errors import ArgumentError, AutogradJitWarning
from ..records import field, record
from . import tree
from .cotangent import abstract
from .forward import jvp_leaves
from .plain_errors import plain_errors
from .reverse import make_vjp_leaves
from .tracer import Primitive, hidden_boxes, notrace_primitive, primitive

__all__ = [
    "IDENTITY",
    "MINUS",
    "REGISTRY",
    "Registration",
    "composite",
    "def_linear",
    "defjvp",
    "defjvp_argnum",
    "defjvp_argnums",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "elementwise",
    "general",
    "linear",
    "nondifferentiable",
    "valued_by",
    "with_formula",
]


class _Marker:
    """A partial derivative that needs no multiplication."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


#: the partial is one: the cotangent passes unchanged
IDENTITY = _Marker("IDENTITY")
#: the partial is minus one
MINUS = _Marker("MINUS")


@record(frozen=True)
class Registration:
    """One differentiable (or knowingly non-differentiable) function, as tests and documentation see it.

    ``samples`` returns a list of :class:`~autograd_jit.trace.samples.Sample` to test with.
    """

    name: str
    function: Callable
    kind: str  # "elementwise", "linear", "general", "composite" or "nondifferentiable"
    module: str
    complex: bool = True
    domain: tuple[tuple[float, float], ...] = ()
    samples: Callable[[], list] | None = None
    facts: dict = field(default_factory=dict)


#: "module.name" -> registration, in order of definition
REGISTRY: dict[str, Registration] = {}


def _register(function: Callable, kind: str, module: str | None = None, **facts: Any) -> Callable:
    module = module or sys._getframe(2).f_globals["__name__"]
    name = function.primitive.name  # type: ignore[attr-defined]
    REGISTRY[f"{module}.{name}"] = Registration(name, function, kind, module, **facts)
    return function


def composite(*, complex: bool = True, samples: Callable[[], list] | None = None, **facts: Any) -> Callable:
    """Decorator: list a public function made of other registered functions, with inputs to test it with."""

    def register(function: Callable) -> Callable:
        name, module = function.__name__, function.__module__
        below = REGISTRY.get(f"{module}.{name}")
        if below is not None:  # the primitive of the same name that it normalises arguments for
            REGISTRY[f"{module}.{name}.primitive"] = below
        if not facts.get("in_place"):
            function = plain_errors(function)
        REGISTRY[f"{module}.{name}"] = Registration(
            name, function, "composite", module, complex=complex, samples=samples, facts=facts
        )
        return function

    return register


def refuse_options(name: str, options: dict) -> None:
    """Raise ArgumentError for a ufunc's ``out=``, ``where=`` and so on, which a derivative would not know of."""
    for option in options:
        if option not in ("dtype", "casting", "order", "subok", "signature"):
            raise ArgumentError(
                f"{name}: the argument {option}= is not supported for traced arrays; "
                f"use the returned array, and autograd_jit.numpy.where for a mask"
            )


# ---------------------------------------------------------------- elementwise

_ARGUMENT_NAMES = ("x", "y", "z")
#: where generated rules find the functions that they call; ``multiply`` and ``negative`` register themselves
_rule_globals: dict[str, Any] = {}


def elementwise(
    fun: Callable,
    *partials: Any,
    name: str | None = None,
    complex: bool = True,
    domain: tuple[tuple[float, float], ...] = (),
    samples: Callable[[], list] | None = None,
) -> Callable:
    """Register an elementwise function of ``len(partials)`` arguments, with broadcasting.

    ``partials``: per argument a function of any of ``ans, x, y, z`` (by parameter name), ``IDENTITY``, ``MINUS``, or
    None where the derivative is zero. ``domain``: an interval per argument on which it is smooth, for tests.
    ``complex``: whether the partials hold for complex arguments too.
    """
    wrapped = primitive(fun)
    prim = wrapped.primitive  # type: ignore[attr-defined]
    if name is not None:
        prim.name = wrapped.__name__ = name
    arity = len(partials)
    prim.normalise, prim.takes_lists = _lists_as_arrays, True
    prim.vjps = {i: _partial_vjp(prim.name, partial, arity) for i, partial in enumerate(partials)}
    prim.jvps = {i: _partial_jvp(prim.name, partial, arity) for i, partial in enumerate(partials)}
    if prim.name in ("multiply", "negative"):
        _rule_globals[prim.name] = wrapped
    return _register(wrapped, "elementwise", complex=complex, domain=domain, samples=samples)


def _lists_as_arrays(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    from ..numpy.arguments import lists_as_arrays

    return lists_as_arrays(args, kwargs)


def _product(partial: Any, arity: int) -> str:
    """Source of ``g * partial``."""
    if partial is IDENTITY:
        return "g"
    if partial is MINUS:
        return "negative(g)"
    return f"multiply(g, {_partial_call(partial, arity)})"


def _partial_call(partial: Any, arity: int) -> str:
    """Source of the partial derivative: a call with the arguments that it names."""
    names = list(inspect.signature(partial).parameters)
    unknown = set(names) - {"ans", *_ARGUMENT_NAMES[:arity]}
    if unknown:
        raise TypeError(f"a partial takes ans, x, y, z, not {unknown}")
    return f"partial({', '.join(names)})"


def _compile_rule(source: str, partial: Any) -> Callable:
    scope = _RuleScope(partial)
    exec(source, scope)
    return scope["rule"]


class _RuleScope(dict):
    """Globals of one generated rule: its partial, and the shared functions looked up late."""

    def __init__(self, partial: Any) -> None:
        super().__init__(
            __name__=__name__,
            partial=partial,
            multiply=_late("multiply"),
            negative=_late("negative"),
            refuse_options=refuse_options,
            float64=float64,
        )


def _late(name: str) -> Callable:
    """The wrapped function ``name``, which may not be registered yet."""
    if name in _rule_globals:
        return _rule_globals[name]
    return lambda *args: _rule_globals[name](*args)


def _partial_vjp(name: str, partial: Any, arity: int) -> Callable | None:
    """``maker(ans, x, ...) -> g -> g * d``. The closure keeps only what the partial names, so the rest is freed."""
    if partial is None:
        return None
    source = _rule_source("ans", name, arity)
    if partial is IDENTITY or partial is MINUS:
        source += f"    return lambda g: {_product(partial, arity)}\n"
    else:
        source += _SCALAR_PULL.format(call=_partial_call(partial, arity))
    return _compile_rule(source, partial)


#: two NumPy scalars are multiplied by ``*``: 0.1 us, where the ufunc takes 0.9 and the primitive 1.2
_SCALAR_PULL = """\
    def pull(g):
        d = {call}
        if type(g) is float64 and (type(d) is float64 or type(d) is float):
            return g * d
        return multiply(g, d)
    return pull
"""


def _partial_jvp(name: str, partial: Any, arity: int) -> Callable | None:
    if partial is None:
        return None
    source = _rule_source("g, ans", name, arity) + f"    return {_product(partial, arity)}\n"
    return _compile_rule(source, partial)


def _rule_source(first: str, name: str, arity: int) -> str:
    arguments = ", ".join(_ARGUMENT_NAMES[:arity])
    return f"def rule({first}, {arguments}, **kwargs):\n    if kwargs: refuse_options({name!r}, kwargs)\n"


# ---------------------------------------------------------------- linear and general


def linear(
    fun: Callable, transpose: Callable, *, name: str | None = None, samples: Callable[[], list] | None = None
) -> Callable:
    """Register a function linear in its first argument.

    ``transpose(g, shape, *rest, **kwargs)`` gets the cotangent, the first argument's shape and the other arguments.
    """
    wrapped = primitive(fun)
    prim = wrapped.primitive  # type: ignore[attr-defined]
    if name is not None:
        prim.name = wrapped.__name__ = name

    def maker(ans: Any, x: Any, *args: Any, **kwargs: Any) -> Callable:
        shape = abstract(x)[0]
        return lambda g: transpose(g, shape, *args, **kwargs)

    prim.vjps = {0: maker}
    prim.jvps = {0: "same"}
    return _register(wrapped, "linear", samples=samples)


def general(
    fun: Callable,
    vjps: Any,
    jvps: Any,
    *,
    name: str | None = None,
    complex: bool = True,
    samples: Callable[[], list] | None = None,
) -> Callable:
    """Register a function by its vjp makers and jvps, each a dict argnum -> rule (or an object with ``__getitem__``).

    vjp maker: ``(ans, *args, **kwargs) -> (g -> cotangent)``; jvp: ``(tangent, ans, *args, **kwargs) -> tangent``
    or ``"same"`` where the function is linear in that argument. ``vjps`` may be a function
    ``(argnums, ans, args, kwargs) -> (g -> cotangents)`` for all boxed arguments at once.
    """
    wrapped = primitive(fun)
    prim = wrapped.primitive  # type: ignore[attr-defined]
    if name is not None:
        prim.name = wrapped.__name__ = name
    if callable(vjps):
        prim.vjp_all = vjps
    else:
        prim.vjps = vjps
    prim.jvps = jvps
    return _register(wrapped, "general", complex=complex, samples=samples)


def with_formula(
    fun: Callable, formula: Callable, *, name: str, complex: bool = True, samples: Callable[[], list] | None = None
) -> Callable:
    """Register ``fun``, called by position, with the derivatives of ``formula``, a function of the same arguments.

    The value is that of ``fun`` to the last bit, and so are its errors: a formula in terms of other functions need be
    right only where there is a derivative. Derivatives run the formula once more.

    >>> import numpy, autograd_jit.numpy as np
    >>> root = with_formula(numpy.cbrt, lambda x: np.sign(x) * np.abs(x) ** (1 / 3), name="cube_root")
    """
    wrapped = _differentiated_by(formula, fun, name)
    return _register(wrapped, "general", formula.__module__, complex=complex, samples=samples)


def _differentiated_by(formula: Callable, fun: Callable, name: str) -> Callable:
    """``fun`` as a primitive with the derivatives of ``formula``."""

    def at(argnums: tuple, args: tuple, kwargs: dict) -> Callable:
        def moved(leaves: list) -> Any:
            full = list(args)
            for argnum, leaf in zip(argnums, leaves, strict=True):
                full[argnum] = leaf
            return formula(*full, **kwargs)

        return moved

    def vjps(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Callable:
        def pull(g: Any) -> tuple:
            pull_back = make_vjp_leaves(at(argnums, args, kwargs), [args[argnum] for argnum in argnums])[0]
            return tuple(pull_back(tree.flatten(g)[0]))

        return pull

    def jvps(argnums: tuple, tangents: Any, ans: Any, args: tuple, kwargs: dict) -> Any:
        operands = [args[argnum] for argnum in argnums]
        _, moved, structure = jvp_leaves(at(argnums, args, kwargs), operands, list(tangents))
        return tree.unflatten(structure, moved)

    wrapped = primitive(fun)
    prim = wrapped.primitive  # type: ignore[attr-defined]
    prim.name = wrapped.__name__ = name
    prim.vjp_all, prim.jvps = vjps, jvps
    return wrapped


def valued_by(fun: Callable, refuses: tuple[str, ...] = ()) -> Callable:
    """Decorator: ``fun`` gives the value of a public function, the decorated body its derivatives (``with_formula``).

    ``fun`` is a function of NumPy or SciPy with the same parameters. ``refuses`` names those that have to keep their
    defaults in a traced call, because the formula does not know of them; ``out`` is one of them in any case.
    """

    def decorate(formula: Callable) -> Callable:
        signature = inspect.signature(formula)
        valued = _differentiated_by(formula, lambda *args, **kwargs: fun(*args, **kwargs), formula.__name__)
        valued.primitive.normalise = _lists_as_arrays  # type: ignore[attr-defined]

        @functools.wraps(formula)
        def public(*args: Any, **kwargs: Any) -> Any:
            if not hidden_boxes((*args, *kwargs.values())):
                return fun(*args, **kwargs)
            given = signature.bind(*args, **kwargs)
            for name in ("out", *refuses):
                if name in given.arguments and given.arguments[name] is not signature.parameters[name].default:
                    raise ArgumentError(
                        f"{formula.__name__}: the argument {name}= is not supported for traced arrays; leave it out"
                    )
            given.apply_defaults()
            return valued(*given.args, **given.kwargs)

        public.valued = valued  # type: ignore[attr-defined]  # the primitive, for a lowering rule
        return public

    return decorate


def nondifferentiable(fun: Callable, *, name: str | None = None, samples: Callable[[], list] | None = None) -> Callable:
    """Register a function whose derivative is zero wherever it exists, or whose result is no float."""
    wrapped = notrace_primitive(fun)
    prim = wrapped.primitive  # type: ignore[attr-defined]
    if name is not None:
        prim.name = wrapped.__name__ = name
    return _register(wrapped, "nondifferentiable", samples=samples)


# ---------------------------------------------------------------- the interface for users' own primitives


#: the functions that the calls below were made for, so that ``core.primitive_vjps`` can list them
defined_by_users: weakref.WeakSet = weakref.WeakSet()


def _rules_of(fun: Callable) -> Primitive:
    """Where rules of ``fun`` are kept. Those for a function that is traced through are kept nowhere."""
    prim = getattr(fun, "primitive", None)
    if prim is None:
        name = getattr(fun, "__name__", repr(fun))
        warnings.warn(
            f"derivative rules for {name} have no effect: it is not a primitive, so that it is differentiated "
            f"through what it computes. Decorate it with @primitive first",
            AutogradJitWarning,
            stacklevel=3,
        )
        return Primitive(fun, name, differentiable=True)
    defined_by_users.add(fun)
    return prim


def defvjp(fun: Callable, *vjpmakers: Any, **kwargs: Any) -> None:
    """Define reverse-mode rules, one maker ``(ans, *args, **kwargs) -> (g -> cotangent)`` per argument.

    ``argnums=`` names the arguments that they are for; a maker that is None means a zero derivative.

    >>> from autograd_jit import grad
    >>> from autograd_jit.extend import defvjp, primitive
    >>> @primitive
    ... def scaled(x, factor):
    ...     return x * factor
    >>> defvjp(scaled, lambda ans, x, factor: lambda g: g * factor, None)
    >>> grad(scaled)(1.0, 3.0)
    np.float64(3.0)
    """
    prim = _rules_of(fun)
    argnums = kwargs.get("argnums", range(len(vjpmakers)))
    prim.vjps = dict(zip(argnums, vjpmakers))
    prim.vjp_all = None


def defvjp_argnum(fun: Callable, vjpmaker: Callable) -> None:
    """Define one maker for all arguments: ``vjpmaker(argnum, ans, args, kwargs) -> (g -> cotangent)``.

    >>> from autograd_jit import grad
    >>> from autograd_jit.extend import defvjp_argnum, primitive
    >>> product = primitive(lambda x, y: x * y)
    >>> defvjp_argnum(product, lambda argnum, ans, args, kwargs: lambda g: g * args[1 - argnum])
    >>> grad(product, 1)(2.0, 3.0)
    np.float64(2.0)
    """

    prim = _rules_of(fun)
    prim.vjps, prim.vjp_all = _VjpsByArgnum(vjpmaker), None


class _VjpsByArgnum:
    """A table of rules that one maker makes."""

    def __init__(self, maker: Callable) -> None:
        self.maker = maker

    def __getitem__(self, argnum: int) -> Callable:
        return lambda ans, *args, **kwargs: self.maker(argnum, ans, args, kwargs)


def defvjp_argnums(fun: Callable, vjpmaker: Callable) -> None:
    """Define ``vjpmaker(argnums, ans, args, kwargs) -> (g -> tuple of cotangents)``.

    >>> from autograd_jit import grad
    >>> from autograd_jit.extend import defvjp_argnums, primitive
    >>> product = primitive(lambda x, y: x * y)
    >>> defvjp_argnums(product, lambda argnums, ans, args, kwargs: lambda g: tuple([g * args[1 - n] for n in argnums]))
    >>> grad(product, (0, 1))(2.0, 3.0)
    (np.float64(3.0), np.float64(2.0))
    """
    _rules_of(fun).vjp_all = vjpmaker


def defjvp(fun: Callable, *jvpfuns: Any, **kwargs: Any) -> None:
    """Define forward-mode rules ``(g, ans, *args, **kwargs) -> tangent`` per argument, or "same", or None.

    >>> from autograd_jit import make_jvp
    >>> from autograd_jit.extend import defjvp, primitive
    >>> square = primitive(lambda x: x * x)
    >>> defjvp(square, lambda g, ans, x: 2 * x * g)
    >>> make_jvp(square)(3.0)(1.0)
    (9.0, np.float64(6.0))
    """
    argnums = kwargs.get("argnums", range(len(jvpfuns)))
    _rules_of(fun).jvps = dict(zip(argnums, jvpfuns))


def defjvp_argnum(fun: Callable, jvpmaker: Callable) -> None:
    """Define ``jvpmaker(argnum, g, ans, args, kwargs) -> tangent`` for all arguments.

    >>> from autograd_jit import make_jvp
    >>> from autograd_jit.extend import defjvp_argnum, primitive
    >>> product = primitive(lambda x, y: x * y)
    >>> defjvp_argnum(product, lambda argnum, g, ans, args, kwargs: g * args[1 - argnum])
    >>> make_jvp(product, 1)(2.0, 3.0)(1.0)
    (6.0, np.float64(2.0))
    """

    _rules_of(fun).jvps = _JvpsByArgnum(jvpmaker)


class _JvpsByArgnum(_VjpsByArgnum):
    def __getitem__(self, argnum: int) -> Callable:
        return lambda g, ans, *args, **kwargs: self.maker(argnum, g, ans, args, kwargs)


def defjvp_argnums(fun: Callable, jvpmaker: Callable) -> None:
    """Define ``jvpmaker(argnums, gs, ans, args, kwargs) -> tangent``, for all traced arguments at once.

    >>> from autograd_jit import make_jvp
    >>> from autograd_jit.extend import defjvp_argnums, primitive
    >>> product = primitive(lambda x, y: x * y)
    >>> def rule(argnums, gs, ans, args, kwargs):
    ...     return sum([g * args[1 - argnum] for argnum, g in zip(argnums, gs)])
    >>> defjvp_argnums(product, rule)
    >>> make_jvp(product)(2.0, 3.0)(1.0)
    (6.0, np.float64(3.0))
    """
    _rules_of(fun).jvps = jvpmaker


def rule_functions(rules: Any) -> Iterator[tuple[str, Any]]:
    """The functions of a table ``vjps``, ``vjp_all`` or ``jvps``, each with the Python that reads it off the table."""
    if type(rules) is dict:
        yield from [(f"[{argnum!r}]", rule) for argnum, rule in rules.items() if callable(rule)]
    elif isinstance(rules, _VjpsByArgnum):
        yield ".maker", rules.maker
    elif callable(rules):
        yield "", rules


def def_linear(fun: Callable) -> None:
    """Declare that ``fun`` is linear in each of its arguments: forward mode applies it to tangents.

    >>> from autograd_jit import make_jvp
    >>> from autograd_jit.extend import def_linear, primitive
    >>> product = primitive(lambda x, y: x * y)
    >>> def_linear(product)
    >>> make_jvp(product)(2.0, 3.0)(1.0)
    (6.0, np.float64(3.0))
    """
    _rules_of(fun).jvps = "same"
