"""Matrix and tensor products, all multilinear: the tangent is the product itself in each argument."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.rules import composite, general, refuse_options
from ..trace.samples import call, complexes, normals
from . import elementwise as ew
from .arguments import as_array as _array
from .arguments import is_traced, lists_as_arrays, normalise_axis, refuse, scalar_results, shape_of
from .shaping import moveaxis, ravel, reshape, swapaxes, transpose

__all__ = [
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "matmul",
    "matvec",
    "outer",
    "tensordot",
    "vdot",
    "vecdot",
    "vecmat",
]

# ---------------------------------------------------------------- matmul: the primitive behind most products


def _matmul_first(ans: Any, x: Any, y: Any, **options: Any) -> Any:
    refuse_options("matmul", options)
    x_ndim = len(shape_of(x))

    def pull(g: Any) -> Any:
        y_ndim = len(shape_of(y))
        if x_ndim == 1 and y_ndim == 1:
            return ew.multiply(g, y)
        if y_ndim == 1:  # (..., i, k) @ (k,) -> (..., i)
            return ew.multiply(g[..., :, None], y)
        if x_ndim == 1:  # (k,) @ (..., k, j) -> (..., j)
            return matmul(y, g[..., :, None])[..., 0] if y_ndim > 2 else matmul(y, g)
        return matmul(g, swapaxes(y, -1, -2))

    return pull


def _matmul_second(ans: Any, x: Any, y: Any, **options: Any) -> Any:
    refuse_options("matmul", options)
    y_ndim = len(shape_of(y))

    def pull(g: Any) -> Any:
        x_ndim = len(shape_of(x))
        if x_ndim == 1 and y_ndim == 1:
            return ew.multiply(g, x)
        if x_ndim == 1:
            return ew.multiply(x[..., :, None], g[..., None, :])
        if y_ndim == 1:
            return matmul(swapaxes(x, -1, -2), g[..., :, None])[..., 0] if x_ndim > 2 else matmul(transpose(x), g)
        return matmul(swapaxes(x, -1, -2), g)

    return pull


def _matmul_first_jvp(t: Any, ans: Any, x: Any, y: Any, **options: Any) -> Any:
    refuse_options("matmul", options)
    return matmul(t, y)


def _matmul_second_jvp(t: Any, ans: Any, x: Any, y: Any, **options: Any) -> Any:
    refuse_options("matmul", options)
    return matmul(x, t)


matmul = general(
    _np.matmul,
    {0: _matmul_first, 1: _matmul_second},
    {0: _matmul_first_jvp, 1: _matmul_second_jvp},
    name="matmul",
    samples=lambda: [
        call(normals(*left), normals(*right, seed=1))
        for left, right in (
            ((3,), (3,)),
            ((2, 3), (3,)),
            ((3,), (3, 2)),
            ((2, 3), (3, 4)),
            ((2, 1, 3, 2), (3, 2, 2)),
            ((2, 2, 3), (3,)),
            ((3,), (2, 3, 2)),
            ((0, 2), (2, 3)),
            ((4, 1, 2), (2, 2)),
        )
    ],
)

matmul.primitive.normalise = lists_as_arrays  # type: ignore[attr-defined]

# ---------------------------------------------------------------- dot and relatives, in terms of matmul and tensordot


@composite(
    samples=lambda: [
        call(normals(3), normals(3, seed=1)),
        call(normals(2, 3), normals(3, 2)),
        call(normals(2, 2, 3), normals(4, 3, 2)),
        call(normals(3), normals(2, 3, 2)),
        call(normals(), normals(2, 2)),
    ]
)
def dot(a, b, out=None):
    """As ``numpy.dot``; ``out`` is refused for traced arrays."""
    if not is_traced(a, b):
        return _np.dot(a, b, out)

    if out is not None:
        refuse("dot", out=out)
    a, b = _array(a), _array(b)
    a_shape, b_shape = a.shape, b.shape
    a_ndim, b_ndim = len(a_shape), len(b_shape)
    if a_ndim == 0 or b_ndim == 0:
        return _scaled(a, b)
    if b_ndim <= 2 and a_ndim <= 2:
        if a_shape[-1] != b_shape[0]:
            raise ValueError(
                f"shapes {a_shape} and {b_shape} not aligned: "
                f"{a_shape[-1]} (dim {a_ndim - 1}) != {b_shape[0]} (dim 0)"
            )
        return matmul(a, b)
    return tensordot(a, b, ((a_ndim - 1,), (max(b_ndim - 2, 0),)))


def _scaled(a: Any, b: Any) -> Any:
    """``a * b`` added to 0, as all products that NumPy sums up: that makes -0.0 to 0.0."""
    product = ew.multiply(a, b)
    return ew.add(product, _np.zeros((), product.dtype)) if product.dtype.kind in "fc" else product


def conjugated(x: Any) -> Any:
    """``conj(x)``; booleans stay booleans, which ``conj`` makes integers."""
    x = _array(x)
    return ew.conj(x) if x.dtype.kind == "c" else x


@composite(
    samples=lambda: [
        call(normals(2, 3), normals(4, 2, 3)),
        call(normals(3), normals(3, seed=1)),
        call(normals(), normals(2)),
    ]
)
@scalar_results
def inner(a, b, /):
    """As ``numpy.inner``."""
    if not is_traced(a, b):
        return _np.inner(a, b)
    a, b = _array(a), _array(b)
    if len(shape_of(a)) == 0 or len(shape_of(b)) == 0:
        return _scaled(a, b)
    return tensordot(a, b, ((len(shape_of(a)) - 1,), (len(shape_of(b)) - 1,)))


@composite(samples=lambda: [call(normals(2, 2), normals(3)), call(1.5, normals(2))])
def outer(a, b, out=None):
    """As ``numpy.outer``; ``out`` is refused for traced arrays."""
    if not is_traced(a, b):
        return _np.outer(a, b, out)

    refuse("outer", out=out)
    return ew.multiply(reshape(ravel(_array(a)), (-1, 1)), reshape(ravel(_array(b)), (1, -1)))


@composite(samples=lambda: [call(normals(2, 2), normals(4)), call(complexes(3), complexes(3, seed=1))])
def vdot(a, b, /):
    """As ``numpy.vdot``: the first argument is conjugated."""
    if not is_traced(a, b):
        return _np.vdot(a, b)
    return matmul(conjugated(ravel(_array(a))), ravel(_array(b)))


@composite(samples=lambda: [call(normals(2, 3), normals(3)), call(complexes(3, 2), complexes(3, 1), axis=0)])
def vecdot(x1, x2, /, out=None, *, axis=-1, **kwargs):
    """As ``numpy.vecdot``: the first argument is conjugated. Options of ufuncs are refused for traced arrays."""
    if not is_traced(x1, x2):
        return _np.vecdot(x1, x2, out=out, axis=axis, **kwargs)  # type: ignore[call-overload]
    refuse("vecdot", out=out, **kwargs)
    x1, x2 = moveaxis(_array(x1), axis, -1), moveaxis(_array(x2), axis, -1)
    return matmul(conjugated(x1)[..., None, :], x2[..., :, None])[..., 0, 0]


@composite(samples=lambda: [call(normals(2, 3), normals(3)), call(normals(2, 2, 3), normals(4, 1, 3))])
def matvec(x1, x2, /, out=None, **kwargs):
    """As ``numpy.matvec``. Options of ufuncs are refused for traced arrays."""
    if not is_traced(x1, x2):
        return _np.matvec(x1, x2, out=out, **kwargs)
    refuse("matvec", out=out, **kwargs)
    return matmul(x1, _array(x2)[..., :, None])[..., 0]


@composite(samples=lambda: [call(complexes(3), complexes(3, 2)), call(normals(4, 1, 3), normals(2, 3, 2))])
def vecmat(x1, x2, /, out=None, **kwargs):
    """As ``numpy.vecmat``: the vector is conjugated. Options of ufuncs are refused for traced arrays."""
    if not is_traced(x1, x2):
        return _np.vecmat(x1, x2, out=out, **kwargs)
    refuse("vecmat", out=out, **kwargs)
    return matmul(conjugated(x1)[..., None, :], x2)[..., 0, :]


@composite(
    samples=lambda: [
        call(normals(2, 3), normals(2, 3, seed=1)),
        call(normals(2, 3), normals(3, 2), 1),
        call(normals(2, 3), normals(2), 0),
        call(normals(2, 3, 2), normals(3, 4, 2), ((1, -1), (0, 2))),
        call(normals(2, 3), normals(3), (1, 0)),
    ]
)
def tensordot(a, b, axes=2):
    """As ``numpy.tensordot``."""
    if not is_traced(a, b):
        return _np.tensordot(a, b, axes)
    a, b = _array(a), _array(b)
    a_shape, b_shape = shape_of(a), shape_of(b)
    a_axes, b_axes = _contraction_axes(axes, len(a_shape), len(b_shape))
    if [a_shape[ax] for ax in a_axes] != [b_shape[ax] for ax in b_axes]:
        raise ValueError("shape-mismatch for sum")
    a_free = [ax for ax in range(len(a_shape)) if ax not in a_axes]
    b_free = [ax for ax in range(len(b_shape)) if ax not in b_axes]
    inner_size = int(_np.prod([a_shape[ax] for ax in a_axes]))
    rows = [a_shape[ax] for ax in a_free]
    columns = [b_shape[ax] for ax in b_free]
    left = reshape(transpose(a, a_free + a_axes), (int(_np.prod(rows)), inner_size))
    right = reshape(transpose(b, b_axes + b_free), (inner_size, int(_np.prod(columns))))
    return reshape(matmul(left, right), tuple(rows + columns))


def _contraction_axes(axes: Any, a_ndim: int, b_ndim: int) -> tuple[list[int], list[int]]:
    if isinstance(axes, (int, _np.integer)):
        return list(range(a_ndim - axes, a_ndim)), list(range(axes))
    first, second = axes
    first = [first] if isinstance(first, (int, _np.integer)) else list(first)
    second = [second] if isinstance(second, (int, _np.integer)) else list(second)
    if len(first) != len(second):
        raise ValueError("shape-mismatch for sum")
    return [normalise_axis(ax, a_ndim) for ax in first], [normalise_axis(ax, b_ndim) for ax in second]


@composite(
    samples=lambda: [
        call(normals(2), normals(3)),
        call(normals(2, 2), normals(3)),
        call(normals(2, 1, 2), normals(2, 2)),
    ]
)
def kron(a, b):
    """As ``numpy.kron``."""
    if not is_traced(a, b):
        return _np.kron(a, b)
    a, b = _array(a), _array(b)
    ndim = max(len(shape_of(a)), len(shape_of(b)))
    a_shape = (1,) * (ndim - len(shape_of(a))) + shape_of(a)
    b_shape = (1,) * (ndim - len(shape_of(b))) + shape_of(b)
    left = reshape(a, sum([(size, 1) for size in a_shape], ()))
    right = reshape(b, sum([(1, size) for size in b_shape], ()))
    return reshape(ew.multiply(left, right), tuple([m * n for m, n in zip(a_shape, b_shape, strict=True)]))


@composite(
    samples=lambda: [
        call(normals(3), normals(3, seed=1)),
        call(normals(4, 3), normals(3)),
        call(normals(3, 2), normals(3, 2, seed=1), axis=0),
        call(normals(3, 2), normals(2, 3), axisa=0, axisb=1, axisc=0),
    ]
)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """As ``numpy.cross``, vectors of length 3 (or 2)."""
    if not is_traced(a, b):
        return _np.cross(a, b, axisa, axisb, axisc, axis)
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(_array(a), axisa, -1), moveaxis(_array(b), axisb, -1)
    a_size, b_size = shape_of(a)[-1], shape_of(b)[-1]
    if not {a_size, b_size} <= {2, 3}:
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    if a_size == 2 and b_size == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    from .joining import stack

    a0, a1, a2 = _components(a)
    b0, b1, b2 = _components(b)
    parts = _same_shape(a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0)
    return moveaxis(stack(parts, -1), -1, axisc)


def _components(a: Any) -> tuple:
    if shape_of(a)[-1] == 3:
        return a[..., 0], a[..., 1], a[..., 2]
    return a[..., 0], a[..., 1], a[..., 0] * 0


def _same_shape(*parts: Any) -> list:
    from .shaping import broadcast_arrays

    return list(broadcast_arrays(*parts))


# ---------------------------------------------------------------- einsum


class _EinsumVjp:
    """The cotangent of one operand: an einsum of ``g`` with the other operands."""

    def __getitem__(self, argnum: int) -> Any:
        def maker(ans: Any, inputs: tuple, output: str, *operands: Any) -> Any:
            position = argnum - 2
            shape = shape_of(operands[position])

            def pull(g: Any) -> Any:
                others = [op for i, op in enumerate(operands) if i != position]
                labels = [s for i, s in enumerate(inputs) if i != position]
                return _einsum_onto(g, output, others, labels, inputs[position], shape)

            return pull

        return maker


class _EinsumJvp:
    def __getitem__(self, argnum: int) -> Any:
        def rule(g: Any, ans: Any, inputs: tuple, output: str, *operands: Any) -> Any:
            operands = (*operands[: argnum - 2], g, *operands[argnum - 1 :])
            return _einsum(inputs, output, *operands)

        return rule


def _einsum_onto(g: Any, g_labels: str, others: list, labels: list, target: str, shape: tuple) -> Any:
    """Contract ``g`` and the other operands to the labels ``target``; labels found nowhere are broadcast."""
    from .indexing import place
    from .shaping import broadcast_to

    distinct = "".join(dict.fromkeys(target))
    known = set(g_labels).union(*labels) if labels else set(g_labels)
    present = "".join([label for label in distinct if label in known])
    part = _einsum((g_labels, *labels), present, g, *others)
    sizes = dict(zip(target, shape, strict=True))
    broadcast = tuple([i for i, c in enumerate(present) if sizes[c] == 1 and _size(part, present, c) != 1])
    if broadcast:
        from .reductions import reduce_sum

        part = reduce_sum(part, broadcast, True)
    part = reshape(part, tuple([_size(part, present, c) if c in present else 1 for c in distinct]))
    part = broadcast_to(part, tuple([sizes[c] for c in distinct]))
    if distinct == target:
        return part
    grids = _np.ix_(*[_np.arange(sizes[c]) for c in distinct])
    return place(part, tuple([grids[distinct.index(c)] for c in target]), shape)


def _size(part: Any, labels: str, label: str) -> int:
    return shape_of(part)[labels.index(label)]


_einsum = general(
    lambda inputs, output, *operands: _np.einsum(
        ",".join(inputs) + "->" + output, *operands, optimize=len(operands) > 2
    ),
    _EinsumVjp(),
    _EinsumJvp(),
    name="einsum",
    samples=lambda: [call(("ij", "jk"), "ik", normals(2, 3), normals(3, 2))],
)


@composite(
    samples=lambda: [
        call("ij,jk->ik", normals(2, 3), normals(3, 2)),
        call("ij,jk,kl", normals(2, 3), normals(3, 2), normals(2, 2)),
        call("ii", normals(3, 3)),
        call("ii->i", normals(3, 3)),
        call("iij,j->j", normals(2, 2, 3), normals(3)),
        call("...ij,...jk->...ik", normals(4, 1, 2, 3), normals(2, 3, 2)),
        call("ij->", normals(2, 3)),
        call("ij,kl->", normals(2, 3), normals(1, 2)),
        call("i...,i->...", normals(3, 2), normals(3)),
        call("ij,ij->ij", normals(1, 3), normals(2, 3)),
        call(normals(2, 3), [0, 1], normals(3, 2), [1, 2], [0, 2]),
        call("bij,bjk->bik", normals(2, 2, 3), normals(2, 3, 2), optimize=True),
    ]
)
def einsum(*operands, out=None, optimize=False, **kwargs):
    """As ``numpy.einsum``, both calling forms, with ellipses and repeated labels; ``out`` is refused when traced."""
    if not is_traced(*operands):
        return _np.einsum(*operands, out=out, optimize=optimize, **kwargs)

    refuse("einsum", out=out, **kwargs)
    inputs, output, arrays = parse_einsum(operands)
    return _einsum(tuple(inputs), output, *arrays)


def parse_einsum(operands: tuple) -> tuple[list[str], str, list]:
    """Subscripts without ellipses: ``(labels of each operand, labels of the result, operands)``."""
    if isinstance(operands[0], str):
        subscripts, arrays = operands[0].replace(" ", ""), [_array(a) for a in operands[1:]]
    else:
        subscripts, arrays = _from_lists(operands)
    left, arrow, output = subscripts.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(arrays):
        raise ValueError("more operands provided to einstein sum function than specified in the subscripts string")
    used = set(subscripts) - set(".,->")
    spare = [chr(c) for c in range(ord("A"), ord("z") + 1) if chr(c).isalpha() and chr(c) not in used]
    extra = [len(shape_of(a)) - len(s.replace("...", "")) for a, s in zip(arrays, inputs, strict=True)]
    width = max([e for e, s in zip(extra, inputs, strict=True) if "..." in s], default=0)
    batch = "".join(spare[:width])
    expanded = [s.replace("...", batch[width - e :] if e else "") for s, e in zip(inputs, extra, strict=True)]
    if not arrow:
        letters = "".join(inputs).replace("...", "")
        output = batch + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return expanded, output.replace("...", batch), arrays


def _from_lists(operands: tuple) -> tuple[str, list]:
    def text(labels: Any) -> str:
        return "".join(["..." if c is Ellipsis else chr(ord("a") + c if c < 26 else ord("A") + c - 26) for c in labels])

    arrays = [_array(a) for a in operands[: len(operands) // 2 * 2 : 2]]
    subscripts = ",".join([text(labels) for labels in operands[1::2]])
    return (subscripts + "->" + text(operands[-1]) if len(operands) % 2 else subscripts), arrays
