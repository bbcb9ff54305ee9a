"""Numerical derivatives to test rules against: both modes, both orders, one call.

A function's result is paired with fixed random weights, ``F = Re(sum(c * f(args)))``, and differentiated along one
random direction by a five-point stencil. With step ``h = 1e-3`` its truncation error is about ``h**4 = 1e-12`` and
its rounding error ``eps / h = 1e-13`` times the size of ``F``, so that 1e-7 is a sharp yet safe tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_jit.trace import tree
from autograd_jit.trace.cotangent import abstract
from autograd_jit.trace.forward import jvp_leaves
from autograd_jit.trace.reverse import make_vjp_leaves

STEP = 1e-3


def weights_like(value: Any, seed: int) -> Any:
    """A random array of a value's shape and real or complex kind, in double precision."""
    shape, dtype = abstract(value)
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=shape)
    return weights + 1j * rng.normal(size=shape) if dtype.kind == "c" else weights


def _inexact(value: Any) -> bool:
    shape, dtype = abstract(value)
    return shape is not None and dtype.kind in "fc"


def output_leaves(value: Any) -> list:
    """The arrays with floats among a function's results."""
    return [leaf for leaf in tree.flatten(value)[0] if _inexact(leaf)]


def pairing(weights: list, leaves: list) -> float:
    return float(sum(np.sum(np.real(c * leaf)) for c, leaf in zip(weights, leaves, strict=True)))


def _weights_of(f: Callable, args: tuple) -> list:
    return [weights_like(leaf, 100 + i) for i, leaf in enumerate(output_leaves(f(*args)))]


def numerical(f: Callable, args: tuple, direction: list, step: float = STEP) -> float:
    """The derivative of the weighted result along ``direction``."""
    weights = _weights_of(f, args)

    def at(scale: float) -> float:
        moved = [arg + scale * step * d for arg, d in zip(args, direction, strict=True)]
        return pairing(weights, output_leaves(f(*moved)))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def gradient(f: Callable) -> Callable:
    """``args -> cotangents`` of the weighted result, in reverse mode; itself traceable."""

    def cotangents(*args: Any) -> tuple:
        pull, leaves, _ = make_vjp_leaves(lambda boxes: f(*boxes), list(args))
        seeds, i = [], 0
        for leaf in leaves:
            if _inexact(leaf):
                seed = weights_like(leaf, 100 + i)
                seeds.append(seed.astype(abstract(leaf)[1])[()])
                i += 1
            else:
                seeds.append(None)
        return tuple(np.zeros(*abstract(x)) if g is None else g for x, g in zip(args, pull(seeds), strict=True))

    return cotangents


def forward_rate(f: Callable, args: tuple, direction: list) -> float:
    """The derivative of the weighted result along ``direction``, in forward mode."""
    tangents = [np.asarray(d).astype(abstract(x)[1])[()] for x, d in zip(args, direction, strict=True)]
    leaves, out, _ = jvp_leaves(lambda boxes: f(*boxes), list(args), tangents)
    pairs = [(leaf, t) for leaf, t in zip(leaves, out, strict=True) if _inexact(leaf)]
    weights = [weights_like(leaf, 100 + i) for i, (leaf, _) in enumerate(pairs)]
    return pairing(weights, [0.0 if t is None else t for _, t in pairs])


def check(f: Callable, *args: Any, order: int = 2, tol: float = 1e-7, step: float = STEP, seed: int = 0) -> None:
    """Assert that reverse and forward mode of ``f`` at ``args`` agree with numerical derivatives, up to ``order``."""
    args = tuple(np.asarray(a)[()] if not isinstance(a, (float, complex)) else a for a in args)
    direction = [weights_like(a, 7 + seed + i) for i, a in enumerate(args)]
    expected = numerical(f, args, direction, step)
    scale = 1 + abs(expected)
    reverse = gradient(f)(*args)
    for x, g in zip(args, reverse, strict=True):
        assert abstract(g) == abstract(x), f"cotangent {abstract(g)} of an operand {abstract(x)}"
    got = pairing(direction, list(reverse))
    assert abs(got - expected) <= tol * scale, f"reverse {got!r}, numerical {expected!r}"
    got = forward_rate(f, args, direction)
    assert abs(got - expected) <= tol * scale, f"forward {got!r}, numerical {expected!r}"
    if order > 1:
        check(gradient(f), *args, order=order - 1, tol=10 * tol, step=step, seed=seed + 1)


def scalar_gradient(f: Callable, *args: Any) -> Any:
    """The gradient of a real-valued ``f`` in its first argument."""
    pull, _, _ = make_vjp_leaves(lambda boxes: f(boxes[0], *args[1:]), [args[0]])
    return pull([np.ones((), abstract(f(*args))[1])[()]])[0]
