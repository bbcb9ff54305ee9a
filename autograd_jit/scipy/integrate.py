"""``odeint`` and ``solve_ivp``, with derivatives in the initial state, the times and the arguments.

Reverse mode integrates the adjoint equation backwards, from one output time to the one before (L. Pontryagin; R. Chen
et al., "Neural ordinary differential equations", 2018, algorithm 2); forward mode integrates the variational equation
along with the state. Both use the same solver and tolerances as the forward pass, so that derivatives are as
precise as the solution is. Traced values reach the dynamics only through ``args``, not through a closure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np
import scipy.integrate as _si

from ..errors import ArgumentError
from ..numpy.arguments import is_traced, shape_of
from ..numpy.elementwise import real
from ..numpy.joining import concatenate, stack
from ..numpy.products import matmul
from ..numpy.shaping import astype, ravel, reshape
from ..numpy.solving import inexact
from ..trace import tree
from ..trace.cotangent import abstract
from ..trace.forward import jvp_leaves
from ..trace.reverse import make_vjp_leaves
from ..trace.rules import general
from ..trace.step_functions import compiled
from ..trace.tracer import getval


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_si, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.integrate' (like scipy.integrate) has no attribute {name!r}"
        ) from None


class Flow:
    """How to integrate: a solver ``(func, y0, times, args) -> states`` for dynamics ``func(y, t, *args)``."""

    def __init__(self, solver: Callable) -> None:
        self.solver = solver


# ---------------------------------------------------------------- the primitive: (flow, func, y0, times, *leaves)


def _raw_states(flow: Flow, func: Callable, y0: Any, times: Any, *args: Any) -> Any:
    return flow.solver(func, y0, times, args)


def _replayed_states(flow: Flow, func: Callable, y0: Any, times: Any, *args: Any) -> Any:
    """In a compiled program: SciPy's solver steers, the dynamics are compiled, too."""
    return flow.solver(compiled(func), y0, times, args)


def _pull_step(func: Callable, y: Any, t: Any, args: tuple, g: Any) -> list:
    """The cotangents of ``y``, ``t`` and ``args`` from that of ``func(y, t, *args)``; zeros where there is none."""
    leaves = [y, t, *args]
    pull = make_vjp_leaves(lambda boxes: func(boxes[0], boxes[1], *boxes[2:]), [_floating(leaf) for leaf in leaves])[0]
    pulled = pull([g])
    return [_np.zeros(shape_of(leaf)) if c is None else c for leaf, c in zip(leaves, pulled, strict=True)]


def _floating(leaf: Any) -> Any:
    return leaf if abstract(leaf)[1].kind in "fc" else astype(_np.asarray(leaf), float)


def _adjoint(flow: Flow, func: Callable, states: Any, times: Any, args: tuple, g: Any) -> tuple:
    """``(cotangent of y0, of times, [of args])``."""
    size = shape_of(states)[1]
    shapes = [shape_of(arg) for arg in args]
    sizes = [int(_np.prod(shape)) for shape in shapes]

    def backwards(packed: Any, minus_t: Any, *values: Any) -> Any:
        """State, its adjoint, and the running integrals of the arguments' cotangents, in reversed time."""
        y, adjoint = packed[:size], packed[size : 2 * size]
        time = -minus_t
        pulled = _pull_step(func, y, time, values, adjoint)
        rate = inexact(func(y, time, *values))
        parts = [-rate, pulled[0]] + [ravel(inexact(c)) for c in pulled[2:]]
        return concatenate(parts, 0)

    adjoint = g[-1]
    integrals = _np.zeros(sum(sizes))
    for_times: list = []
    for step in range(shape_of(times)[0] - 1, 0, -1):
        rate = inexact(func(states[step], times[step], *args))
        for_times.insert(0, matmul(g[step], rate))
        packed = concatenate([states[step], adjoint, integrals], 0)
        span = stack([-times[step], -times[step - 1]])
        packed = solve_flow(flow, backwards, packed, span, *args)[1]
        adjoint = packed[size : 2 * size] + g[step - 1]
        integrals = packed[2 * size :]
    start = adjoint - g[0]
    for_start = -matmul(start, inexact(func(states[0], times[0], *args)))
    pieces, first = [], 0
    for length, shape in zip(sizes, shapes, strict=True):
        pieces.append(reshape(integrals[first : first + length], shape))
        first += length
    return adjoint, stack([for_start, *for_times]), pieces


def _states_vjp(argnums: tuple, ans: Any, values: tuple, kwargs: dict) -> Callable:
    flow, func, _, times, *args = values

    def pull(g: Any) -> tuple:
        for_state, for_times, for_args = _adjoint(flow, func, ans, inexact(times) * 1.0, tuple(args), g)
        found = [None, None, for_state, for_times, *for_args]
        return tuple(found[argnum] for argnum in argnums)

    return pull


class _StatesJvp:
    """Forward mode: the variational equation ``s' = (df/dy) s + df/dargs . tangent``, integrated with the state."""

    def __getitem__(self, argnum: int) -> Callable:
        def rule(tangent: Any, ans: Any, flow: Flow, func: Callable, y0: Any, times: Any, *args: Any) -> Any:
            if argnum == 2:
                return _variation(flow, func, y0, times, args, tangent)
            if argnum == 3:
                return _variation_of_times(flow, func, y0, times, args, ans, tangent)
            return _variation(flow, func, y0, times, args, _np.zeros(shape_of(y0)), argnum - 3, tangent)

        return rule


def _variation(
    flow: Flow, func: Callable, y0: Any, times: Any, args: tuple, start: Any, moved: int = 0, push: Any = 0.0
) -> Any:
    """The tangents of the states from that of the first, or (``moved`` counts from 1) from that of an argument."""
    size = shape_of(y0)[0]

    def joint(packed: Any, t: Any, push: Any, *values: Any) -> Any:
        leaves = [packed[:size], *[_floating(v) for v in values]]
        tangents: list = [packed[size:], *[None] * len(values)]
        if moved:
            tangents[moved] = push
        out, rates, _ = jvp_leaves(lambda boxes: inexact(func(boxes[0], t, *boxes[1:])), leaves, tangents)
        rate = _np.zeros(size) if rates[0] is None else rates[0]
        return concatenate([inexact(out[0]), rate], 0)

    packed = concatenate([inexact(y0) * 1.0, start], 0)
    return solve_flow(flow, joint, packed, times, push, *args)[:, size:]


def _variation_of_times(flow: Flow, func: Callable, y0: Any, times: Any, args: tuple, states: Any, tangent: Any) -> Any:
    """Each state moves at its own rate with its time; a later start sets all of them back."""
    rates = stack([inexact(func(states[i], times[i], *args)) * tangent[i] for i in range(shape_of(times)[0])])
    return rates + _variation(flow, func, y0, times, args, -rates[0])


solve_flow = general(_raw_states, _states_vjp, _StatesJvp(), name="odeint", complex=False)
solve_flow.primitive.replayed = _replayed_states  # type: ignore[attr-defined]


def _traced_states(flow: Flow, func: Callable, y0: Any, times: Any, args: tuple) -> Any:
    """The states at ``times``; the leaves of ``args`` become arguments of the primitive."""
    leaves, structure = tree.flatten(tuple(args))
    numeric = [i for i, leaf in enumerate(leaves) if abstract(leaf)[0] is not None and abstract(leaf)[1].kind in "fc"]

    fixed = [None if position in numeric else leaf for position, leaf in enumerate(leaves)]

    def flat(y: Any, t: Any, *values: Any) -> Any:
        filled = list(fixed)
        for position, value in zip(numeric, values, strict=True):
            filled[position] = value
        return inexact(func(y, t, *tree.unflatten(structure, filled)))

    y0 = inexact(y0) * 1.0
    times = inexact(times) * 1.0
    if abstract(y0)[1].kind == "c":
        raise ArgumentError("odeint, solve_ivp: complex states are not supported for traced values; split them")
    return solve_flow(flow, flat, y0, real(times), *[leaves[i] for i in numeric])


# ---------------------------------------------------------------- public

_ODEINT_OPTIONS = ("rtol", "atol", "h0", "hmax", "hmin", "mxstep", "mxhnil", "mxordn", "mxords")


def odeint(func, y0, t, args=(), **kwargs):
    """As ``scipy.integrate.odeint``, differentiable in ``y0``, ``t`` and ``args`` (nested containers too).

    Traced, ``Dfun``, ``full_output``, ``tcrit``, ``ml``, ``mu`` and ``col_deriv`` are refused.
    """
    args = args if isinstance(args, tuple) else (args,)
    if not is_traced(y0, t) and not _any_traced(args):
        return _si.odeint(func, y0, t, args, **kwargs)
    first_time = bool(kwargs.pop("tfirst", False))
    for name, value in list(kwargs.items()):
        if name in ("Dfun", "full_output", "tcrit", "ml", "mu", "col_deriv") and not value:
            del kwargs[name]
        elif name not in (*_ODEINT_OPTIONS, "printmessg", "ixpr"):
            raise ArgumentError(f"odeint: {name}= is not supported for traced values")

    def solver(dynamics: Callable, state: Any, times: Any, values: tuple) -> Any:
        return _si.odeint(dynamics, state, times, tuple(values), **kwargs)

    ordered = (lambda y, time, *rest: func(time, y, *rest)) if first_time else func
    return _traced_states(Flow(solver), ordered, _as_vector(y0), t, args)


def _as_vector(y0: Any) -> Any:
    y0 = inexact(y0)
    return y0 if len(shape_of(y0)) else reshape(y0, (1,))


def _any_traced(args: Any) -> bool:
    return is_traced(*tree.flatten(args)[0])


def solve_ivp(
    fun,
    t_span,
    y0,
    method="RK45",
    t_eval=None,
    dense_output=False,
    events=None,
    vectorized=False,
    args=None,
    **options,
):
    """As ``scipy.integrate.solve_ivp``; ``y`` of the result is differentiable in ``y0``, ``args`` and times.

    Where ``t_eval`` is not given, the solver's steps are taken as fixed numbers. Traced, ``dense_output``, ``events``
    and ``vectorized`` are refused.
    """
    arguments = () if args is None else tuple(args)
    if not is_traced(y0, t_eval, *t_span) and not _any_traced(arguments):
        return _si.solve_ivp(fun, t_span, y0, method, t_eval, dense_output, events, vectorized, args, **options)
    for name, value in (("dense_output", dense_output), ("events", events), ("vectorized", vectorized)):
        if value:
            raise ArgumentError(f"solve_ivp: {name}= is not supported for traced values")

    def plain(dynamics: Callable, times: Any, state: Any, values: tuple, at: Any) -> Any:
        result = _si.solve_ivp(
            lambda t, y: dynamics(y, t, *values), (times[0], times[-1]), state, method, at, **options
        )
        if result.status < 0:
            raise RuntimeError(f"solve_ivp: {result.message}")
        return result

    def solver(dynamics: Callable, state: Any, times: Any, values: tuple) -> Any:
        return plain(dynamics, times, state, values, times).y.T

    def dynamics(y: Any, t: Any, *values: Any) -> Any:
        return fun(t, y, *values)

    leaves, structure = tree.flatten(arguments)
    values = tree.unflatten(structure, [getval(leaf) for leaf in leaves])
    span = [getval(t) for t in t_span]
    fixed = [getval(t) for t in t_eval] if t_eval is not None else None
    result = plain(dynamics, span, getval(inexact(y0)), values, fixed)
    times = inexact(t_eval) * 1.0 if t_eval is not None else result.t
    starts_inside = t_eval is not None and getval(times)[0] != span[0]
    times_from_start = concatenate([reshape(inexact(t_span[0]) * 1.0, (1,)), times], 0) if starts_inside else times
    if not starts_inside and is_traced(t_span[0]):
        times_from_start = concatenate([reshape(inexact(t_span[0]), (1,)), times[1:]], 0)
    if t_eval is None and is_traced(t_span[1]):
        times_from_start = concatenate([times_from_start[:-1], reshape(inexact(t_span[1]), (1,))], 0)
    states = _traced_states(Flow(solver), dynamics, y0, times_from_start, arguments)
    result.y = (states[1:] if starts_inside else states).T
    return result
