"""Results of a call that share memory with an argument, a captured array or another result.

``lambda x: x[1:]`` returns a view: who writes into it writes into ``x``. A replay must return a view, too, so it
makes such a result as the function did: by NumPy's own views of the arrays that it was given, or that it computed.

    tape of lambda x: (x * 2)[1:], with the product returned, too:
    v2 = multiply(x, 2); v3 = getitem(v2, slice(1, None))
    aliases: {1: Alias(roots=(v2,), ops=(getitem,), var=v3)}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..records import record
from . import tree
from .tape import Constant, Guard, Op, Var

__all__ = ["Alias", "evaluate", "find_aliases", "plain_argument", "share_memory"]

#: primitives that give views, where they can: each applied to an array again gives the same view of it
VIEWS = frozenset(
    """reshape ravel transpose getitem swapaxes moveaxis rollaxis squeeze expand_dims broadcast_to broadcast_arrays real
    imag diagonal diag atleast_1d atleast_2d atleast_3d flip flipud fliplr rot90 asarray asanyarray ascontiguousarray
    asfortranarray split array_split hsplit vsplit dsplit astype matrix_transpose permute_dims unstack array
    real_if_close""".split()
)
#: steps that NumPy may take to find out whether two arrays have an element in common
MOST_WORK = 10_000


@record(frozen=True, eq=False)
class Alias:
    """How a result is made of others: the value of ``var``, by ``ops`` from the values of ``roots``."""

    roots: tuple[Var, ...]
    ops: tuple[Op, ...]
    var: Var

    def value(self, values: dict[int, Any]) -> Any:
        """The result, given the values of the roots by their numbers; what is computed on the way is added to them.

        So results of one call that are views of an array which is not among them are views of the same one.
        """
        for op in self.ops:
            if op.outputs[0].number not in values:
                values.update(evaluate(op, values))
        return values[self.var.number]


def evaluate(op: Op, values: Mapping[int, Any]) -> dict[int, Any]:
    """The results of one operation, computed by its own function, by their numbers."""
    answer = op.prim.fun(*plain_argument(op.args, values), **plain_argument(op.kwargs, values))
    return dict(zip([var.number for var in op.outputs], tree.flatten(answer, opened=True)[0], strict=True))


def plain_argument(value: Any, values: Mapping[int, Any]) -> Any:
    """An argument of a tape's operation as its function takes it."""
    kind = type(value)
    if kind is Var:
        return values[value.number]
    if kind is Constant:
        return value.value
    if kind is tuple or kind is list:
        return kind([plain_argument(item, values) for item in value])
    if kind is slice:
        return slice(*[plain_argument(part, values) for part in (value.start, value.stop, value.step)])
    if kind is dict:
        return {key: plain_argument(item, values) for key, item in value.items()}
    return value


def find_aliases(
    results: Sequence[tuple[Var, Any] | None], inputs: Sequence[tuple[Var, Any]], ops: Sequence[Op | Guard]
) -> dict[int, Alias] | str:
    """The results, by position, that share memory with others or with inputs; or a reason why a replay cannot do so.

    ``results``: variable and value of each that is recorded. ``inputs``: of all inputs.
    """
    input_numbers = {var.number for var, _ in inputs}
    given = [value for _, value in inputs if isinstance(value, np.ndarray)]
    computed = [
        (position, *pair)
        for position, pair in enumerate(results)
        if pair and isinstance(pair[1], np.ndarray) and pair[0].number not in input_numbers
    ]
    others = {
        position: [other for other, _, beside in computed if other != position and _shares_any(value, [beside])]
        for position, _, value in computed
    }
    sharing = [entry for entry in computed if others[entry[0]] or _shares_any(entry[2], given)]
    if not sharing:
        return {}
    producers = {out.number: op for op in ops if isinstance(op, Op) for out in op.outputs}
    owners = _owners([*inputs, *[(var, value) for _, var, value in sharing]])
    found = {position: _alias(var, producers, input_numbers, owners) for position, var, _ in sharing}
    roots = {position: {root.number for root in alias.roots} for position, alias in found.items()}
    for position, var, value in sharing:
        is_lost = any(roots[position].isdisjoint(roots[other]) for other in others[position])
        if is_lost or (_shares_any(value, given) and roots[position].isdisjoint(input_numbers)):
            name = producers[(found[position].roots or (var,))[0].number].prim.name
            return f"it returns a view of an argument, of a captured array or of another result, made by {name}"
    firsts: dict[int, int] = {}  # a result that is computed, and not made of others, is so at its first position
    for position, var, _ in sharing:
        firsts.setdefault(var.number, position)
    return {
        position: found[position]
        for position, var, _ in sharing
        if found[position].ops or firsts[var.number] != position
    }


def _owners(values: Sequence[tuple[Var, Any]]) -> set[int]:
    """The variables of inputs and results that own their memory: others are views of them, and they need none."""
    first: dict[int, int] = {}
    for var, value in values:
        if isinstance(value, np.ndarray) and value.base is None:
            first[id(value)] = min(var.number, first.get(id(value), var.number))
    return set(first.values())


def share_memory(arrays: Sequence[Any]) -> bool:
    """Whether any two of the arrays have an element in common."""
    return any(_shares_any(array, arrays[:place]) for place, array in enumerate(arrays))


def _shares_any(value: Any, others: Sequence[Any]) -> bool:
    return any(np.may_share_memory(value, other) and _shares(value, other) for other in others)


def _shares(first: Any, second: Any) -> bool:
    try:
        return np.shares_memory(first, second, max_work=MOST_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _alias(var: Var, producers: dict[int, Op], input_numbers: set[int], owners: set[int]) -> Alias:
    """Back from ``var`` through operations that give views, to inputs and to arrays that were computed."""
    roots: dict[int, Var] = {}
    needed: dict[int, Op] = {}

    def visit(wanted: Var) -> None:
        op = producers.get(wanted.number)
        is_root = wanted.number in input_numbers or wanted.number in owners
        if is_root or op is None or op.prim.name not in VIEWS:
            roots[wanted.number] = wanted
        elif id(op) not in needed:
            for operand in op.operands():
                visit(operand)
            needed[id(op)] = op

    visit(var)
    return Alias(tuple(roots.values()), tuple(needed.values()), var)
