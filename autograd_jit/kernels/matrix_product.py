"""Matrix products of middling size by vectors of our own, where the BLAS library uses shorter ones than there are.

OpenBLAS, as NumPy's wheels bring it, takes AMD's Zen 4 and 5 for older processors and uses half of their vectors. From
64 cubed multiplications on it asks its threads, too, which on a busy machine takes a hundred times as long as the
product (a network's gradient of 35 million operations, two cores: 0.64 ms or 70). One thread with whole vectors takes
what two of its threads take at best, 0.45 ms.

The method is that of all such libraries: the rows of a panel of the right matrix, three vectors wide, are put one after
the other; a tile of the result, eight rows of three vectors, stays in registers while the left matrix' elements pass
by, each repeated in all lanes. An element is a sum in the order of its index that rounds once a term, in blocks of 256
terms, as OpenBLAS has it for most sizes.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Final

import numpy as np

from . import cpu
from .blas import numpy_library
from .kernel_ir import counted_loop
from .llvm import lanes
from .subset import Ints, Reals, by_precision, place, reals_at, routine, vector_routine
from .vector_ir import Emission, row_pointers, transposed

__all__ = ["matrix_product", "pays", "workspace"]

_DOUBLES: Final = lanes("double")
_FLOATS: Final = lanes("float")
#: rows and vectors of a tile: 24 registers of 32, and three of the panel, and one of the left matrix
_ROWS: Final = 8
_VECTORS: Final = 3
#: bytes of a vector in OpenBLAS' products, by the name of what it was built for, where that is less than ours may be
_NARROW: Final = {"Haswell": 32, "Zen": 32, "Sandybridge": 32, "Nehalem": 16, "Prescott": 16}
#: multiplications from which OpenBLAS asks its threads
_THREADED: Final = 64**3
#: beyond it the matrices leave the cache, and there is time for threads
_MOST: Final = 1 << 24
#: terms that are summed in registers before they are added to the result, which bounds the panel, and errors of long
#: sums
_BLOCK: Final = 256


@functools.cache
def _advantage() -> tuple[float, int]:
    """How much longer our vectors are than those of NumPy's library, and how many threads it has."""
    library = numpy_library()
    name = getattr(library, "scipy_openblas_get_corename64_", None)
    threads = getattr(library, "scipy_openblas_get_num_threads64_", None)
    if name is None or threads is None:  # another library, or none: what it does is not known
        return 0.0, 1
    name.restype = ctypes.c_char_p
    ours = cpu.vector_bytes()
    return ours / _NARROW.get(name().decode(), ours), threads()


def pays(m: int, k: int, n: int) -> bool:
    """Whether a product of ``m`` by ``k`` by ``n`` is expected to be faster here than in BLAS."""
    advantage, threads = _advantage()
    work = m * k * n
    return advantage > 1 and advantage >= (threads if work > _THREADED else 1) and work <= _MOST


def workspace(k: int, dtype: np.dtype) -> int:
    """Elements of the panel of a product whose sums are of ``k`` terms."""
    width = _FLOATS if dtype == np.float32 else _DOUBLES
    return (min(k, _BLOCK) + width) * _VECTORS * width


@routine
def matrix_product(slots: Ints, words: Ints) -> int:
    """``out, panel = matrix_product(left, right)``. Numbers: count, rows, terms, columns."""
    m = words[1]
    k = words[2]
    n = words[3]
    left = reals_at(place(slots, words, 12))
    right = reals_at(place(slots, words, 17))
    out = reals_at(place(slots, words, 22))
    panel = reals_at(place(slots, words, 24))
    width = by_precision(_DOUBLES, _FLOATS)
    for _ in range(words[0]):
        column = 0
        while column < n:
            columns = n - column
            vectors = (columns + width - 1) // width
            if vectors > _VECTORS:
                vectors = _VECTORS
            term = 0
            while term < k:
                terms = k - term
                if terms > _BLOCK:
                    terms = _BLOCK
                source = right + term * words[20] + column * words[21]
                for i in range(vectors):
                    rest = columns - i * width
                    if words[21] == 1:
                        gather_rows(source + i * width, words[20], terms, rest, panel + i * width, vectors * width)
                    else:
                        first = source + i * width * words[21]
                        gather_columns(first, words[21], terms, rest, panel + i * width, vectors * width)
                row = 0
                while row < m:
                    rows = left + row * words[15] + term * words[16]
                    target = out + row * n + column
                    tile(vectors, rows, m - row, words[15], words[16], terms, panel, target, n, columns, term)
                    row = row + _ROWS
                term = term + terms
            column = column + vectors * width
        left = left + words[14]
        right = right + words[19]
        out = out + m * n
    return 0


# ---------------------------------------------------------------- the panel


def _print_gather_rows(element: str) -> Emission:
    body = Emission(lanes(element))
    mask = body.first_lanes("%columns")

    def step(index: str, _: list[str]) -> list[str]:
        source = body.element(element, "%x", body.let(f"mul i64 {index}, %row"))
        value = body.load(element, source, mask, 0.0)
        body.store(element, value, body.element(element, "%panel", body.let(f"mul i64 {index}, %between")))
        return []

    counted_loop(body, "rows", "0", "%k", 1, [], step)
    body.line("ret i64 0")
    return body


@vector_routine(_print_gather_rows)
def gather_rows(x: Reals, row: int, k: int, columns: int, panel: Reals, between: int) -> int:
    """A vector's width of columns of a matrix whose rows lie ``row`` apart; beyond ``columns`` zeros."""
    raise NotImplementedError


def _print_gather_columns(element: str) -> Emission:
    body = Emission(lanes(element))
    pointers = row_pointers(body, element, "%x", "%columns", "%column", body.lanes)

    def square(start: str, _: list[str]) -> list[str]:
        rest = body.let(f"sub i64 %k, {start}")
        mask = body.first_lanes(rest)
        columns = [body.load(element, body.element(element, pointer, start), mask, 0.0) for pointer in pointers]
        for number, row in enumerate(transposed(body, element, columns)):
            index = body.let(f"add i64 {start}, {number}")
            body.store(element, row, body.element(element, "%panel", body.let(f"mul i64 {index}, %between")))
        return []

    counted_loop(body, "squares", "0", "%k", body.lanes, [], square)
    body.line("ret i64 0")
    return body


@vector_routine(_print_gather_columns)
def gather_columns(x: Reals, column: int, k: int, columns: int, panel: Reals, between: int) -> int:
    """The same of a matrix whose columns are ``k`` numbers side by side, and lie ``column`` apart."""
    raise NotImplementedError


# ---------------------------------------------------------------- tiles


def _print_tile(element: str) -> Emission:
    body = Emission(lanes(element))
    cases = " ".join([f"i64 {count}, label %wide{count}" for count in range(1, _VECTORS + 1)])
    body.line(f"switch i64 %vectors, label %none [ {cases} ]")
    for count in range(1, _VECTORS + 1):
        body.label(f"wide{count}")
        _print_tile_of(body, element, count)
    body.label("none")
    body.line("ret i64 1")
    return body


def _print_tile_of(body: Emission, element: str, vectors: int) -> None:
    rows = row_pointers(body, element, "%left", "%rows", "%row", _ROWS)
    scalar = body.at_lanes(1)

    def term(index: str, sums: list[str]) -> list[str]:
        moved = body.let(f"mul i64 {index}, %step")
        place = body.element(element, "%panel", body.let(f"mul i64 {index}, {vectors * body.lanes}"))
        across = [body.load(element, body.element(element, place, str(i * body.lanes))) for i in range(vectors)]
        following = []
        for i, pointer in enumerate(rows):
            factor = body.broadcast(element, scalar.load(element, body.element(element, pointer, moved)))
            held = sums[i * vectors : (i + 1) * vectors]
            following += [body.intrinsic("llvm.fma", element, factor, x, total) for x, total in zip(across, held)]
        return following

    start = [(element, body.constant(element, 0.0))] * (_ROWS * vectors)
    sums = counted_loop(body, f"terms{vectors}", "0", "%k", 1, start, term)
    out = row_pointers(body, element, "%out", "%rows", "%out_row", _ROWS)
    masks = [body.first_lanes(body.let(f"sub i64 %columns, {i * body.lanes}")) for i in range(vectors)]
    adds = body.broadcast("i1", body.let("icmp ne i64 %before, 0"))
    targets = [body.element(element, pointer, str(i * body.lanes)) for pointer in out for i in range(vectors)]
    seen = [body.op("and", "i1", adds, mask) for mask in masks]
    # All that is there is loaded before any is stored: a row may be taken twice. The first terms are added to zero, as
    # in BLAS: a negative sum that is too small for a number is 0.0 there, not -0.0.
    olds = [body.load(element, target, mask, 0.0) for target, mask in zip(targets, seen * _ROWS)]
    for target, mask, old, total in zip(targets, masks * _ROWS, olds, sums):
        body.store(element, body.op("fadd", element, old, total), target, mask)
    body.line("ret i64 0")


@vector_routine(_print_tile)
def tile(
    vectors: int,
    left: Reals,
    rows: int,
    row: int,
    step: int,
    k: int,
    panel: Reals,
    out: Reals,
    out_row: int,
    columns: int,
    before: int,
) -> int:
    """Eight rows of the product with a panel of so many vectors; added to what is there, if there are terms ``before``.

    Of fewer ``rows`` the last one is taken again."""
    raise NotImplementedError
