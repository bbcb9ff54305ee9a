"""Forward mode: each value carries its tangent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import MissingRuleError
from . import tree
from .cotangent import abstract, fit_tangent
from .tracer import BOX_TYPES, Node, Primitive, new_box, new_level
from .vspace import is_differentiable, vspace

__all__ = ["JVPNode", "jvp_leaves"]


class JVPNode(Node):
    """The tangent of one value."""

    __slots__ = ("g",)

    def __init__(self, g: Any) -> None:
        self.g = g

    @classmethod
    def new_root(cls, g: Any) -> JVPNode:
        """The node of an input with tangent ``g``."""
        return cls(g)

    @staticmethod
    def apply(prim: Primitive, level: int, values: list, kwargs: dict, boxed: list) -> Any:
        ans = prim.wrapped(*values, **kwargs)
        shape, dtype = abstract(ans)
        if shape is not None and dtype.kind not in "fc":
            return ans
        tangent = None
        if callable(prim.jvps):
            tangents = [node.g for _, node in boxed]
            t = prim.jvps(tuple([argnum for argnum, _ in boxed]), tangents, ans, tuple(values), kwargs)
            tangent = t if t is None or shape is None else fit_tangent(t, shape, dtype, prim.name)
            boxed = []
        for argnum, node in boxed:
            t = _jvp(prim, argnum, node.g, ans, values, kwargs)
            if t is None:
                continue
            if shape is not None:
                t = fit_tangent(t, shape, dtype, prim.name)
            tangent = t if tangent is None else vspace(ans).add(tangent, t)
        if tangent is None:
            return ans
        if shape is None and tree.is_container(ans):
            return _box_leaves(ans, tangent, level)
        return new_box(ans, level, JVPNode(tangent))


def _jvp(prim: Primitive, argnum: int, g: Any, ans: Any, values: list, kwargs: dict) -> Any:
    """The tangent of the result that comes of argument ``argnum``."""
    rules = prim.jvps
    if callable(rules):
        return rules((argnum,), [g], ans, tuple(values), kwargs)
    if rules == "same":
        return prim.wrapped(*values[:argnum], g, *values[argnum + 1 :], **kwargs)
    try:
        rule = rules[argnum]
    except (KeyError, TypeError, IndexError):
        raise MissingRuleError(
            f"JVP of {prim.name} with respect to argument number {argnum} is not defined. "
            f"Use defjvp({prim.name}, ...) to define it, or use reverse mode."
        ) from None
    if rule is None:
        return None
    if rule == "same":
        return prim.wrapped(*values[:argnum], g, *values[argnum + 1 :], **kwargs)
    return rule(g, ans, *values, **kwargs)


def _box_leaves(ans: Any, tangent: Any, level: int) -> Any:
    leaves, structure = tree.flatten(ans)
    tangents = tree.flatten(tangent)[0]
    boxed = [
        new_box(leaf, level, JVPNode(_fitted(t, leaf))) if is_differentiable(leaf) and t is not None else leaf
        for leaf, t in zip(leaves, tangents, strict=True)
    ]
    return tree.unflatten(structure, boxed)


def _fitted(tangent: Any, leaf: Any) -> Any:
    shape, dtype = abstract(leaf)
    return tangent if shape is None else fit_tangent(tangent, shape, dtype)


def jvp_leaves(fun: Callable, leaves: list, tangents: list) -> tuple[list, list, Any]:
    """Run ``fun`` on leaf values with tangents; ``(output leaves, their tangents or None, structure)``."""
    level = new_level()
    boxes = [
        leaf if tangent is None else new_box(leaf, level, JVPNode(tangent))
        for leaf, tangent in zip(leaves, tangents, strict=True)
    ]
    out_leaves, structure = tree.flatten(fun(boxes))
    out_tangents: list = []
    for position, leaf in enumerate(out_leaves):
        if type(leaf) in BOX_TYPES and leaf._trace == level:
            out_tangents.append(leaf._node.g)
            out_leaves[position] = leaf._value
        else:
            out_tangents.append(None)
    return out_leaves, out_tangents, structure
