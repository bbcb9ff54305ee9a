"""Complex values in the graph: pairs of real operands.

No node computes with complex numbers. A complex value of the tape is a :class:`Pair` of real operands while rules
compute with it, so that loops, fusion and all printers know floats only. In memory (inputs, results, constants, what
BLAS, FFTs and Python steps read or write) it is what NumPy has there: a real buffer with one more axis of two, the
*storage* of the value. Its halves are views of stride two; what has been computed is put there by two pieces.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .builder import Builder
from .graph import Literal, Operand, View, dense_strides

__all__ = [
    "PARTS",
    "Pair",
    "Whole",
    "as_complex",
    "bits",
    "constant",
    "halves",
    "in_memory",
    "nonzero",
    "pair",
    "storage",
    "stored",
]

#: complex dtype -> the dtype of its parts
PARTS: dict[np.dtype, np.dtype] = {
    np.dtype(np.complex128): np.dtype(np.float64),
    np.dtype(np.complex64): np.dtype(np.float32),
}
_WHOLES = {part: whole for whole, part in PARTS.items()}


class Pair(NamedTuple):
    """A complex operand: two literals, or two views of one shape."""

    re: Operand
    im: Operand

    @property
    def shape(self) -> tuple[int, ...]:
        return self.re.shape

    @property
    def dtype(self) -> np.dtype:
        return _WHOLES[self.re.dtype]

    @property
    def part(self) -> np.dtype:
        """The dtype of its halves."""
        return self.re.dtype


#: an operand of either kind
Whole: TypeAlias = Operand | Pair


def storage(shape: tuple[int, ...], dtype: np.dtype) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the buffer that holds a value of the tape."""
    part = PARTS.get(dtype)
    return (shape, dtype) if part is None else ((*shape, 2), part)


def halves(view: View) -> Pair:
    """Storage as a pair."""
    shape, strides, step = view.shape[:-1], view.strides[:-1], view.strides[-1]
    return Pair(View(view.value, shape, strides, view.offset), View(view.value, shape, strides, view.offset + step))


def in_memory(view: View, dtype: np.dtype) -> Whole:
    """What storage of a value of this dtype means."""
    return halves(view) if dtype in PARTS else view


def pair(b: Builder, re: Operand, im: Operand, shape: tuple[int, ...]) -> Pair:
    """A pair of this shape."""
    if type(re) is Literal and type(im) is Literal and shape == ():
        return Pair(re, im)
    return Pair(b.view(re).broadcast(shape), b.view(im).broadcast(shape))


def stored(b: Builder, operand: Whole) -> View:
    """An operand as a view of its storage."""
    if not isinstance(operand, Pair):
        return b.view(operand)
    return b.interleaved(b.view(operand.re), b.view(operand.im))


def constant(b: Builder, array: np.ndarray) -> Pair:
    """An array constant; a single number becomes literals."""
    part = PARTS[array.dtype]
    if array.size == 1:
        number = array.flat[0]
        return pair(b, Literal(part.type(number.real), part), Literal(part.type(number.imag), part), array.shape)
    parts = np.ascontiguousarray(array).reshape(array.shape).view(part).reshape(*array.shape, 2)
    value = b.new_value(parts.shape, part)
    b.graph.constants[value] = parts
    return halves(View(value, parts.shape, dense_strides(parts.shape), 0))


def nonzero(b: Builder, z: Pair) -> Operand:
    """Whether each number is not zero."""
    zero, bools = Literal(z.part.type(0), z.part), np.dtype(np.bool_)
    parts = [b.map("not_equal", (x, zero), bools, z.shape) for x in (z.re, z.im)]
    return b.map("or", tuple(parts), bools, z.shape)


def as_complex(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """An array over storage as NumPy's array of a value of the tape: the same memory."""
    return array.view(dtype)[..., 0] if dtype in PARTS and array.dtype != dtype else array


def bits(value: Any, dtype: np.dtype) -> np.ndarray:
    """What the storage of a value holds, in a row."""
    return np.ascontiguousarray(np.asarray(value, dtype)).reshape(-1).view(PARTS.get(dtype, dtype))
