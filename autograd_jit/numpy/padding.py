"""``pad``, every mode but ``empty`` and functions: each is a gather, a reduction or a ramp along one axis at a time."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import composite, with_formula
from ..trace.samples import call, normals
from . import elementwise as ew
from . import ordering, reductions
from .arguments import as_array, is_traced, refuse_traced
from .indexing import embedded, take
from .joining import concatenate
from .shaping import broadcast_to, reshape

__all__ = ["pad"]

_OPTIONS = {
    "constant": {"constant_values"},
    "edge": set(),
    "wrap": set(),
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
    "maximum": {"stat_length"},
    "minimum": {"stat_length"},
    "mean": {"stat_length"},
    "median": {"stat_length"},
    "linear_ramp": {"end_values"},
}
_STATISTICS = {
    "maximum": reductions.max,
    "minimum": reductions.min,
    "mean": reductions.mean,
    "median": ordering.median,
}


@composite(
    samples=lambda: [
        call(normals(2, 3), 1),
        call(normals(2, 3), ((0, 2), (1, 0)), constant_values=((1.0, 2.0), (3.0, 4.0))),
        call(normals(3), (1, 2), mode="edge"),
        call(normals(3), (4, 5), mode="wrap"),
        call(normals(2, 3), (1, 2), mode="reflect"),
        call(normals(3), (2, 1), mode="reflect", reflect_type="odd"),
        call(normals(3), (2, 4), mode="symmetric"),
        call(normals(3), (2, 1), mode="symmetric", reflect_type="odd"),
        call(normals(2, 3), (2, 1), mode="linear_ramp", end_values=1.5),
        call(normals(2, 3), 1, mode="mean", stat_length=2),
        call(normals(2, 3), {-1: (1, 2)}),
    ]
)
def pad(array, pad_width, mode="constant", **kwargs):
    """As ``numpy.pad``; ``mode="empty"`` and functions are refused for traced arrays."""
    if not is_traced(array, tuple(kwargs.values())):
        return _np.pad(array, pad_width, mode, **kwargs)
    if not isinstance(mode, str) or mode not in _OPTIONS:
        raise ArgumentError(f"pad: mode={mode!r} is not supported for traced arrays")
    unknown = set(kwargs) - _OPTIONS[mode]
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    refuse_traced("pad", **kwargs)
    array = as_array(array)
    widths = _widths(pad_width, array.ndim)
    if mode == "constant":
        return _constant(array, pad_width, widths, **kwargs)
    return _pad_with(array, pad_width, mode, tuple(kwargs.items()))


def _pad_by_formula(array: Any, pad_width: Any, mode: str, options: tuple) -> Any:
    kwargs, widths = dict(options), _widths(pad_width, array.ndim)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            array = _pad_axis(array, axis, (int(before), int(after)), mode, kwargs)
    return array


_pad_with = with_formula(
    lambda array, pad_width, mode, options: _np.pad(array, pad_width, mode, **dict(options)),
    _pad_by_formula,
    name="pad_with",
    samples=lambda: [call(normals(2, 3), 1, "mean", ()), call(normals(3), (1, 4), "wrap", ())],
)


def _widths(pad_width: Any, ndim: int) -> Any:
    if isinstance(pad_width, dict):
        widths = _np.zeros((ndim, 2), int)
        for axis, width in pad_width.items():
            widths[axis] = width
    else:
        widths = _np.broadcast_to(_np.asarray(pad_width), (ndim, 2))
    if widths.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    if (widths < 0).any():
        raise ValueError("index can't contain negative values")
    return widths


def _constant(array: Any, pad_width: Any, widths: Any, constant_values: Any = 0) -> Any:
    inside = tuple([slice(int(w[0]), int(w[0]) + size) for size, w in zip(array.shape, widths, strict=True)])
    frame = _np.pad(_np.zeros(array.shape, array.dtype), pad_width, constant_values=constant_values)
    return embedded(array, inside, frame)


def _pad_axis(array: Any, axis: int, width: tuple, mode: str, options: dict) -> Any:
    length = array.shape[axis]
    if mode in _STATISTICS:
        return _with_statistic(array, axis, width, mode, options.get("stat_length"))
    if mode == "linear_ramp" or options.get("reflect_type") == "odd":
        return _by_matrix(array, axis, width, mode, options)
    return take(array, _np.pad(_np.arange(length), width, mode), axis)  # type: ignore[call-overload]


def _with_statistic(array: Any, axis: int, width: tuple, mode: str, stat_length: Any) -> Any:
    length = array.shape[axis]
    if stat_length is None:
        lengths = _np.full(2, length)
    else:
        lengths = _np.broadcast_to(_np.asarray(stat_length), (array.ndim, 2))[axis]
    pieces = [array]
    lead = (slice(None),) * axis
    for side, count in enumerate(width):
        used = min(int(lengths[side]), length)
        part = array[(*lead, slice(0, used) if side == 0 else slice(length - used, None))]
        value = _STATISTICS[mode](part, axis, keepdims=True)
        piece = broadcast_to(value, (*array.shape[:axis], count, *array.shape[axis + 1 :]))
        pieces.insert(0 if side == 0 else 2, piece)
    return concatenate(pieces, axis)


def _by_matrix(array: Any, axis: int, width: tuple, mode: str, options: dict) -> Any:
    """A mode that is affine along the axis: its matrix is what NumPy makes of the unit vectors."""
    from .products import tensordot
    from .shaping import moveaxis

    length = array.shape[axis]
    widths = (width, (0, 0))
    plain = {name: value for name, value in options.items() if name != "end_values"}
    matrix = _np.pad(_np.eye(length, dtype=array.dtype), widths, mode, **plain)  # type: ignore[call-overload]
    result = moveaxis(tensordot(matrix, array, ((1,), (axis,))), 0, axis)
    if "end_values" not in options:
        return result
    ends = _np.broadcast_to(_np.asarray(options["end_values"]), (array.ndim, 2))[axis]
    ramp = _np.pad(_np.zeros(length, array.dtype), width, mode, end_values=(tuple(ends),))  # type: ignore[call-overload]
    return ew.add(result, reshape(ramp, (-1,) + (1,) * (array.ndim - axis - 1)))
