"""Indexing: slices are views, integer arrays are gathers; the adjoint adds into regions or scatters.

An index array adds ``sum(position * stride)`` to the address of an element. Positions are checked by a guard of
their own (so that an index out of range raises the interpreted error), wrapped, and clamped, so that no kernel
ever leaves its buffer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...numpy import indexing
from ...trace.tape import Guard, Op, Var
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand, View
from .table import BOOL, as_operand, require_native, result_type, rule_for, viewed_by, with_shape

_INT = np.dtype(np.int64)


_TRACED = frozenset([View, Literal, Var])


class _Indexed(NamedTuple):
    """``base[view][position]``: a view of the result's shape, plus positions in elements (None: a plain view)."""

    view: View
    position: Operand | None


def _is_integer(part: Any) -> bool:
    return isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_))


def _is_basic(part: Any) -> bool:
    kind = type(part)
    if kind is int:
        return True
    if kind is slice:
        start, stop, step = type(part.start), type(part.stop), type(part.step)
        return start not in _TRACED and stop not in _TRACED and step not in _TRACED
    return part is None or part is Ellipsis or _is_integer(part)


def resolve(b: Builder, op: Op, view: View, index: Any, recorded: tuple[int, ...]) -> _Indexed:
    """What NumPy's ``view[index]`` selects; ``recorded``: the shape of that, which a mask or traced bounds decide.

    Raises NoLowering for masks among other indices, and rare kinds of index."""
    parts = list(index) if type(index) is tuple else [index]  # views are named tuples
    if len(parts) == 1 and isinstance(parts[0], View) and parts[0].dtype == BOOL:
        return _masked(b, op, view, parts[0], recorded[0] if recorded else 0)
    if all([_is_basic(part) for part in parts]):
        return _Indexed(_basic(view, parts), None)
    parts = _expand_ellipsis(parts, len(view.shape))
    if any(isinstance(part, slice) and not _is_basic(part) for part in parts):
        return _moving(b, op, view, parts, recorded)
    arrays = [position for position, part in enumerate(parts) if part is not None and not isinstance(part, slice)]
    adjacent = arrays == list(range(arrays[0], arrays[-1] + 1))
    operands = [_index_operand(parts[position]) for position in arrays]
    kept = [slice(None) if position in arrays else part for position, part in enumerate(parts)]
    sliced = _basic(view, kept)  # axes of the view: one for each part, index arrays in place
    return _combine(b, op, sliced, arrays, operands, adjacent)


def _basic(view: View, parts: list) -> View:
    whole = tuple([_Slice(p.start, p.stop, p.step) if type(p) is slice else p for p in parts])
    return viewed_by(view, _taken, whole if Ellipsis in whole else (*whole, Ellipsis))


class _Slice(NamedTuple):
    """A slice, hashable."""

    start: Any
    stop: Any
    step: Any


def _taken(base: np.ndarray, parts: tuple) -> np.ndarray:
    return base[tuple([slice(*part) if type(part) is _Slice else part for part in parts])]


def _expand_ellipsis(parts: list, ndim: int) -> list:
    used = sum(part is not None and part is not Ellipsis for part in parts)
    if used > ndim:
        raise NoLowering("too many indices")
    fill = [slice(None)] * (ndim - used)
    places = [position for position, part in enumerate(parts) if part is Ellipsis]
    if not places:
        return parts + fill
    return parts[: places[0]] + fill + parts[places[0] + 1 :]


def _index_operand(part: Any) -> Operand:
    """An index array as an operand of integers."""
    if type(part) in (list, tuple):
        part = np.asarray(part) if all(_is_integer(item) for item in part) else part
    if isinstance(part, np.ndarray):
        raise NoLowering("an index array inside a container")
    operand = as_operand(part)
    if operand.dtype.kind != "i":
        raise NoLowering(f"indexing by {operand.dtype.name}")
    require_native(operand.dtype)
    return operand


def _combine(b: Builder, op: Op, view: View, axes: list[int], operands: list[Operand], adjacent: bool) -> _Indexed:
    """Replace the indexed ``axes`` of ``view`` by the broadcast shape of the index arrays, where NumPy puts it."""
    shape = np.broadcast_shapes(*[operand.shape for operand in operands])
    position: Operand | None = None
    for axis, operand in zip(axes, operands, strict=True):
        term = _element_offsets(b, op, operand, view.shape[axis], view.strides[axis])
        position = term if position is None else b.map("add", (position, term), _INT, _broadcast(position, term))
    others = [axis for axis in range(len(view.shape)) if axis not in axes]
    place = axes[0] if adjacent else 0
    before, after = others[:place], others[place:]
    if not adjacent:
        before, after = [], others
    out_shape = (*[view.shape[a] for a in before], *shape, *[view.shape[a] for a in after])
    strides = (*[view.strides[a] for a in before], *[0] * len(shape), *[view.strides[a] for a in after])
    assert position is not None
    return _Indexed(
        View(view.value, out_shape, strides, view.offset), _spread(b, position, shape, len(after), out_shape)
    )


def _broadcast(x: Operand, y: Operand) -> tuple[int, ...]:
    return np.broadcast_shapes(x.shape, y.shape)


def _spread(b: Builder, position: Operand, shape: tuple, trailing: int, out_shape: tuple) -> Operand:
    """Positions of the index arrays' shape, repeated along the axes that follow (and those before)."""
    view = b.view(position).broadcast(shape)
    padded = View(view.value, (*shape, *[1] * trailing), (*view.strides, *[0] * trailing), view.offset)
    return padded.broadcast(out_shape)


def _element_offsets(b: Builder, op: Op, index: Operand, size: int, stride: int) -> Operand:
    """``stride * index`` in elements, for an index that is checked, wrapped and clamped."""
    if size == 0:
        raise NoLowering("indexing an empty axis by an array")
    if isinstance(index, View) and index.value in b.graph.constants and index.is_dense:
        return _constant_offsets(b, b.graph.constants[index.value].reshape(index.shape), size, stride)
    if isinstance(index, View) and are_places(b, index, size):
        return b.map("multiply", (index, Literal(stride, _INT)), _INT, index.shape)
    index, shape = b.cast(index, _INT), index.shape
    bounds = [
        b.map("greater_equal", (index, Literal(-size, _INT)), np.dtype(bool), shape),
        b.map("less", (index, Literal(size, _INT)), np.dtype(bool), shape),
    ]
    inside = b.map("and", tuple(bounds), np.dtype(bool), shape)
    if shape:
        inside = b.reduce("all", inside, tuple(range(len(shape))))
    b.check(inside, True, Guard(op.outputs[0], "truth", True, f"index in range, {op.line}"))
    negative = b.map("less", (index, Literal(0, _INT)), np.dtype(bool), shape)
    wrapped = b.map("where", (negative, b.map("add", (index, Literal(size, _INT)), _INT, shape), index), _INT, shape)
    clamped = b.map(
        "minimum", (b.map("maximum", (wrapped, Literal(0, _INT)), _INT, shape), Literal(size - 1, _INT)), _INT, shape
    )
    return b.map("multiply", (clamped, Literal(stride, _INT)), _INT, shape)


def _moving(b: Builder, op: Op, view: View, parts: list, recorded: tuple[int, ...]) -> _Indexed:
    """A slice with traced bounds: as many elements as were recorded (a guard), from where the bounds say."""
    traced = [place for place, part in enumerate(parts) if not _is_basic(part)]
    if len(traced) != 1 or parts[traced[0]].step not in (None, 1):
        raise NoLowering("traced bounds of a slice among other traced indices, or with a step")
    part = parts[traced[0]]
    kept = _basic(view, [slice(None) if place == traced[0] else p for place, p in enumerate(parts)])
    axis = sum(not _is_integer(p) for p in parts[: traced[0]])
    if len(recorded) != len(kept.shape):
        raise NoLowering("a broadcast value for a slice with traced bounds")
    size, length = kept.shape[axis], recorded[axis]
    start = _bound(b, part.start, size, 0)
    stop = _bound(b, part.stop, size, size)
    found = b.map("maximum", (b.map("subtract", (stop, start), _INT, ()), Literal(0, _INT)), _INT, ())
    guard = Guard(op.outputs[0], "int", length, f"length of a slice, {op.line}")
    b.check(found, length, guard, -2 - op.outputs[0].number)  # a number of its own, for lengths to tell paths apart
    start = b.map("minimum", (start, Literal(size - length, _INT)), _INT, ())  # in memory, whatever the check says
    position = b.map("multiply", (start, Literal(kept.strides[axis], _INT)), _INT, ())
    shape = (*kept.shape[:axis], length, *kept.shape[axis + 1 :])
    selected = View(kept.value, shape, kept.strides, kept.offset)
    return _Indexed(selected, _spread(b, position, (), len(shape), shape))


def _bound(b: Builder, bound: Any, size: int, default: int) -> Operand:
    """A bound of a slice as a place from 0 to ``size``: negative ones count from the end."""
    if bound is None:
        return Literal(default, _INT)
    index = _index_operand(bound)
    if index.shape != ():
        raise NoLowering("an array as a bound of a slice")
    index = b.cast(index, _INT)
    negative = b.map("less", (index, Literal(0, _INT)), np.dtype(bool), ())
    wrapped = b.map("where", (negative, b.map("add", (index, Literal(size, _INT)), _INT, ()), index), _INT, ())
    return b.map("minimum", (b.map("maximum", (wrapped, Literal(0, _INT)), _INT, ()), Literal(size, _INT)), _INT, ())


def _masked(b: Builder, op: Op, view: View, mask: View, count: int) -> _Indexed:
    """``view[mask]``: the places where the mask holds, as many as were recorded (a guard)."""
    axes = len(mask.shape)
    if axes == 0 or count == 0 or view.shape[:axes] != mask.shape:
        raise NoLowering("a mask of an unusual kind")
    try:
        merged = with_shape(view, (mask.size, *view.shape[axes:]))
    except ValueError:
        raise NoLowering("a mask over memory in parts") from None
    flat = with_shape(b.dense(mask), (1, mask.size, 1))
    total = b.reduce("sum", b.cast(with_shape(flat, (mask.size,)), _INT), (0,))
    guard = Guard(op.outputs[0], "int", count, f"elements in the mask, {op.line}")
    b.check(total, count, guard, -2 - op.outputs[0].number)  # a number of its own, for counts to tell paths apart
    (places,) = b.call("flatnonzero", (flat,), (((count,), _INT),), (1, mask.size, count), work=mask.size)
    rest = merged.shape[1:]
    strides = Literal(np.int64(merged.strides[0]), _INT)
    position = b.map("multiply", (places.view(), strides), _INT, (count,))
    selected = View(merged.value, (count, *rest), (0, *merged.strides[1:]), merged.offset)
    return _Indexed(selected, _spread(b, position, (count,), len(rest), selected.shape))


def are_places(b: Builder, index: View, size: int) -> bool:
    """Whether an index is what a routine found within ``size`` elements, and so needs no check."""
    call = b.made_by.get(index.value)
    if call is None:
        return False
    if call.routine == "groups":  # its results: elements, groups, and two that are no places
        bounds = dict(zip(call.results, call.numbers[1:3]))
        return index.value in bounds and bounds[index.value] <= size
    return call.routine.startswith("arg") and call.numbers[1] <= size


def _constant_offsets(b: Builder, index: np.ndarray, size: int, stride: int) -> Operand:
    if index.size and not (-size <= index.min() and index.max() < size):
        raise NoLowering("an index out of range")
    return b.constant(np.where(index < 0, index + size, index).astype(np.int64) * stride)


# ---------------------------------------------------------------- rules


def _is_mask(index: Any) -> bool:
    return isinstance(index, View) and index.dtype == BOOL


def _getitem(b: Builder, op: Op, x: Any, index: Any) -> Operand:
    view = x if type(x) is View else b.view(as_operand(x))
    if type(index) is int:
        return _basic(view, [index])
    shape = result_type(op).shape
    if _is_mask(index):
        require_native(view.dtype)
        view = b.dense(view)
    selected = resolve(b, op, view, index, shape)
    if selected.position is None:
        return selected.view
    require_native(view.dtype)
    return b.map("gather", (selected.view, selected.position), view.dtype, selected.view.shape)


def _scatter_sum(b: Builder, op: Op, indices: tuple, zeros: Any, base: Any, *values: Any) -> Operand:
    type_ = result_type(op)
    if type_.dtype.kind != "f":
        raise NoLowering(f"scattering of dtype {type_.dtype.name}")
    operands = [as_operand(v) for v in values]
    require_native(type_.dtype, *[o.dtype for o in operands])
    zero = Literal(type_.dtype.type(0), type_.dtype)
    source = zero if base is None else b.cast(as_operand(base), type_.dtype)
    # Regions are resolved against a stand-in first: an index without lowering must leave no half-made buffer behind.
    stand_in = b.new_value(type_.shape, type_.dtype).view()
    values_by_index = zip(indices, operands, strict=True)
    regions = [resolve(b, op, stand_in, index, operand.shape) for index, operand in values_by_index]
    for region, operand in zip(regions, operands, strict=True):
        if operand.shape != region.view.shape:
            np.broadcast_to(np.empty(operand.shape, bool), region.view.shape)
    whole = b.assemble(type_.shape, type_.dtype, source)
    for region, operand in _gathered_by_region(b, regions, [b.cast(o, type_.dtype) for o in operands]):
        _, region_shape, strides, offset, _ = region.view
        b.piece(View(whole, region_shape, strides, offset), operand, add=True, position=region.position)
    return whole.view()


def _gathered_by_region(b: Builder, regions: list[_Indexed], operands: list[Operand]) -> list[tuple[_Indexed, Operand]]:
    """Contributions to one region are added up before they are stored: a parameter read in each step of a loop."""
    if len(regions) == 1:
        return [(regions[0], operands[0])]
    sums: dict[_Indexed, Operand] = {}
    for region, operand in zip(regions, operands, strict=True):
        known = sums.get(region)
        shape = region.view.shape
        sums[region] = operand if known is None else b.map("add", (known, operand), region.view.dtype, shape)
    return list(sums.items())


rule_for(indexing.getitem, _getitem)
rule_for(indexing.scatter_sum, _scatter_sum)
