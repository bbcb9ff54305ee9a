"""Rows of a Jacobian on a tape: one pull is recorded, for a seed that stands for every unit vector.

Reverse mode pulls one unit cotangent per output element, and each pull does the same operations. Under the recorder
the first one is written down once, as a *section* that a replay runs for each row; what it computes without looking at
the seed (``cos(x)`` for the adjoint of ``sin(x)``) stays in front of it. The Jacobian of ``sin``:

    v1: f64[100] = sin(x)
    v2: f64[100] = cos(x)
    v4: f64[100,100] = linear_rows(for each unit vector v3: f64[100], v2)
        v5: f64[100] = multiply(v3, v2)
        row of v4: v5

The trace still gives the interpreted answer: the other rows are pulled on plain values. That every row takes the same
way is not assumed. Whatever branches on a value that depends on the seed shows as a guard, and what depends on anything
else shows where the last row is recorded, too, and compared with the first. Then, and wherever else a section
cannot hold what happens, each row is recorded by itself.

Forward mode gives columns by the same means: it runs the function with one unit tangent for each input element. The
first run is written down, and all others are recorded to be compared with it, since a function of a user's is more
likely than a rule to do something else the next time. No run is made twice: what makes no section stays on the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import record
from . import tree
from .aliases import evaluate
from .cotangent import abstract
from .snapshots import same_contents
from .tape import Constant, Guard, Op, Var
from .tracer import BOX_TYPES, Primitive, concrete

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["FEWEST_ROWS", "Section", "draws_recorded", "linear_rows", "record_columns", "record_rows", "unit_vectors"]

#: fewer rows are recorded one by one: two are recorded in any case
FEWEST_ROWS = 3
#: dtypes of seeds and rows: those of which kernels can make and store them
_DTYPES = frozenset(map(np.dtype, (np.float64, np.float32)))


@record(frozen=True, eq=False)
class Section:
    """What a replay does for each unit vector ``seed``: ``ops``, of which ``rows`` are the results.

    ``operands``: what the operations read that is computed before.
    """

    seed: Var
    ops: tuple[Op, ...]
    rows: tuple[Var, ...]
    operands: tuple[Var, ...]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.seed.type.size

    def __repr__(self) -> str:
        return f"for each unit vector {self.seed}: {self.seed.type}"

    def lines(self, outputs: tuple[Var, ...]) -> list[str]:
        """The operations as the tape prints them, and which of ``outputs`` the results are rows of."""
        return [*map(str, self.ops), *[f"row of {out}: {row}" for out, row in zip(outputs, self.rows)]]


def unit_vectors(shape: tuple[int, ...], dtype: np.dtype, unit: Any = 1) -> Iterator[Any]:
    """The standard basis: each vector an array of its own, since rules may hand it on."""
    if not shape:
        yield dtype.type(unit)
        return
    for position in range(int(np.prod(shape))):
        yield _unit_vector(shape, dtype, position, unit)


def _unit_vector(shape: tuple[int, ...], dtype: np.dtype, position: int, unit: Any = 1) -> np.ndarray:
    vector = np.zeros(shape, dtype)
    vector.reshape(-1)[position] = unit
    return vector


def _linear_rows(section: Section, *operands: Any) -> tuple:
    """The rows of every result, stacked: what lowering makes a loop of, by the operations' own functions."""
    stacked = tuple([np.zeros((section.count, *row.type.shape), row.type.dtype) for row in section.rows])
    known = dict(zip([var.number for var in section.operands], operands, strict=True))
    for number, seed in enumerate(unit_vectors(section.seed.type.shape, section.seed.type.dtype)):
        values = {**known, section.seed.number: seed}
        for op in section.ops:
            values.update(evaluate(op, values))
        for out, row in zip(stacked, section.rows):
            out[number] = values[row.number]
    return stacked


#: the operation of a tape that holds a section: its first argument
linear_rows = Primitive(_linear_rows, "linear_rows", differentiable=False)


def record_rows(
    pull: Callable[[Any], list], inputs: list, likes: list, shape: tuple, dtype: np.dtype
) -> list | None:
    """What ``pull`` gives for all unit vectors of ``shape``, stacked; recorded as one section.

    ``pull`` is a linear map to a list of values, each None for zero or of the shape and dtype of one of ``likes``. The
    result has an array for each, or None. It is None itself where none of ``inputs`` is recorded, or where rows need
    a record each: the tape is then as it was before.
    """
    recorder = _recorder(inputs)
    count = int(np.prod(shape))
    if recorder is None or recorder.is_closed or count < FEWEST_ROWS or dtype not in _DTYPES:
        return None
    before = _State(recorder)
    found = _rows(recorder, pull, likes, [_unit_vector(shape, dtype, position) for position in range(count)])
    if found is None:
        before.restore(recorder)
        return None
    section, results = found
    values = tuple([block for block in results if block is not None])
    boxes = iter(recorder.record_section(linear_rows, section, values))
    return [None if block is None else next(boxes) for block in results]


def record_columns(
    push: Callable[[Any], list], inputs: list, likes: list, shape: tuple, dtype: np.dtype
) -> list:
    """What ``push`` gives for all unit vectors of ``shape``: for each result an array, columns along its first axis,
    where they are recorded as one section; else a list of them; None where all of them are zero.

    ``push`` is as the ``pull`` of :func:`record_rows`, but runs the user's function: once for each
    vector, in order, and its errors are the caller's.
    """
    recorder = _recorder(inputs)
    vectors = unit_vectors(shape, dtype)
    columns: list[list] = []
    if recorder is not None and not recorder.is_closed and int(np.prod(shape)) >= FEWEST_ROWS and dtype in _DTYPES:
        stacked, columns = _pushed(recorder, push, likes, vectors)
        if stacked is not None:
            return stacked
    columns += [push(vector) for vector in vectors]
    by_result = [list(column) for column in zip(*columns)]  # nothing of an empty input
    return [None if all(value is None for value in column) else column for column in by_result]


def _pushed(recorder: Recorder, push: Callable, likes: list, vectors: Iterator) -> tuple[list | None, list[list]]:
    """The boxes of a section's results; or else None, and the columns as far as they were alike and one more."""
    mark = len(recorder.ops)
    rows: list[_Row] = []
    is_alike = True
    try:
        for vector in vectors:
            state = _State(recorder)
            box = recorder.add_seed(vector)
            results = push(box)
            row = _Row(box._node.var, recorder.ops[state.ops :], results, vector)  # type: ignore[attr-defined]
            rows.append(row)
            del recorder.ops[mark:]
            is_alike = state.is_clean(recorder) and _are_like(recorder, results, likes) and _is_same(rows[0], row)
            if not is_alike:
                break
    finally:  # written down as they came about, whatever a later one raised
        unfinished = recorder.ops[mark:]
        recorder.ops[mark:] = [op for row in rows for op in _with_seed(row)] + unfinished
    parted = _parted(rows[0]) if is_alike else None
    blocks = [_stacked(column, like) for column, like in zip(zip(*[row.results for row in rows]), likes)]
    if parted is None or any(isinstance(block, str) for block in blocks):
        return None, [row.results for row in rows]
    section, before = parted
    recorder.ops[mark:] = before
    values = tuple([block for block in blocks if block is not None])
    boxes = iter(recorder.record_section(linear_rows, section, values))
    return [None if block is None else next(boxes) for block in blocks], []


def _with_seed(row: _Row) -> list[Op | Guard]:
    """What a run wrote down, its seed a constant."""
    from ..numpy import positive

    seed = np.array(row.vector)
    seed.setflags(write=False)
    return [Op(positive.primitive, (Constant(seed),), {}, (row.seed,), tree.LEAF), *row.ops]  # type: ignore[attr-defined]


def draws_recorded(inputs: list) -> int:
    """How many random draws the recorder of ``inputs`` has seen so far."""
    recorder = _recorder(inputs)
    return 0 if recorder is None else len(recorder.draws)


def _recorder(inputs: list) -> Recorder | None:
    return next((leaf._node.recorder for leaf in inputs if _is_recorded(leaf)), None)


def _is_recorded(leaf: Any) -> bool:
    return type(leaf) in BOX_TYPES and leaf._node.records


class _State:
    """What a recorder has written, to go back to."""

    def __init__(self, recorder: Recorder) -> None:
        self.ops, self.draws = len(recorder.ops), len(recorder.draws)
        self.reasons = recorder.invalid, recorder.left, recorder.handled_error

    def is_clean(self, recorder: Recorder) -> bool:
        """Whether nothing has happened since that a section cannot hold."""
        now = recorder.invalid, recorder.left, recorder.handled_error
        return now == self.reasons and len(recorder.draws) == self.draws

    def restore(self, recorder: Recorder) -> None:
        if len(recorder.draws) > self.draws:
            recorder.leave("a derivative rule draws random numbers")
        del recorder.ops[self.ops :]
        recorder.invalid, recorder.left, recorder.handled_error = self.reasons


@record
class _Row:
    """One recorded pull: its seed, what was written down, and what it gave."""

    seed: Var
    ops: list[Op | Guard]
    results: list
    vector: Any


def _rows(recorder: Recorder, pull: Callable, likes: list, seeds: list) -> tuple[Section, list] | None:
    """The section, and the stacked values of all rows; what does not depend on the seed stays on the tape."""
    mark = len(recorder.ops)
    first = _recorded(recorder, pull, likes, seeds[0])
    if first is None:
        return None
    parted = _parted(first)
    if parted is None:
        return None
    section, before = parted
    again = len(recorder.ops)
    last = _recorded(recorder, pull, likes, seeds[-1])
    if last is None or not _is_same(first, last):
        return None
    del recorder.ops[again:]
    between = _plain_rows(recorder, pull, seeds[1:-1])
    if between is None:
        return None
    rows = [first.results, *between, last.results]
    blocks = [_stacked(column, like) for column, like in zip(zip(*rows), likes)]
    if any(isinstance(block, str) for block in blocks):
        return None
    recorder.ops[mark:] = before
    return section, blocks


def _recorded(recorder: Recorder, pull: Callable, likes: list, seed: Any) -> _Row | None:
    """One pull of a recorded seed; None where something happened that cannot be repeated for other seeds."""
    from .tape_box import LeaveTrace

    state = _State(recorder)
    box = recorder.add_seed(seed)
    try:
        results = pull(box)
    except (Exception, LeaveTrace):  # what the rows raise by themselves, the caller finds out
        return None
    if not state.is_clean(recorder):
        return None
    if not _are_like(recorder, results, likes):
        return None
    return _Row(box._node.var, recorder.ops[state.ops :], results, seed)  # type: ignore[attr-defined]


def _are_like(recorder: Recorder, results: list, likes: list) -> bool:
    """Whether a section can have these results."""
    for result, like in zip(results, likes):
        if result is not None:
            is_ours = _is_recorded(result) and result._trace == recorder.level
            if not is_ours or abstract(result) != abstract(like) or abstract(like)[1] not in _DTYPES:
                return False
    return True


def _parted(row: _Row) -> tuple[Section, list[Op | Guard]] | None:
    """What depends on the seed, and what is written down before it; None where a path depends on the seed, or a result
    does not."""
    dependent = {row.seed.number}
    inside: list[Op] = []
    before: list[Op | Guard] = []
    for op in row.ops:
        if dependent.isdisjoint([var.number for var in op.operands()]):
            before.append(op)
        elif isinstance(op, Guard):
            return None
        else:
            inside.append(op)
            dependent.update([var.number for var in op.outputs])
    rows = tuple([result._node.var for result in row.results if result is not None])
    if not rows or not all(var.number in dependent for var in rows):
        return None
    read = {var.number: var for op in inside for var in op.operands() if var.number not in dependent}
    return Section(row.seed, tuple(inside), rows, tuple(read.values())), before


def _is_same(one: _Row, other: _Row) -> bool:
    """Whether two pulls did the same: the same operations on the same values, but for what depends on the seed."""
    if len(one.ops) != len(other.ops):
        return False
    numbers = {one.seed.number: other.seed.number}
    for a, b in zip(one.ops, other.ops):
        if type(a) is not type(b):
            return False
        if isinstance(a, Guard):
            facts = (a.var, a.kind, a.expected), (b.var, b.kind, b.expected)  # type: ignore[union-attr]
            if not _agree(*facts, numbers):
                return False
            continue
        assert isinstance(b, Op)
        if a.prim is not b.prim or a.structure != b.structure:
            return False
        if not _agree((a.args, a.kwargs), (b.args, b.kwargs), numbers):
            return False
        if [var.type for var in a.outputs] != [var.type for var in b.outputs]:
            return False
        numbers.update({x.number: y.number for x, y in zip(a.outputs, b.outputs)})
    ours, theirs = [[None if r is None else r._node.var for r in row.results] for row in (one, other)]
    return _agree(ours, theirs, numbers)


def _agree(a: Any, b: Any, numbers: dict[int, int]) -> bool:
    """Whether two arguments are the same, with the variables of one run in place of the other's."""
    if type(a) is not type(b):
        return False
    if type(a) is Var:
        return numbers.get(a.number, a.number) == b.number
    if type(a) is Constant:
        return a is b or same_contents(a.value, b.value)
    if type(a) in (tuple, list):
        return len(a) == len(b) and all([_agree(x, y, numbers) for x, y in zip(a, b)])
    if type(a) is dict:
        return a.keys() == b.keys() and all([_agree(a[key], b[key], numbers) for key in a])
    if type(a) is slice:
        return _agree((a.start, a.stop, a.step), (b.start, b.stop, b.step), numbers)
    if isinstance(a, (float, complex, np.generic, np.ndarray)):
        return same_contents(np.asarray(a), np.asarray(b))
    return a is b or bool(a == b)


def _plain_rows(recorder: Recorder, pull: Callable, seeds: list) -> list | None:
    """The pulls of plain seeds, with recorded values acting as plain ones."""
    recorder.is_closed = True
    try:
        return [pull(seed) for seed in seeds]
    except Exception:
        return None
    finally:
        recorder.is_closed = False


def _stacked(column: tuple, like: Any) -> Any:
    """The rows of one result as an array; None where there are none, a text where they do not go together."""
    if all(row is None for row in column):
        return None
    shape, dtype = abstract(like)
    plain = [concrete(row) for row in column]
    if any(row is None or abstract(row) != (shape, dtype) for row in plain):
        return "rows of several kinds"
    stacked = np.empty((len(plain), *shape), dtype)
    for position, row in enumerate(plain):
        stacked[position] = row
    return stacked

