"""Equal elements put together: `unique` and `bincount`. How many there are is a guard, since shapes hang on it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...numpy import sorting, statistics
from ...trace.tape import Guard, Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand, View
from .indexing import are_places
from .sequences import by_numpy
from .table import BOOL, as_operand, require_native, rule_for, with_shape

_INT = np.dtype(np.int64)
_FLOAT = np.dtype(np.float64)
#: elements up to which sorting is no slower than NumPy's hash table, which it uses where only values are wanted
MOST_SORTED = 4_096


class _Groups(NamedTuple):
    """Groups of equal elements, in ascending order."""

    first: View  # the place of each one's first element in sorted order
    of_element: View  # every element's group
    size: View


def _guard_length(b: Builder, op: Op, found: Operand, length: int, what: str) -> None:
    """The program is for this length. The guard has a number of its own, for lengths to tell paths apart."""
    guard = Guard(op.outputs[0], "int", length, f"{what}, {op.line}")
    b.check(found, length, guard, -2 - op.outputs[0].number)


# ---------------------------------------------------------------- unique


def _grouped(b: Builder, op: Op, view: View, count: int, kind: str, equal_nan: bool, any_zero: bool) -> _Groups:
    """The groups of the elements of a view, of which there were ``count``; ``kind``: of the sort, as NumPy chooses it.

    ``any_zero``: no sort says which of a positive and a negative zero NumPy gives, so that both together fail a guard.
    """
    dense = b.dense(view)
    n = view.size
    order = with_shape(by_numpy(b, f"argsort {kind}", with_shape(dense, (1, n, 1)), (1, n)), (n,))
    flat = View(dense.value, (n - 1,), (0,), 0)
    places = [View(order.value, (n - 1,), order.strides, order.offset + start) for start in (0, 1)]
    before, after = [b.view(b.map("gather", (flat, at), view.dtype, (n - 1,))) for at in places]
    starts: Operand = b.map("not_equal", (after, before), BOOL, (n - 1,))
    if view.dtype.kind == "f" and equal_nan:
        known = b.map("not", (b.map("isnan", (before,), BOOL, (n - 1,)),), BOOL, (n - 1,))
        starts = b.map("and", (starts, known), BOOL, (n - 1,))
    if view.dtype.kind == "f" and any_zero:
        _guard_zeros(b, op, before, after)
    given = with_shape(order, (1, n, 1)), with_shape(b.dense(starts), (1, n - 1, 1))
    results = (((count,), _INT), ((n,), _INT), ((count,), _INT), ((), _INT))
    index, inverse, counts, found = b.call("groups", given, results, (1, n, count), work=4 * n)
    _guard_length(b, op, found.view(), count, "different elements")
    return _Groups(index.view(), inverse.view(), counts.view())


def _guard_zeros(b: Builder, op: Op, before: View, after: View) -> None:
    """Equal neighbours have the same bits: their reciprocals, of zeros, have the same sign."""
    shape, dtype = before.shape, before.dtype
    one = Literal(dtype.type(1), dtype)
    inverses = [b.map("divide", (one, each), dtype, shape) for each in (before, after)]
    pair = (b.map("not_equal", (before, after), BOOL, shape), b.map("equal", tuple(inverses), BOOL, shape))
    alike = b.reduce("all", b.map("or", pair, BOOL, shape), (0,))
    b.check(alike, True, Guard(op.outputs[0], "truth", True, f"zeros of one sign, {op.line}"))


def _require_line(x: Any, axis: Any) -> View:
    operand = as_operand(x)
    require_native(operand.dtype)
    if axis is not None or operand.dtype == BOOL or not isinstance(operand, View) or operand.size < 2:
        raise NoLowering("along an axis, of booleans, or of less than two elements")
    return operand


def _unique(
    b: Builder,
    op: Op,
    x: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    equal_nan: bool = True,
    sorted: bool = True,
) -> list[Operand]:
    view = _require_line(x, axis)
    (count,) = op.outputs[0].type.shape
    if not (return_index or return_inverse or return_counts) and view.size > MOST_SORTED:
        raise NoLowering("the values alone of many elements, for which NumPy has a hash table")
    kind = "stable" if return_index else "quick"
    found = _grouped(b, op, view, count, kind, equal_nan, any_zero=not (return_index or return_inverse))
    flat = View(b.dense(view).value, (count,), (0,), 0)
    values = b.map("gather", (flat, found.first), view.dtype, (count,))
    wanted = zip(found, (return_index, return_inverse, return_counts))
    results = [values, *[each for each, is_wanted in wanted if is_wanted]]
    return [with_shape(b.view(each), var.type.shape) for each, var in zip(results, op.outputs, strict=True)]


def _unique_places(b: Builder, op: Op, x: Any, axis: Any, equal_nan: bool, sorted: bool) -> list[Operand]:
    view = _require_line(x, axis)
    (count,) = op.outputs[0].type.shape
    found = _grouped(b, op, view, count, "stable", equal_nan, any_zero=False)
    return [with_shape(each, var.type.shape) for each, var in zip(found, op.outputs, strict=True)]


# ---------------------------------------------------------------- bincount


def _bincount(b: Builder, op: Op, weights: Any, x: Any, minlength: Any) -> Operand:
    type_ = op.outputs[0].type
    (length,) = type_.shape
    places = as_operand(x)
    require_native(places.dtype)
    if len(places.shape) != 1 or 0 in (*places.shape, length) or places.dtype.kind != "i":
        raise NoLowering("an unusual way to count")
    if not isinstance(minlength, (int, np.integer)):
        raise NoLowering("a traced minlength")
    shape = places.shape
    position = b.view(b.cast(places, _INT))
    if not are_places(b, position, int(minlength)):  # else there are as many counts as that, whatever is counted
        position = _checked(b, op, position, int(minlength), length)
    amounts: Operand = Literal(1.0, _FLOAT) if weights is None else as_operand(weights)
    require_native(amounts.dtype)
    whole = b.assemble((length,), _FLOAT, Literal(0.0, _FLOAT))
    b.piece(View(whole, shape, (0,), 0), b.cast(amounts, _FLOAT), add=True, position=position)
    return b.cast(whole.view(), type_.dtype)


def _checked(b: Builder, op: Op, position: View, minlength: int, length: int) -> View:
    """Places of as many counts as were recorded, none of them negative; in memory whatever the checks say."""
    most = b.map("add", (b.reduce("max", position, (0,)), Literal(1, _INT)), _INT, ())
    _guard_length(b, op, b.map("maximum", (most, Literal(minlength, _INT)), _INT, ()), length, "counts")
    negative = b.map("less", (b.reduce("min", position, (0,)), Literal(0, _INT)), BOOL, ())
    b.check(negative, False, Guard(op.outputs[0], "truth", False, f"nothing negative to count, {op.line}"))
    inside = b.map("maximum", (position, Literal(0, _INT)), _INT, position.shape)
    return b.view(b.map("minimum", (inside, Literal(length - 1, _INT)), _INT, position.shape))


rule_for(sorting.unique.valued, _unique)  # type: ignore[attr-defined]
rule_for(sorting._unique_places, _unique_places)
rule_for(statistics._bincount, _bincount)
