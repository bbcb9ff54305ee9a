"""Primitives called with containers of traced values, such as a list of arrays.

The leaves become the arguments of a derived primitive whose rules take the container's rules apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import tree
from .cotangent import CotangentShapeError
from .tracer import Primitive, _apply, _make_wrapper

__all__ = ["apply_to_leaves"]


def apply_to_leaves(prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """Apply ``prim`` to arguments of which some are containers that hold boxes."""
    leaves, structures = [], []
    for arg in args:
        arg_leaves, structure = tree.flatten(arg)
        structures.append((structure, len(arg_leaves)))
        leaves.extend(arg_leaves)

    def rebuild(flat: Any) -> list:
        values, start = [], 0
        for structure, count in structures:
            values.append(tree.unflatten(structure, list(flat[start : start + count])))
            start += count
        return values

    def position_of(leaf_number: int) -> tuple[int, int]:
        for argnum, (_, count) in enumerate(structures):
            if leaf_number < count:
                return argnum, leaf_number
            leaf_number -= count
        raise IndexError(leaf_number)

    flat_prim = Primitive(lambda *flat, **kw: prim.fun(*rebuild(flat), **kw), prim.name, prim.differentiable)
    flat_prim.wrapped = _make_wrapper(flat_prim)
    flat_prim.vjp_all = _leaf_pulls(prim, rebuild, position_of)
    flat_prim.jvps = _LeafTangents(prim, rebuild, position_of)
    return _apply(flat_prim, tuple(leaves), kwargs)


def _leaf_pulls(prim: Primitive, rebuild: Callable, position_of: Callable) -> Callable:
    from .reverse import _vjp_rule

    def vjp_all(numbers: tuple, ans: Any, flat: tuple, kwargs: dict) -> Callable:
        places = [position_of(number) for number in numbers]
        args = rebuild(flat)
        argnums = tuple(sorted({argnum for argnum, _ in places}))
        if prim.vjp_all is not None:
            pull_all = prim.vjp_all(argnums, ans, tuple(args), kwargs)
        else:
            pulls = [_vjp_rule(prim, argnum)(ans, *args, **kwargs) for argnum in argnums]

            def pull_all(g: Any) -> tuple:
                return tuple(pull(g) for pull in pulls)

        def pull(g: Any) -> list:
            cotangents = {
                argnum: _leaves_of(cotangent, args[argnum], prim)
                for argnum, cotangent in zip(argnums, pull_all(g), strict=True)
            }
            return [cotangents[argnum][leaf] for argnum, leaf in places]

        return pull

    return vjp_all


def _leaves_of(cotangent: Any, argument: Any, prim: Primitive) -> list:
    """The cotangent of a container as that of its leaves; None is zero everywhere."""
    count = len(tree.flatten(argument)[0])
    if cotangent is None:
        return [None] * count
    leaves = tree.flatten(cotangent)[0]
    if len(leaves) != count:
        raise CotangentShapeError(
            f"the derivative rule of {prim.name} returned a cotangent with {len(leaves)} leaves for a "
            f"{type(argument).__name__} with {count}"
        )
    return leaves


class _LeafTangents:
    """``jvps`` of the derived primitive: a tangent in one leaf, zeros in the container's others."""

    def __init__(self, prim: Primitive, rebuild: Callable, position_of: Callable) -> None:
        self.prim, self.rebuild, self.position_of = prim, rebuild, position_of

    def __getitem__(self, number: int) -> Callable:
        from .forward import _jvp
        from .vspace import is_differentiable, vspace

        argnum, _ = self.position_of(number)

        def rule(g: Any, ans: Any, *flat: Any, **kwargs: Any) -> Any:
            tangents = [vspace(leaf).zeros() if is_differentiable(leaf) else leaf for leaf in flat]
            tangents[number] = g
            tangent = self.rebuild(tangents)[argnum]
            return _jvp(self.prim, argnum, tangent, ans, self.rebuild(flat), kwargs)

        return rule
