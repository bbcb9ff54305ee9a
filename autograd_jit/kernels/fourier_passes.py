"""Fourier transforms of a vector's worth of rows at a time: the passes, printed as vector IR.

Each lane of a vector is a row, so no lane meets another and a row's result is the same wherever it lies. Rows are
brought into memory of the form *[point][real, imaginary][lane]*, go through the passes, and are brought out again.

The passes are Stockham's, by decimation in frequency. Where ``n = r m`` the transform of ``x`` is, with
``w = exp(-2 pi i / n)``,

    X[r k + j] = transform over p of  w**(p j) * sum over l of  exp(-2 pi i l j / r) x[p + m l]

so that a pass takes ``r`` points that lie ``m`` apart, makes ``r`` out of them by a short transform (a butterfly),
turns all but the first by a power of ``w``, and leaves ``r`` transforms of ``m`` points, whose elements it stores
side by side: after the last pass all are in order. Transforms backwards take the same passes with real and imaginary
parts in each other's place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Final

from . import cpu
from .fourier_tables import RADICES, roots
from .kernel_ir import counted_loop
from .llvm import lanes
from .subset import Reals, vector_routine
from .vector_ir import Emission, row_pointers, transposed

__all__ = [
    "butterflies",
    "gathered_in",
    "join_halves",
    "lanes_in",
    "lanes_out",
    "pairs_in",
    "pairs_out",
    "split_halves",
    "transposed_in",
    "transposed_out",
]


#: a complex vector: the names of its real and its imaginary half
Complex = tuple[str, str]


class _Arithmetic:
    """Complex numbers in the vectors of one element type."""

    def __init__(self, body: Emission, element: str) -> None:
        self.body, self.element = body, element
        # A fused product is a call of the C library where the processor has none.
        self.fused = cpu.vector_bytes() > 16

    def add(self, x: str, y: str) -> str:
        return self.body.op("fadd", self.element, x, y)

    def sub(self, x: str, y: str) -> str:
        return self.body.op("fsub", self.element, x, y)

    def mul(self, x: str, y: str) -> str:
        return self.body.op("fmul", self.element, x, y)

    def mul_add(self, x: str, y: str, z: str) -> str:
        """``x * y + z``."""
        if self.fused:
            return self.body.intrinsic("llvm.fma", self.element, x, y, z)
        return self.add(self.mul(x, y), z)

    def neg(self, x: str) -> str:
        return self.body.let(f"fneg {self.body.type(self.element)} {x}")

    def scalar(self, value: float) -> str:
        return self.body.constant(self.element, value)

    def sum(self, x: Complex, y: Complex) -> Complex:
        return self.add(x[0], y[0]), self.add(x[1], y[1])

    def difference(self, x: Complex, y: Complex) -> Complex:
        return self.sub(x[0], y[0]), self.sub(x[1], y[1])

    def conjugate(self, x: Complex) -> Complex:
        return x[0], self.neg(x[1])

    def product(self, x: Complex, w: Complex) -> Complex:
        return (
            self.mul_add(x[0], w[0], self.neg(self.mul(x[1], w[1]))),
            self.mul_add(x[0], w[1], self.mul(x[1], w[0])),
        )

    def minus_i(self, x: Complex) -> Complex:
        return x[1], self.neg(x[0])

    # memory

    def at(self, pointer: str, index: str) -> str:
        return self.body.element(self.element, pointer, index)

    def load(self, pointer: str) -> Complex:
        """A point: the vector of its real halves, and after it that of its imaginary ones."""
        beside = self.at(pointer, str(self.body.lanes))
        return self.body.load(self.element, pointer), self.body.load(self.element, beside)

    def store(self, value: Complex, pointer: str) -> None:
        self.body.store(self.element, value[0], pointer)
        self.body.store(self.element, value[1], self.at(pointer, str(self.body.lanes)))

    def repeated(self, pointer: str, index: int) -> str:
        """A number of memory in all lanes."""
        scalar = self.body.at_lanes(1).load(self.element, self.at(pointer, str(index)))
        return self.body.broadcast(self.element, scalar)


def _emission(element: str) -> tuple[Emission, _Arithmetic]:
    body = Emission(lanes(element))
    return body, _Arithmetic(body, element)


def _times(body: Emission, x: str, y: str | int) -> str:
    return body.let(f"mul i64 {x}, {y}")


def _plus(body: Emission, x: str, y: str | int) -> str:
    return body.let(f"add i64 {x}, {y}")


# ---------------------------------------------------------------- butterflies


def _two(k: _Arithmetic, x: Sequence[Complex]) -> list[Complex]:
    return [k.sum(x[0], x[1]), k.difference(x[0], x[1])]


def _four(k: _Arithmetic, x: Sequence[Complex]) -> list[Complex]:
    """Two transforms of two points; the odd one's second result is turned by ``-i``, which is no product."""
    (a, b), (c, d) = _two(k, (x[0], x[2])), _two(k, (x[1], x[3]))
    return [
        k.sum(a, c),
        (k.add(b[0], d[1]), k.sub(b[1], d[0])),
        k.difference(a, c),
        (k.sub(b[0], d[1]), k.add(b[1], d[0])),
    ]


def _eight(k: _Arithmetic, x: Sequence[Complex]) -> list[Complex]:
    """Two transforms of four points; the odd one's results are turned by eighths, ``(1 - i) / sqrt(2)`` and so on."""
    even, odd = _four(k, x[::2]), _four(k, x[1::2])
    half = k.scalar(sqrt(0.5))
    one = k.mul(k.add(*odd[1]), half), k.mul(k.sub(odd[1][1], odd[1][0]), half)
    # minus the third, whose sum and difference below change places
    three = k.mul(k.sub(odd[3][0], odd[3][1]), half), k.mul(k.add(*odd[3]), half)
    two = odd[2]
    return [
        k.sum(even[0], odd[0]),
        k.sum(even[1], one),
        (k.add(even[2][0], two[1]), k.sub(even[2][1], two[0])),
        k.difference(even[3], three),
        k.difference(even[0], odd[0]),
        k.difference(even[1], one),
        (k.sub(even[2][0], two[1]), k.add(even[2][1], two[0])),
        k.sum(even[3], three),
    ]


def _odd(k: _Arithmetic, x: Sequence[Complex]) -> list[Complex]:
    """An odd number of points: ``x[l] + x[r - l]`` meet cosines, ``x[l] - x[r - l]`` sines."""
    r = len(x)
    half = range(1, r // 2 + 1)
    sums, differences = [k.sum(x[l], x[r - l]) for l in half], [k.difference(x[l], x[r - l]) for l in half]
    results = [functools.reduce(k.sum, sums, x[0]), *[x[0]] * (r - 1)]
    for j in half:
        even: Complex = x[0]
        odd: Complex | None = None
        for l, s, d in zip(half, sums, differences):
            c, sine = map(k.scalar, roots(r, l * j))
            even = k.mul_add(s[0], c, even[0]), k.mul_add(s[1], c, even[1])
            if odd is None:
                odd = k.mul(d[0], sine), k.mul(d[1], sine)
            else:
                odd = k.mul_add(d[0], sine, odd[0]), k.mul_add(d[1], sine, odd[1])
        assert odd is not None
        results[j] = k.add(even[0], odd[1]), k.sub(even[1], odd[0])
        results[r - j] = k.sub(even[0], odd[1]), k.add(even[1], odd[0])
    return results


_BUTTERFLIES: Final[dict[int, Callable[[_Arithmetic, Sequence[Complex]], list[Complex]]]] = {
    radix: {2: _two, 4: _four, 8: _eight}.get(radix, _odd) for radix in RADICES
}


def _print_butterflies(element: str) -> Emission:
    body, k = _emission(element)
    cases = " ".join([f"i64 {radix}, label %radix{radix}" for radix in RADICES])
    body.line(f"switch i64 %radix, label %none [ {cases} ]")
    for radix in RADICES:
        body.label(f"radix{radix}")
        _print_pass(body, k, radix)
    body.label("none")
    body.line("ret i64 1")
    return body


def _print_pass(body: Emission, k: _Arithmetic, radix: int) -> None:
    """One pass: ``m`` groups of ``stride`` butterflies. Those of the first group, in the last pass the only one, are
    not turned. The others are one loop: it takes points in order, and skips results when it goes over to a group."""
    point = 2 * body.lanes
    beside = _times(body, "%stride", point)
    across = _times(body, beside, "%m")

    def butterfly(x: str, y: str, turns: str) -> None:
        taken = []
        for j in range(radix):
            x = k.at(x, across) if j else x
            taken.append(k.load(x))
        for j, value in enumerate(_BUTTERFLIES[radix](k, taken)):
            if j and turns:
                value = k.product(value, (k.repeated(turns, 2 * j - 2), k.repeated(turns, 2 * j - 1)))
            y = k.at(y, beside) if j else y
            k.store(value, y)

    def first(index: str, _: list[str]) -> list[str]:
        moved = _times(body, index, point)
        butterfly(k.at("%x", moved), k.at("%y", moved), "")
        return []

    def other(index: str, carried: list[str]) -> list[str]:
        y, end, turns = carried
        butterfly(k.at("%x", _times(body, index, point)), y, turns)
        following = k.at(y, str(point))
        is_last = body.let(f"icmp eq ptr {following}, {end}")
        moved = k.at(following, skipped), k.at(end, results), k.at(turns, str(2 * (radix - 1)))
        kept = following, end, turns
        return [body.let(f"select i1 {is_last}, ptr {a}, ptr {b}") for a, b in zip(moved, kept)]

    counted_loop(body, f"first{radix}", "0", "%stride", 1, [], first)
    results, skipped = _times(body, beside, radix), _times(body, beside, radix - 1)
    y = k.at("%y", results)
    stop = _times(body, "%m", "%stride")
    carried = [("ptr", y), ("ptr", k.at(y, beside)), ("ptr", "%turns")]
    counted_loop(body, f"turned{radix}", "%stride", stop, 1, carried, other)
    body.line("ret i64 0")


@vector_routine(_print_butterflies)
def butterflies(radix: int, x: Reals, y: Reals, m: int, stride: int, turns: Reals) -> int:
    """A pass from ``x`` to ``y``, of ``stride`` transforms side by side."""
    raise NotImplementedError


# ---------------------------------------------------------------- transforms of reals


def _print_split(element: str) -> Emission:
    body, k = _emission(element)
    point = 2 * body.lanes
    zero = k.scalar(0.0)
    real, imaginary = k.load("%z")
    last = k.at("%x", _times(body, "%m", point))
    k.store((k.add(real, imaginary), zero), "%x")
    k.store((k.sub(real, imaginary), zero), last)

    def step(index: str, _: list[str]) -> list[str]:
        here, there = _times(body, index, point), _times(body, body.let(f"sub i64 %m, {index}"), point)
        a, b = k.load(k.at("%z", here)), k.conjugate(k.load(k.at("%z", there)))
        turn = k.at("%turns", _times(body, index, 2))
        even, odd = k.sum(a, b), k.product(k.minus_i(k.difference(a, b)), (k.repeated(turn, 0), k.repeated(turn, 1)))
        half = k.scalar(0.5)
        first, second = k.sum(even, odd), k.conjugate(k.difference(even, odd))
        k.store((k.mul(first[0], half), k.mul(first[1], half)), k.at("%x", here))
        k.store((k.mul(second[0], half), k.mul(second[1], half)), k.at("%x", there))
        return []

    counted_loop(body, "points", "1", _plus(body, body.let("sdiv i64 %m, 2"), 1), 1, [], step)
    body.line("ret i64 0")
    return body


@vector_routine(_print_split)
def split_halves(z: Reals, x: Reals, m: int, turns: Reals) -> int:
    """The transform ``x`` (``m + 1`` points) of ``2 m`` reals, from that of ``m`` pairs seen as complex numbers.

    The even elements' transform is ``E[k] = (z[k] + conj(z[m - k])) / 2``, the odd ones' ``O[k]`` is the difference
    over ``2 i``, and ``x[k] = E[k] + w**k O[k]``, ``x[m - k] = conj(E[k] - w**k O[k])``. ``turns``: ``w**k``."""
    raise NotImplementedError


def _print_join(element: str) -> Emission:
    body, k = _emission(element)
    point = 2 * body.lanes
    first, last = k.load("%x"), k.load(k.at("%x", _times(body, "%m", point)))
    k.store((k.sub(first[0], last[0]), k.add(first[0], last[0])), "%z")

    def step(index: str, _: list[str]) -> list[str]:
        here, there = _times(body, index, point), _times(body, body.let(f"sub i64 %m, {index}"), point)
        a, b = k.load(k.at("%x", here)), k.conjugate(k.load(k.at("%x", there)))
        turn = k.at("%turns", _times(body, index, 2))
        odd = k.product(k.difference(a, b), (k.repeated(turn, 0), k.neg(k.repeated(turn, 1))))
        even, turned = k.sum(a, b), k.minus_i(odd)
        for value, place in ((k.difference(even, turned), here), (k.conjugate(k.sum(even, turned)), there)):
            k.store(value[::-1], k.at("%z", place))
        return []

    counted_loop(body, "points", "1", _plus(body, body.let("sdiv i64 %m, 2"), 1), 1, [], step)
    body.line("ret i64 0")
    return body


@vector_routine(_print_join)
def join_halves(x: Reals, z: Reals, m: int, turns: Reals) -> int:
    """What :func:`split_halves` does, backwards and twice as large: ``z = E + i O`` of ``E[k] = x[k] + conj(x[m - k])``
    and ``O[k] = (x[k] - conj(x[m - k])) / w**k``. Imaginary parts of the first and last ``x`` are not looked at; halves
    of ``z`` are exchanged, for the way back."""
    raise NotImplementedError


# ---------------------------------------------------------------- bringing rows in


def _copy_loop(body: Emission, count: str, step: Callable[[str], None]) -> None:
    def iteration(index: str, _: list[str]) -> list[str]:
        step(index)
        return []

    counted_loop(body, "points", "0", count, 1, [], iteration)


def _print_pairs_in(element: str) -> Emission:
    body, k = _emission(element)
    wide = body.at_lanes(2 * body.lanes)

    def step(index: str) -> None:
        both = wide.load(element, k.at("%x", _times(body, index, "%step")))
        point = _times(body, index, wide.lanes)
        for part, pointer in enumerate(_halves(k, "%work")):
            half = _picked(wide, element, both, range(part, wide.lanes, 2))
            body.store(element, half, k.at(pointer, point))

    _copy_loop(body, "%count", step)
    body.line("ret i64 0")
    return body


def _halves(k: _Arithmetic, work: str) -> tuple[str, str]:
    """Where real and imaginary parts go, or come from: in each other's place where ``%exchanged``."""
    exchange = k.body.let("icmp ne i64 %exchanged, 0")
    orders = ((k.body.lanes, 0), (0, k.body.lanes))
    real, imaginary = [k.body.let(f"select i1 {exchange}, i64 {a}, i64 {b}") for a, b in orders]
    return k.at(work, real), k.at(work, imaginary)


def _picked(body: Emission, element: str, vector: str, places: Sequence[int]) -> str:
    """The lanes at ``places``."""
    kind, order = body.type(element), ", ".join([f"i32 {place}" for place in places])
    return body.let(f"shufflevector {kind} {vector}, {kind} poison, <{len(places)} x i32> <{order}>")


@vector_routine(_print_pairs_in)
def pairs_in(x: Reals, step: int, count: int, work: Reals, exchanged: int) -> int:
    """Complex rows that lie side by side; ``step`` from point to point. ``exchanged``: imaginary parts come first."""
    raise NotImplementedError


def _print_lanes_in(element: str) -> Emission:
    body, k = _emission(element)

    def step(index: str) -> None:
        value = body.load(element, k.at("%x", _times(body, index, "%step")))
        body.store(element, value, k.at("%work", _times(body, index, body.lanes)))

    _copy_loop(body, "%count", step)
    body.line("ret i64 0")
    return body


@vector_routine(_print_lanes_in)
def lanes_in(x: Reals, step: int, count: int, work: Reals) -> int:
    """Real rows that lie side by side; ``step`` from point to point."""
    raise NotImplementedError


def _print_gathered_in(element: str) -> Emission:
    body, k = _emission(element)
    pointers = row_pointers(body, element, "%x", "%rows", "%row", body.lanes)

    def step(index: str) -> None:
        value, place = "poison", _times(body, index, "%step")
        for lane, pointer in enumerate(pointers):
            scalar = body.at_lanes(1).load(element, k.at(pointer, place))
            value = body.let(f"insertelement {body.type(element)} {value}, {element} {scalar}, i64 {lane}")
        body.store(element, value, k.at("%work", _times(body, index, "%between")))

    _copy_loop(body, "%count", step)
    body.line("ret i64 0")
    return body


@vector_routine(_print_gathered_in)
def gathered_in(x: Reals, rows: int, row: int, step: int, count: int, work: Reals, between: int) -> int:
    """Reals that lie in any way: ``row`` from row to row, ``step`` from point to point; ``between`` vectors of
    ``work``."""
    raise NotImplementedError


def _print_transposed_in(element: str) -> Emission:
    body, k = _emission(element)
    pointers = row_pointers(body, element, "%x", "%rows", "%row", body.lanes)

    def tile(start: str, mask: str = "") -> None:
        rows = [body.load(element, k.at(pointer, start), mask) for pointer in pointers]
        halves = [k.at(pointer, _times(body, start, body.lanes)) for pointer in _halves(k, "%work")]
        for number, column in enumerate(transposed(body, element, rows)):
            body.store(element, column, k.at(halves[number % 2], str((number & ~1) * body.lanes)))

    _tiles(body, tile)
    body.line("ret i64 0")
    return body


def _tiles(body: Emission, tile: Callable[..., None]) -> None:
    """Squares of as many elements of each row as a vector has lanes; of the last one only what ``%count`` leaves."""
    stop = body.let(f"and i64 %count, {-body.lanes}")

    def iteration(start: str, _: list[str]) -> list[str]:
        tile(start)
        return []

    counted_loop(body, "tiles", "0", stop, body.lanes, [], iteration)
    rest = body.let(f"sub i64 %count, {stop}")
    body.line(f"br i1 {body.let(f'icmp sgt i64 {rest}, 0')}, label %rest, label %done")
    body.label("rest")
    tile(stop, body.first_lanes(rest))
    body.line("br label %done")
    body.label("done")


@vector_routine(_print_transposed_in)
def transposed_in(x: Reals, rows: int, row: int, count: int, work: Reals, exchanged: int) -> int:
    """Rows whose ``count`` reals (halves of complex numbers by turns) lie side by side."""
    raise NotImplementedError


# ---------------------------------------------------------------- bringing rows out


class _Watch:
    """Sums up zero times what is stored: NaN in the lanes of rows that hold a number which is not finite."""

    def __init__(self, body: Emission, element: str) -> None:
        self.body, self.element = body, element
        self.memory = body.let(f"alloca {body.type(element)}, align 64")
        self._keep(body.constant(element, 0.0))

    def _keep(self, value: str) -> None:
        self.body.store(self.element, value, self.memory)

    def see(self, values: Sequence[str]) -> None:
        kind, zero = self.element, self.body.constant(self.element, 0.0)
        terms = [self.body.load(kind, self.memory), *[self.body.op("fmul", kind, value, zero) for value in values]]
        while len(terms) > 1:  # pair by pair: a chain of additions would take longer than what it watches
            rest = terms[len(terms) & ~1 :]
            terms = [self.body.op("fadd", kind, x, y) for x, y in zip(terms[::2], terms[1::2])] + rest
        self._keep(terms[0])

    def give_back(self) -> None:
        """Return the lanes' bits."""
        total = self.body.load(self.element, self.memory)
        flags = self.body.compare("uno", self.element, total, total)
        bits = self.body.let(f"bitcast {self.body.type('i1')} {flags} to i{self.body.lanes}")
        self.body.line(f"ret i64 {self.body.let(f'zext i{self.body.lanes} {bits} to i64')}")


def _scaled(body: Emission, element: str, pointer: str, factor: str) -> str:
    """A vector of the work, times the factor."""
    return body.op("fmul", element, body.load(element, pointer), factor)


def _print_pairs_out(element: str) -> Emission:
    body, k = _emission(element)
    watch, factor = _Watch(body, element), body.broadcast(element, "%factor")
    wide = body.at_lanes(2 * body.lanes)
    order = ", ".join([f"i32 {lane // 2 + lane % 2 * body.lanes}" for lane in range(wide.lanes)])

    def step(index: str) -> None:
        point = _times(body, index, wide.lanes)
        real, imaginary = [_scaled(body, element, k.at(pointer, point), factor) for pointer in _halves(k, "%work")]
        watch.see((real, imaginary))
        kind = body.type(element)
        both = body.let(f"shufflevector {kind} {real}, {kind} {imaginary}, <{wide.lanes} x i32> <{order}>")
        wide.store(element, both, k.at("%out", _times(body, index, "%step")))

    _copy_loop(body, "%count", step)
    watch.give_back()
    return body


@vector_routine(_print_pairs_out)
def pairs_out(work: Reals, factor: float, count: int, out: Reals, step: int, exchanged: int) -> int:
    """The opposite of :func:`pairs_in`, times a factor; bits of the lanes that are not finite."""
    raise NotImplementedError


def _print_lanes_out(element: str) -> Emission:
    body, k = _emission(element)
    watch, factor = _Watch(body, element), body.broadcast(element, "%factor")

    def step(index: str) -> None:
        values = []
        for part, pointer in enumerate(_halves(k, "%work")):
            value = _scaled(body, element, k.at(pointer, _times(body, index, 2 * body.lanes)), factor)
            place = _plus(body, _times(body, index, 2), part)
            body.store(element, value, k.at("%out", _times(body, place, "%step")))
            values.append(value)
        watch.see(values)

    _copy_loop(body, "%count", step)
    watch.give_back()
    return body


@vector_routine(_print_lanes_out)
def lanes_out(work: Reals, factor: float, count: int, out: Reals, step: int, exchanged: int) -> int:
    """Pairs of reals to rows that lie side by side, times a factor; bits of the lanes that are not finite."""
    raise NotImplementedError


def _print_transposed_out(element: str) -> Emission:
    body, k = _emission(element)
    watch, factor = _Watch(body, element), body.broadcast(element, "%factor")
    pointers = row_pointers(body, element, "%out", "%rows", "%row", body.lanes)

    def tile(start: str, mask: str = "") -> None:
        halves = _halves(k, "%work")
        places = [_plus(body, start, number & ~1) for number in range(body.lanes)]
        if mask:  # vectors beyond the last point hold anything
            last = _plus(body, "%count", -2)
            places = [body.let(f"call i64 @llvm.smin.i64(i64 {place}, i64 {last})") for place in places]
        places = [k.at(halves[number % 2], _times(body, place, body.lanes)) for number, place in enumerate(places)]
        columns = [_scaled(body, element, place, factor) for place in places]
        watch.see(columns)
        for pointer, row in zip(pointers, transposed(body, element, columns)):
            body.store(element, row, k.at(pointer, start), mask)

    _tiles(body, tile)
    watch.give_back()
    return body


@vector_routine(_print_transposed_out)
def transposed_out(work: Reals, factor: float, count: int, out: Reals, rows: int, row: int, exchanged: int) -> int:
    """The opposite of :func:`transposed_in`, times a factor; bits of the lanes that are not finite."""
    raise NotImplementedError
