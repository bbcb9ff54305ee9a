"""Convolution as a matrix product: all windows of the images laid out, times the filters.

Imported by :func:`autograd_jit.lower.rules.find` when a tape holds a convolution, since ``scipy.signal`` takes time to
import.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...scipy import signal
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand, View
from .products import product
from .table import as_operand, require_native, result_type, rule_for, shadow, viewed, with_shape


def _convolve(b: Builder, op: Op, images: Any, filters: Any, mode: str) -> Operand:
    """``(rows, inner, *space)`` and ``(columns, inner, *space)`` to ``(rows, columns, *space)``, as in ``scipy``."""
    type_ = result_type(op)
    a, f = b.view(as_operand(images)), b.view(as_operand(filters))
    require_native(type_.dtype, a.dtype, f.dtype)
    if type_.dtype.kind != "f" or 0 in (*a.shape, *f.shape):
        raise NoLowering(f"convolution of dtype {type_.dtype.name}, shapes {a.shape} and {f.shape}")
    if signal._takes_fft(a.shape, f.shape, mode):
        raise NoLowering(f"a convolution of {a.shape} with {f.shape}, which SciPy does by the FFT")
    if mode == "full" and signal._is_single(a.shape, f.shape):  # zeros around the image times an infinity are NaN
        raise NoLowering("a full convolution of one image by one filter, where SciPy adds no zeros")
    a, f = b.view(b.cast(a, type_.dtype)), b.view(b.cast(f, type_.dtype))
    if mode == "full":
        a = _padded(b, a, [size - 1 for size in f.shape[2:]])
    (rows, inner, *space), (columns, _, *size) = a.shape, f.shape
    out = [m - n + 1 for m, n in zip(space, size, strict=True)]
    count = inner * math.prod(size)
    answers = product(b, _windows(b, a, out, size), _merged(b, _turned(f), (count, columns)))
    answers = with_shape(answers, (rows, *out, columns))
    return _transposed(answers, (0, len(out) + 1, *range(1, len(out) + 1)))


def _padded(b: Builder, a: View, margins: list[int]) -> View:
    """``a`` with zeros around it."""
    shape = (*a.shape[:2], *[size + 2 * margin for size, margin in zip(a.shape[2:], margins, strict=True)])
    whole = b.assemble(shape, a.dtype, Literal(a.dtype.type(0), a.dtype))
    base = shadow(whole.view())
    inside = tuple([slice(margin, margin + size) for size, margin in zip(a.shape[2:], margins, strict=True)])
    b.piece(viewed(whole.view(), base[(slice(None), slice(None), *inside)], base), a, add=False)
    return whole.view()


def _windows(b: Builder, a: View, out: list[int], size: list[int]) -> View:
    """A row for each window, a column for each of its elements; copied with the longer of the last axes innermost."""
    rows, inner, *_ = a.shape
    row_stride, inner_stride, *steps = a.strides
    places, elements = ((rows, *out), (row_stride, *steps)), ((inner, *size), (inner_stride, *steps))
    first, last = (elements, places) if out[-1] >= size[-1] else (places, elements)
    windows = View(a.value, first[0] + last[0], first[1] + last[1], a.offset)
    merged = _merged(b, windows, (math.prod(first[0]), math.prod(last[0])))
    return _transposed(merged, (1, 0)) if last is places else merged


def _turned(f: View) -> View:
    """The filters reversed in space, their number last."""
    base = shadow(f)
    turned = base[(slice(None), slice(None), *[slice(None, None, -1)] * (len(f.shape) - 2))]
    return viewed(f, np.moveaxis(turned, 0, -1), base)


def _merged(b: Builder, view: View, shape: tuple[int, ...]) -> View:
    """``view`` with neighbouring axes merged, copied where that is no view."""
    try:
        return with_shape(view, shape)
    except ValueError:
        return with_shape(b.dense(view), shape)


def _transposed(view: View, axes: tuple[int, ...]) -> View:
    return View(view.value, tuple([view.shape[a] for a in axes]), tuple([view.strides[a] for a in axes]), view.offset)


rule_for(signal._convolve, _convolve)
