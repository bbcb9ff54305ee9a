"""The rows of a Jacobian all at once: every value that differs from row to row gets an axis of rows in front.

    %13: float64[100] = multiply(%12, %9)               a row: the seed %12, and %9, which is the same for all
    %23: float64[100, 100] = multiply(%22, %9<0:0,1>)   all rows

A kernel of many rows costs one launch, the matrix that all rows are multiplied by is read once, and on a device the
rows run at the same time. What is in between has the memory of all rows: where that leaves the cache, rows are better
worked off one by one (:mod:`.row_loops`), unless they are multiplied by matrices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from .builder import Builder
from .graph import Call, Gemm, Init, Literal, Map, Node, Operand, Piece, Reduce, Value, View
from .rules.products import SMALL_PRODUCT, product

__all__ = ["MOST_ELEMENTS", "RowBatch"]

#: elements of all rows of a value, at most. Measured: Hessians of elementwise functions take 0.6 to 1.2 of a loop's
#: time up to the first of them, 1.1 to 1.8 beyond; where there are products, 0.2 to 0.7 up to the second. The third is
#: for devices, whose memory they may take up
MOST_ELEMENTS = {"elementwise": 1 << 14, "products": 1 << 22, "device": 1 << 26}
#: calls that are products of matrices
_PRODUCTS: Final = ("matrix_product", "matrix_vector")
_ELEMENTWISE: Final = (Map, Reduce, Init, Piece)


class _Rows(NamedTuple):
    """Where the rows of a value are: in ``value``, from element ``start`` on, ``step`` elements apart."""

    value: Value
    step: int
    start: int


class RowBatch:
    """The nodes of one row, that of ``seed``, for all ``count`` rows. ``changing``: values that differ among them."""

    def __init__(self, builder: Builder, count: int, seed: Value, changing: Iterable[Value]) -> None:
        self.builder = builder
        self.count = count
        self.seed = seed
        self.changing = frozenset(changing)
        self.rows: dict[Value, _Rows] = {}
        #: the terms of sums, by their value, where nothing else reads them
        self.terms: dict[Value, Map] = {}

    def pays(self, nodes: list[Node], rows: list[Operand], for_device: bool) -> bool:
        """Whether there is a form for all rows of each of these nodes, and they are short enough for it."""
        others = [node for node in nodes if not isinstance(node, _ELEMENTWISE)]
        if not all([isinstance(node, (Gemm, Call)) and _is_product(node) for node in others]):
            return False
        terms = _terms(nodes, rows)
        sums = [node for node in nodes if isinstance(node, Reduce) and node.arg.value in terms]
        multiplies = bool(others) or any([self._factors(node, terms[node.arg.value]) for node in sums])
        summed = {node.arg.value for node in nodes if isinstance(node, Reduce)}  # terms have no memory
        elements = self.count * max([value.size for value in self.changing - summed], default=0)
        return elements <= MOST_ELEMENTS["device" if for_device else "products" if multiplies else "elementwise"]

    def of(self, basis: View, nodes: list[Node], rows: list[Operand]) -> list[View]:
        """Append all rows of the nodes to the graph; all rows of what they compute.

        ``basis`` holds the unit vectors, ``[0, ..., 0, 1, 0, ..., 0]``: each begins one element before the last one.
        """
        self.rows[self.seed] = _Rows(basis.value, -1, self.count - 1)
        self.terms = _terms(nodes, rows)
        for node in nodes:
            if type(node) is not Map or node.out not in self.terms:
                self._MAKERS[type(node)](self, node)
        return [self._all(view, view.shape) for view in map(self.builder.view, rows)]

    # ---------------------------------------------------------------- operands

    def _all(self, view: View, shape: tuple[int, ...]) -> View:
        """A view with an axis of rows in front; a single element is repeated over ``shape``."""
        strides = view.strides if view.shape == shape else (0,) * len(shape)
        window = None if view.window is None else (None, *view.window)
        if view.value not in self.changing:
            return View(view.value, (self.count, *shape), (0, *strides), view.offset, window)
        value, step, start = self.rows[view.value]
        return View(value, (self.count, *shape), (step, *strides), start + view.offset, window)

    def _term(self, operand: Any, shape: tuple[int, ...]) -> Any:
        """The operand of an operation on elements; single ones that are the same in all rows stay as they are."""
        if type(operand) is Literal or (operand.shape == () and operand.value not in self.changing):
            return operand
        return self._all(operand, shape)

    def _new(self, value: Value) -> Value:
        made = self.builder.new_value((self.count, *value.shape), value.dtype)
        self.rows[value] = _Rows(made, value.size, 0)
        return made

    def _append(self, node: Node) -> None:
        self.builder.graph.nodes.append(node)

    # ---------------------------------------------------------------- nodes

    def _map(self, node: Map) -> None:
        shape = node.out.shape
        self._append(Map(node.op, tuple([self._term(arg, shape) for arg in node.args]), self._new(node.out)))

    def _reduce(self, node: Reduce) -> None:
        terms = self.terms.get(node.arg.value)
        factors = None if terms is None else self._factors(node, terms)
        if factors is not None:  # a row's product, too small for BLAS, is one of matrices for all rows
            vector, matrix = factors
            self._note_product(node.out, product(self.builder, self._all(vector, vector.shape), matrix))
            return
        if terms is not None:
            self._map(terms)
        arg = self._all(node.arg, node.arg.shape)
        self._append(Reduce(node.op, arg, tuple([axis + 1 for axis in node.axes]), self._new(node.out)))

    def _init(self, node: Init) -> None:
        source = None if node.source is None else self._term(node.source, node.out.shape)
        self._append(Init(self._new(node.out), source))

    def _piece(self, node: Piece) -> None:
        shape = node.region.shape
        position = None if node.position is None else self._all(node.position, shape)
        self._append(Piece(self._all(node.region, shape), self._term(node.arg, shape), node.add, position))

    def _product(self, node: Gemm | Call) -> None:
        left, right = node.reads
        if len(right.shape) == 2:  # of matrix_vector: a vector for each matrix
            right = right._replace(shape=(*right.shape, 1), strides=(*right.strides, 0))
        self._note_product(node.outs[0], self._by_product(left, right))

    def _note_product(self, value: Value, made: View) -> None:
        self.rows[value] = _Rows(self.builder.dense(made).value, value.size, 0)

    def _factors(self, node: Reduce, terms: Map) -> tuple[View, View] | None:
        """Of a sum of products the vector, which differs from row to row, and the matrix, which does not; else None."""
        (axis,), (one, other) = node.axes, terms.reads
        vector, matrix = (other, one) if other.value in self.changing else (one, other)
        columns = [a for a, size in enumerate(terms.out.shape) if a != axis and size > 1]
        if vector.value not in self.changing or matrix.value in self.changing or len(columns) != 1:
            return None
        k, n = terms.out.shape[axis], node.out.size
        if vector.strides[columns[0]] or self.count * k * n <= SMALL_PRODUCT:
            return None
        strides = matrix.strides[axis], matrix.strides[columns[0]]
        return (
            vector._replace(shape=(k,), strides=(vector.strides[axis],)),
            matrix._replace(shape=(k, n), strides=strides),
        )

    def _by_product(self, left: View, right: View) -> View:
        """All rows of a product, in the order in which one row's elements lie.

        Rows that share a matrix make one product with it.
        """
        single = left.shape[0] == 1
        if single and left.shape[1] == 1 and right.value not in self.changing:  # vector times matrix
            rows = self._all(left, left.shape)
            return product(self.builder, _without_axes(rows, 1, 2), _without_axes(right, 0))
        if single and right.shape[2] == 1 and left.value not in self.changing:  # matrix times vector
            rows, matrix = self._all(right, right.shape), _without_axes(left, 0)
            transposed = matrix._replace(shape=matrix.shape[::-1], strides=matrix.strides[::-1])
            return product(self.builder, _without_axes(rows, 1, 3), transposed)
        return product(self.builder, self._all(left, left.shape), self._all(right, right.shape))

    _MAKERS: Final[dict[type, Callable]] = {
        Map: _map, Reduce: _reduce, Init: _init, Piece: _piece, Gemm: _product, Call: _product,
    }  # fmt: skip


def _is_product(node: Gemm | Call) -> bool:
    return isinstance(node, Gemm) or node.routine in _PRODUCTS


def _terms(nodes: list[Node], rows: list[Operand]) -> dict[Value, Map]:
    """The products of two views that a sum over one axis reads in their own order, and nothing else."""
    readers = Counter([view.value for node in nodes for view in node.reads])
    readers.update([row.value for row in rows if isinstance(row, View)])
    made = {node.out: node for node in nodes if type(node) is Map and node.op == "multiply" and len(node.reads) == 2}
    return {
        node.arg.value: made[node.arg.value]
        for node in nodes
        if type(node) is Reduce and node.op == "sum" and len(node.axes) == 1 and node.arg.value in made
        and node.arg.is_dense and node.arg.shape == node.arg.value.shape and readers[node.arg.value] == 1
    }  # fmt: skip


def _without_axes(view: View, *axes: int) -> View:
    """A view without these axes, each of one element."""
    kept = [axis for axis in range(len(view.shape)) if axis not in axes]
    return view._replace(
        shape=tuple([view.shape[axis] for axis in kept]), strides=tuple([view.strides[axis] for axis in kept])
    )
