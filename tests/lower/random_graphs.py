"""Random kernel graphs, for hypothesis: maps, views, reductions, assembled buffers and gathers over all dtypes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from autograd_jit.lower.builder import Builder
from autograd_jit.lower.graph import Graph, Literal, Operand, View
from autograd_jit.lower.rules.table import shadow, viewed, with_shape

DTYPES = [np.dtype(name) for name in ("float64", "float32", "int64", "int32", "bool")]
BOOL = np.dtype(bool)
SIZES = [0, 1, 2, 3, 5, 8, 17, 33]
#: shapes of several rows
ROWS = [(3, 5), (2, 33), (5, 8), (2, 3, 17), (4, 2, 2), (3, 1, 9), (2, 1), (17, 3), (1, 7), (3, 300)]
LARGEST = 600  # elements of a value: the printed Python runs them one by one

#: operations whose result is the same to the last bit however it is computed
FLOAT_UNARY = "negative absolute square sqrt floor ceil trunc rint sign reciprocal".split()
FLOAT_BINARY = "add subtract multiply divide maximum minimum fmax fmin mod floor_divide fmod copysign".split()
INT_UNARY = "negative absolute square sign".split()
INT_BINARY = "add subtract multiply maximum minimum mod floor_divide".split()
COMPARE = "equal not_equal less less_equal greater greater_equal".split()
#: operations that a rounding error makes no larger; what a float sum gives is only used by these
CONTINUOUS_UNARY = ["negative", "absolute"]
CONTINUOUS_BINARY = "add subtract maximum minimum".split()


class Maker:
    """Draws a graph step by step. ``inexact`` holds operands that depend on the order of additions."""

    def __init__(self, draw, kinds: str) -> None:
        self.draw = draw
        self.kinds = kinds.split()
        self.builder = Builder()
        self.operands: list[View] = []
        self.arrays: list[np.ndarray] = []
        self.inexact: set = set()

    def choice(self, options):
        return self.draw(st.sampled_from(options))

    # ---------------------------------------------------------------- sources

    def shape(self) -> tuple[int, ...]:
        shape = tuple(self.draw(st.lists(st.sampled_from(SIZES), max_size=4)))
        while math.prod(shape) > LARGEST:
            shape = shape[1:]
        return shape

    def add_input(self, dtype: np.dtype, shape: tuple[int, ...]) -> View:
        seed = self.draw(st.integers(0, 2**16))
        special = dtype.kind == "f" and self.draw(st.booleans())
        self.arrays.append(content(dtype, shape, seed, special))
        return self.keep(self.builder.input(shape, dtype))

    def keep(self, operand: Operand, inexact: bool = False) -> View:
        view = self.builder.view(operand)
        self.operands.append(view)
        if inexact:
            self.inexact.add(view.value)
        return view

    def is_inexact(self, *operands: Operand) -> bool:
        return any(isinstance(o, View) and o.value in self.inexact for o in operands)

    # ---------------------------------------------------------------- views

    def rearranged(self, view: View) -> View:
        """Another index map over the same value."""
        kind = self.choice(["transpose", "flip", "slice", "reshape", "broadcast", "diagonal", "none"])
        base = shadow(view)
        if kind == "transpose":
            order = self.draw(st.permutations(range(base.ndim)))
            return viewed(view, base.transpose(order), base)
        if kind == "flip" and base.ndim:
            return viewed(view, np.flip(base, self.draw(st.integers(0, base.ndim - 1))), base)
        if kind == "slice" and base.ndim:
            index = tuple([self.draw(st.slices(size)) for size in base.shape])
            return viewed(view, base[index], base)
        if kind == "reshape":
            try:
                return with_shape(view, self.choice([(-1,), (*base.shape, 1), (1, *base.shape)]))
            except ValueError:
                return view
        if kind == "broadcast" and view.size <= LARGEST // 3 and base.ndim < 5:
            return view.broadcast((self.draw(st.integers(1, 3)), *view.shape))
        if kind == "diagonal" and base.ndim >= 2:
            return viewed(view, np.diagonal(base), base)
        return view

    def pick(self, dtype: np.dtype | None = None, shape: tuple[int, ...] | None = None) -> View:
        """An operand of a dtype and of a shape that broadcasts to ``shape``: one that is there, or a new input."""
        fitting = [o for o in self.operands if dtype is None or o.dtype == dtype]
        if fitting and self.draw(st.integers(0, 4)):
            view = self.choice(fitting)
            if self.draw(st.booleans()):
                view = self.rearranged(view)
            if shape is None or _broadcasts(view.shape, shape):
                return view
        wanted = shape if shape is not None else self.shape()
        if self.draw(st.booleans()):
            keep = self.draw(st.lists(st.booleans(), min_size=len(wanted), max_size=len(wanted)))
            wanted = tuple([size if kept else 1 for size, kept in zip(wanted, keep)])
        return self.add_input(dtype or self.choice(DTYPES), wanted)

    def other(self, dtype: np.dtype, shape: tuple[int, ...]) -> Operand:
        if self.draw(st.integers(0, 3)) == 0:
            return Literal(self.choice([np.array(v).astype(dtype)[()] for v in (0, 1, 2, 3)]), dtype)
        return self.pick(dtype, shape)

    # ---------------------------------------------------------------- operations

    def step(self) -> None:
        getattr(self, self.choice(self.kinds))()

    def unary(self) -> None:
        x = self.pick()
        if x.dtype == BOOL:
            self.keep(self.builder.map("not", (x,), BOOL, x.shape))
            return
        names = FLOAT_UNARY if x.dtype.kind == "f" else INT_UNARY
        name = self.choice(CONTINUOUS_UNARY if self.is_inexact(x) else names)
        self.keep(self.builder.map(name, (x,), x.dtype, x.shape), self.is_inexact(x))

    def binary(self) -> None:
        x = self.pick(self.choice(DTYPES[:4]))
        y = self.other(x.dtype, x.shape)
        names = FLOAT_BINARY if x.dtype.kind == "f" else INT_BINARY
        name = self.choice(CONTINUOUS_BINARY if self.is_inexact(x, y) else names)
        self.keep(self.builder.map(name, (x, y), x.dtype, x.shape), self.is_inexact(x, y))

    def compare(self) -> None:
        x = self.pick()
        y = self.other(x.dtype, x.shape)
        if not self.is_inexact(x, y):
            self.keep(self.builder.map(self.choice(COMPARE), (x, y), BOOL, x.shape))

    def where(self) -> None:
        x = self.pick()
        y, condition = self.other(x.dtype, x.shape), self.other(BOOL, x.shape)
        self.keep(self.builder.map("where", (condition, x, y), x.dtype, x.shape), self.is_inexact(x, y))

    def cast(self) -> None:
        x = self.pick()
        targets = [d for d in DTYPES if not self.is_inexact(x) or d.kind == "f"]
        self.keep(self.builder.cast(x, self.choice(targets)), self.is_inexact(x))

    def logic(self) -> None:
        x = self.pick(BOOL)
        self.keep(self.builder.map(self.choice(["and", "or", "xor"]), (x, self.other(BOOL, x.shape)), BOOL, x.shape))

    def reduce(self) -> None:
        x = self.pick()
        axes = tuple([axis for axis in range(len(x.shape)) if self.draw(st.booleans())])
        if not axes:
            return
        names = ["all", "any"] if x.dtype == BOOL else ["sum", "prod", "max", "min"]
        name = self.choice(names)
        if name in ("max", "min") and any(x.shape[axis] == 0 for axis in axes):
            return
        if name == "prod" and self.is_inexact(x):
            return
        rounded = x.dtype.kind == "f" and name in ("sum", "prod")
        self.keep(self.builder.reduce(name, x, axes), rounded or self.is_inexact(x))

    def assemble(self) -> None:
        """A buffer of a filling and one or two stores into regions of it."""
        x = self.pick(self.choice(DTYPES[:4]))
        padded = tuple([size + 2 for size in x.shape])
        if math.prod(padded) > 4 * LARGEST:
            return
        zero = Literal(x.dtype.type(0), x.dtype)
        whole = self.builder.assemble(padded, x.dtype, zero).view()
        base, add = shadow(whole), self.draw(st.booleans())
        for start in range(self.draw(st.integers(1, 2))):
            region = viewed(whole, base[(*[slice(start, start + size) for size in x.shape], ...)], base)
            self.builder.piece(region, x, add)
        self.keep(whole, self.is_inexact(x))

    def stencil(self) -> None:
        """The adjoint of reading a value through shifted slices: overlapping blocks, added up or stored."""
        x = self.pick(self.choice(DTYPES[:4]))
        if not x.shape or x.size == 0:
            return
        margin = [self.draw(st.integers(0, 2)) for _ in x.shape]
        shape = tuple([size + more for size, more in zip(x.shape, margin)])
        if math.prod(shape) > LARGEST:
            return
        source: Operand = Literal(x.dtype.type(0), x.dtype)
        if self.draw(st.booleans()):
            source = self.pick(x.dtype, shape)
        whole = self.builder.assemble(shape, x.dtype, source).view()
        add, inexact = self.draw(st.integers(0, 3)) > 0, self.is_inexact(x, source)
        for _ in range(self.draw(st.integers(1, 4))):
            starts = [self.draw(st.integers(0, more)) for more in margin]
            base = shadow(whole)
            part = viewed(whole, base[tuple([slice(s, s + n) for s, n in zip(starts, x.shape)])], base)
            term = self.contribution(x)
            inexact |= self.is_inexact(term)
            self.builder.piece(part, term, add)
        self.keep(whole, inexact)

    def contribution(self, x: View) -> Operand:
        """A value of the shape of ``x``: itself, or a little arithmetic on it."""
        shape = x.shape
        for _ in range(self.draw(st.integers(0, 3))):
            y = self.other(x.dtype, shape)
            result = self.builder.map(self.choice(CONTINUOUS_BINARY), (x, y), x.dtype, shape)
            x = self.keep(result, self.is_inexact(x, y))
        return x

    def roll(self) -> None:
        x = self.pick(self.choice(DTYPES[:4]))
        if not x.shape or x.size == 0 or 1 in x.shape:
            return
        axis = self.draw(st.integers(0, len(x.shape) - 1))
        shift = self.draw(st.integers(1, x.shape[axis] - 1))
        whole = self.builder.assemble(x.shape, x.dtype, None).view()
        lead = (slice(None),) * axis
        for to, start in ((slice(shift, None), slice(None, -shift)), (slice(None, shift), slice(-shift, None))):
            region = viewed(whole, shadow(whole)[(*lead, to)], shadow(whole))
            self.builder.piece(region, viewed(x, shadow(x)[(*lead, start)], shadow(x)), add=False)
        self.keep(whole, self.is_inexact(x))

    def softmax(self) -> None:
        """Totals of rows and what is made of them, for each of the rows' elements, in several rounds."""
        dtype, shape = self.choice(DTYPES[:2]), self.choice(ROWS)
        x = self.pick(dtype, shape) if self.draw(st.booleans()) else self.add_input(dtype, shape)
        if x.size < 4:
            return
        first = self.draw(st.integers(max(0, len(x.shape) - 2), len(x.shape) - 1))
        axes = tuple(range(first, len(x.shape)))
        rows = (*x.shape[:first], *[1] * len(axes))
        known = [x]
        for _ in range(self.draw(st.integers(1, 4))):
            name = self.choice(["sum", "max", "min"])
            total = with_shape(self.builder.reduce(name, self.choice(known), axes), rows)
            if self.draw(st.booleans()):
                total = self.continuous(total)
            known.append(self.continuous(self.choice(known), total))
            if self.draw(st.booleans()):
                known.append(self.continuous(known[-1]))
        for view in known[-2:]:
            self.keep(view, True)
        self.inexact.update([view.value for view in known[1:]])

    def continuous(self, x: View, y: Operand | None = None) -> View:
        """Arithmetic that makes no rounding error larger: cheap enough to be repeated, or not."""
        name = self.choice([*CONTINUOUS_BINARY, "fmax", "fmin"])
        return self.builder.view(self.builder.map(name, (x, y or self.other(x.dtype, x.shape)), x.dtype, x.shape))

    def gather(self) -> None:
        """Elements of a value at random positions of its buffer."""
        x = self.pick()
        if x.size == 0:
            return
        size, count = x.shape[0] if x.shape else 1, self.choice([1, 3, 20])
        places = np.random.default_rng(self.draw(st.integers(0, 99))).integers(0, size, count)
        self.arrays.append(places * (x.strides[0] if x.shape else 1))
        position = self.builder.input((count,), np.dtype(np.int64))
        view = View(x.value, (count, *x.shape[1:]), (0, *x.strides[1:]), x.offset)
        spread = View(position.value, view.shape, (1, *[0] * (len(view.shape) - 1)), 0)
        self.keep(self.builder.map("gather", (view, spread), x.dtype, view.shape), self.is_inexact(x))

    def graph(self) -> Graph:
        count = min(len(self.operands), 4)
        chosen = [self.choice(self.operands) for _ in range(count)] + self.operands[-1:]
        self.builder.graph.outputs = [self.builder.dense(view) for view in chosen]
        return self.builder.graph


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    if len(shape) > len(target):
        return False
    return all(have in (1, want) for have, want in zip(shape[::-1], target[::-1]))


def content(dtype: np.dtype, shape: tuple[int, ...], seed: int, special: bool) -> np.ndarray:
    """Small halves and integers; with ``special`` NaN, infinities and zeros of both signs among them."""
    generator = np.random.default_rng(seed)
    if dtype == BOOL:
        return generator.random(shape) < 0.6
    if dtype.kind == "i":
        return generator.integers(-5, 6, shape).astype(dtype)
    array = np.asarray(generator.integers(-9, 10, shape) / 2).astype(dtype)
    if special:
        odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)[generator.integers(0, 5, shape)]
        array = np.where(generator.random(shape) < 0.15, odd, array).astype(dtype)
    return array


ALL_KINDS = "unary binary compare where cast logic reduce assemble stencil roll softmax gather"
#: what kernels of several stages and windows are made of
ROW_KINDS = "softmax softmax softmax binary binary unary stencil where reduce"
WINDOW_KINDS = "stencil stencil roll roll binary unary where softmax gather"


@st.composite
def graphs(draw, kinds: str = ALL_KINDS) -> tuple[Graph, list[np.ndarray], set]:
    """``(graph, input arrays, values that are only approximately determined)``."""
    maker = Maker(draw, kinds)
    maker.add_input(draw(st.sampled_from(DTYPES)), maker.shape())
    for _ in range(draw(st.integers(1, 10))):
        maker.step()
    return maker.graph(), maker.arrays, maker.inexact
