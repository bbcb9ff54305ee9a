"""Matrix products: loops of our own where they are small, BLAS where they are large."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...numpy import products
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand, View
from .table import (
    as_operand,
    require_native,
    result_type,
    rule_for,
    shadow,
    viewed,
    with_shape,
)

#: below this many multiplications a loop of our own beats the call of BLAS (about 150 ns and no fusion)
SMALL_PRODUCT = 4096
#: a product with a vector is bound by memory; our loops fuse with what is around them
SMALL_VECTOR_PRODUCT = 65536


def _matmul(b: Builder, op: Op, x: Any, y: Any) -> Operand:
    type_ = result_type(op)
    x, y = as_operand(x), as_operand(y)
    require_native(type_.dtype, x.dtype, y.dtype)
    if type_.dtype.kind != "f":
        raise NoLowering(f"matmul of dtype {type_.dtype.name}")
    x, y = b.view(b.cast(x, type_.dtype)), b.view(b.cast(y, type_.dtype))
    left = x if len(x.shape) > 1 else View(x.value, (1, *x.shape), (0, *x.strides), x.offset)
    right = y if len(y.shape) > 1 else View(y.value, (*y.shape, 1), (*y.strides, 0), y.offset)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = left.broadcast(batch + left.shape[-2:]), right.broadcast(batch + right.shape[-2:])
    return with_shape(product(b, left, right), type_.shape)


def product(b: Builder, left: View, right: View) -> View:
    """``left @ right`` of equal batch axes, by loops or by BLAS."""
    m, k, n = left.shape[-2], left.shape[-1], right.shape[-1]
    vector = m == 1 or n == 1
    if k == 1:
        return _outer(b, left, right)
    small = SMALL_VECTOR_PRODUCT if vector else SMALL_PRODUCT
    if m * k * n <= small or k == 0 or (vector and not b.calls_gemv):
        return _multiply_and_sum(b, left, right)
    if n == 1:
        return _matrix_vector(b, left, right)
    if m == 1:
        return swapped(_matrix_vector(b, swapped(right), swapped(left)))
    return _batched_gemm(b, left, right, left.shape[:-2])


def swapped(view: View) -> View:
    """The transpose of each matrix."""
    *shape, rows, columns = view.shape
    *strides, row, column = view.strides
    return view._replace(shape=(*shape, columns, rows), strides=(*strides, column, row))


def _matrix_vector(b: Builder, left: View, right: View) -> View:
    """``left @ right``, where the latter has one column."""
    batch = left.shape[:-2]
    count = math.prod(batch)
    matrix, vector = _blas_ready(b, left, batch, count), _blas_ready(b, right, batch, count)
    if vector.strides[1] < 1:
        vector = with_shape(b.dense(vector), vector.shape)
    _, m, k = matrix.shape
    results = (((count, m), left.dtype),)
    (y,) = b.call("matrix_vector", (matrix, vector), results, (count, m, k), work=count * m * k)
    return with_shape(y.view(), (*batch, m, 1))


def _outer(b: Builder, left: View, right: View) -> View:
    """A column times a row: nothing is summed. (A sum that starts from zero turns -0.0 into 0.0.)"""
    shape = (*left.shape[:-1], right.shape[-1])
    product = b.map("multiply", (left.broadcast(shape), right.broadcast(shape)), left.dtype, shape)
    zero = Literal(left.dtype.type(0), left.dtype)
    return b.view(b.map("add", (product, zero), left.dtype, shape))


def _multiply_and_sum(b: Builder, left: View, right: View) -> View:
    """A product as multiplications and a reduction, which fuse with their neighbours.

    The summed axis goes last where both operands are contiguous along it, else before the columns, so that the
    inner loop runs over contiguous memory.
    """
    *batch, m, k = left.shape
    n = right.shape[-1]
    lead = tuple(batch)
    k_inner = n == 1 or (left.strides[-1] == 1 and right.strides[-2] == 1)
    if k_inner and not (n == 1 and m > 1 and left.strides[-2] == 1):
        shape = (*lead, m, n, k)
        a = View(left.value, shape, (*left.strides[:-1], 0, left.strides[-1]), left.offset)
        c = View(right.value, shape, (*right.strides[:-2], 0, right.strides[-1], right.strides[-2]), right.offset)
        axis = len(shape) - 1
    elif n == 1:  # a transposed matrix times a vector: rows of its memory are added up
        shape = (*lead, k, m, 1)
        a = View(left.value, shape, (*left.strides[:-2], left.strides[-1], left.strides[-2], 0), left.offset)
        c = View(right.value, shape, (*right.strides[:-2], right.strides[-2], 0, 0), right.offset)
        axis = len(shape) - 3
    else:
        shape = (*lead, m, k, n)
        a = View(left.value, shape, (*left.strides, 0), left.offset)
        c = View(right.value, shape, (*right.strides[:-2], 0, *right.strides[-2:]), right.offset)
        axis = len(shape) - 2
    product = b.map("multiply", (a, c), left.dtype, shape)
    return b.reduce("sum", product, (axis,))


def _batched_gemm(b: Builder, left: View, right: View, batch: tuple) -> View:
    count = math.prod(batch)
    left, right = _blas_ready(b, left, batch, count), _blas_ready(b, right, batch, count)
    _, m, k = left.shape
    n = right.shape[2]
    product = _by_vectors(b, left, right) if b.calls_gemv and pays(m, k, n) else b.gemm(left, right)
    return with_shape(product, (*batch, left.shape[1], right.shape[2]))


def pays(rows: int, terms: int, columns: int) -> bool:
    """Whether a product of our own is faster than BLAS's. (Its module is for programs with such products.)"""
    from ...kernels import matrix_product

    return matrix_product.pays(rows, terms, columns)


def _by_vectors(b: Builder, left: View, right: View) -> View:
    """A product of our own (:mod:`autograd_jit.kernels.matrix_product`)."""
    from ...kernels.matrix_product import workspace

    count, m, k = left.shape
    n = right.shape[2]
    results = (((count, m, n), left.dtype), ((workspace(k, left.dtype),), left.dtype))
    out, _ = b.call("matrix_product", (left, right), results, (count, m, k, n), work=count * m * k * n)
    return out.view()


def _blas_ready(b: Builder, view: View, batch: tuple, count: int) -> View:
    """``view`` as (batch, rows, columns) with one unit stride, copied only where it has none."""
    rows, columns = view.shape[-2:]
    row_stride, column_stride = view.strides[-2:]
    ready = (column_stride == 1 and row_stride >= columns) or (row_stride == 1 and column_stride >= rows)
    ready = ready or (rows == 1 and column_stride == 1) or (columns == 1 and row_stride == 1)
    if ready:
        try:
            base = shadow(view)
            return viewed(view, np.reshape(base, (count, rows, columns), copy=False), base)
        except ValueError:
            pass
    return with_shape(b.dense(view), (count, rows, columns))


rule_for(products.matmul, _matmul)


# ---------------------------------------------------------------- einsum


def _einsum(b: Builder, op: Op, inputs: tuple[str, ...], output: str, *operands: Any) -> Operand:
    """Contractions two by two, in the order that NumPy's planner gives."""
    type_ = result_type(op)
    if type_.dtype.kind != "f":
        raise NoLowering(f"einsum of dtype {type_.dtype.name}")
    terms = []
    for labels, value in zip(inputs, operands, strict=True):
        operand = as_operand(value)
        require_native(operand.dtype)
        if 0 in operand.shape:
            raise NoLowering("einsum of empty arrays, whose axes may broadcast with those of length 1")
        terms.append(_diagonal_of(b.view(b.cast(operand, type_.dtype)), labels))
    terms = _without_broadcast_axes(terms)
    for pair in _contraction_order(inputs, output, terms):
        chosen = [terms[position] for position in pair]
        terms = [term for position, term in enumerate(terms) if position not in pair]
        needed = set(output).union(*[labels for _, labels in terms])
        terms.append(_contract(b, chosen, needed))
    view, labels = terms[0]
    return _permuted(_summed(b, view, labels, set(output)), output)


def _without_broadcast_axes(terms: list[tuple[View, str]]) -> list[tuple[View, str]]:
    """Axes of size one whose label is longer elsewhere are dropped: what they hold counts for each of the others."""
    sizes: dict[str, int] = {}
    for view, labels in terms:
        for label, size in zip(labels, view.shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    kept = []
    for view, labels in terms:
        axes = [axis for axis, label in enumerate(labels) if view.shape[axis] == sizes[label]]
        shape, strides = [tuple([each[axis] for axis in axes]) for each in (view.shape, view.strides)]
        kept.append((view._replace(shape=shape, strides=strides), "".join([labels[axis] for axis in axes])))
    return kept


def _contraction_order(inputs: tuple[str, ...], output: str, terms: list) -> list[tuple[int, ...]]:
    if len(terms) == 1:
        return []
    shapes = [np.broadcast_to(np.int8(0), view.shape) for view, _ in terms]
    text = ",".join([labels for _, labels in terms]) + "->" + output
    path = np.einsum_path(text, *shapes, optimize="greedy")[0][1:]
    order: list[tuple[int, ...]] = []
    for step in path:
        positions = sorted(step)
        while len(positions) > 2:  # a step of several operands: pair by pair, results go to the end
            order.append((positions[0], positions[1]))
            count = len(terms) - len(order)
            positions = [p - 2 for p in positions[2:]] + [count - 1]
        if len(positions) == 2:
            order.append(tuple(positions))
    return order


def _diagonal_of(view: View, labels: str) -> tuple[View, str]:
    """Repeated labels select a diagonal: their strides add up."""
    distinct = "".join(dict.fromkeys(labels))
    if distinct == labels:
        return view, labels
    shape = tuple([view.shape[labels.index(c)] for c in distinct])
    strides = tuple([sum(s for s, label in zip(view.strides, labels, strict=True) if label == c) for c in distinct])
    return View(view.value, shape, strides, view.offset), distinct


def _summed(b: Builder, view: View, labels: str, needed: set[str]) -> tuple[View, str]:
    """Sum over labels that nothing else needs."""
    axes = tuple([axis for axis, label in enumerate(labels) if label not in needed])
    if not axes:
        return view, labels
    return b.reduce("sum", view, axes), "".join([label for label in labels if label in needed])


def _permuted(term: tuple[View, str], order: str) -> View:
    view, labels = term
    axes = [labels.index(label) for label in order]
    return View(view.value, tuple([view.shape[a] for a in axes]), tuple([view.strides[a] for a in axes]), view.offset)


def _contract(b: Builder, chosen: list[tuple[View, str]], needed: set[str]) -> tuple[View, str]:
    """Two operands as a batched matrix product, labels in the order batch, rows, columns."""
    (x, x_labels), (y, y_labels) = chosen
    x, x_labels = _summed(b, x, x_labels, needed | set(y_labels))
    y, y_labels = _summed(b, y, y_labels, needed | set(x_labels))
    shared = [label for label in x_labels if label in y_labels]
    batch = "".join([label for label in shared if label in needed])
    inner = "".join([label for label in shared if label not in needed])
    rows = "".join([label for label in x_labels if label not in shared])
    columns = "".join([label for label in y_labels if label not in shared])
    sizes = dict(zip(x_labels + y_labels, x.shape + y.shape, strict=True))
    if any(x.shape[x_labels.index(c)] != y.shape[y_labels.index(c)] for c in shared):
        raise NoLowering("einsum with broadcast axes of size one")
    left = _grouped(b, _permuted((x, x_labels), batch + rows + inner), sizes, (batch, rows, inner))
    right = _grouped(b, _permuted((y, y_labels), batch + inner + columns), sizes, (batch, inner, columns))
    combined = product(b, left, right)
    labels = batch + rows + columns
    return with_shape(combined, tuple([sizes[c] for c in labels])), labels


def _grouped(b: Builder, view: View, sizes: dict[str, int], groups: tuple[str, str, str]) -> View:
    """``view`` with its axes merged to three, copied where they do not merge."""
    shape = tuple([math.prod([sizes[c] for c in group]) for group in groups])
    base = shadow(view)
    try:
        return viewed(view, np.reshape(base, shape, copy=False), base)
    except ValueError:
        return with_shape(b.dense(view), shape)


rule_for(products._einsum, _einsum)
