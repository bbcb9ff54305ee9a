"""Windows as LLVM IR: which elements of a row lie inside, and the box in which nobody has to ask.

A mask for every window at every vector costs more than what a stencil computes. In the *box* every window is as usual:
inside, or outside where the window bounds a single element along some axis (a border, `"one"` in `Kernel.windows`).
Its corners follow from the windows, hence from the launch's integers, once a run: the kernel knows no sizes. A row
that passes through the box is three loops,

    masked vectors      up to where the box begins
    plain vectors       no tests, no masks; each `where(inside, x, y)` is known to be x, or y
    masked vectors      from where the box ends, the rest of the row included

of which the masked ones are printed once. A row beside the box, or a box too short for a full vector, is masked vectors
only. Where the box begins and ends changes which loop computes an element, never what it computes.
"""

from __future__ import annotations

from collections.abc import Callable

from .kernel import Kernel, Stage
from .llvm_flow import Flow

__all__ = ["Windows"]

#: the body of a loop: index and carried values to the values carried on
Iteration = Callable[[str, list[str]], list[str]]


class Windows(Flow):
    """``indices`` are the scalar indices of the loops around the innermost one, ``dims`` the sizes."""

    def __init__(self, kernel: Kernel, lanes: int) -> None:
        super().__init__(lanes)
        self.kernel = kernel
        self.dims: list[str] = []
        self.indices: dict[int, str] = {}
        #: axis -> (first element of the box, its length), for the axes that a window bounds
        self.box: dict[int, tuple[str, str]] = {}
        #: whether the loop being printed runs inside of the box
        self.is_plain = False
        #: window -> for each lane, how far it is from the window's first element, at index 0
        self.distances: dict[int, str] = {}
        #: window -> how many elements lie inside along the innermost axis, on rows that meet the window
        self.lengths: dict[int, str] = {}
        #: window -> the same for the current row
        self.row_lengths: dict[int, str] = {}
        #: whether the current row misses the box; "" where no row does
        self.beside = ""

    def _word(self, index: int, type_: str = "i64") -> str:
        return self.scalar.let(f"load {type_}, ptr {self.scalar.element('i64', '%args', str(index))}, align 8")

    def _bounds(self, window: int, axis: int) -> tuple[str, str]:
        """The first element inside along an axis, and the first one behind."""
        word = self.kernel.word_of_window(window, axis)
        return self._word(word), self._word(word + 1)

    # ---------------------------------------------------------------- before all loops

    def _open_kernel(self) -> None:
        """Work out what is the same for all rows: where the box lies, and where along a row the windows do."""
        kernel, s, out = self.kernel, self.scalar, self.out
        last = kernel.rank - 1
        for window, bounds in enumerate(kernel.windows):
            if not any(bounds[-1:]):
                self.lengths[window] = self.dims[last] if bounds else "1"
                continue
            first, stop = self._bounds(window, last)
            self.lengths[window] = s.op("sub", "i64", stop, first)
            lanes = f"<{', '.join(f'i64 {i}' for i in range(out.lanes))}>" if out.lanes > 1 else "0"
            self.distances[window] = out.op("sub", "i64", lanes, out.broadcast("i64", first))
        if out.lanes > 1:
            asked = [axis for axis in range(kernel.rank) if any([bounds[axis] for bounds in kernel.windows])]
            self.box = {axis: self._box_along(axis) for axis in asked}

    def _is_usual(self, window: int) -> bool:
        """What holds in the box: whether its elements lie inside of the window."""
        return "one" not in self.kernel.windows[window]

    def _box_along(self, axis: int) -> tuple[str, str]:
        """What the usual windows have in common, less the elements at which others may hold: the longer side of each.

        A window that bounds single elements along several axes need only be avoided along the first of them.
        """
        s, low, high = self.scalar, "0", self.dims[axis]
        for window, bounds in enumerate(self.kernel.windows):
            if bounds[axis] and self._is_usual(window):
                first, stop = self._bounds(window, axis)
                low = s.intrinsic("llvm.smax", "i64", low, first)
                high = s.intrinsic("llvm.smin", "i64", high, stop)
        for window, bounds in enumerate(self.kernel.windows):
            if "one" in bounds and bounds.index("one") == axis:
                first, stop = self._bounds(window, axis)
                left, right = s.op("sub", "i64", first, low), s.op("sub", "i64", high, stop)
                is_after = s.compare("sle", "i64", left, right)
                low = s.select("i64", is_after, s.intrinsic("llvm.smax", "i64", low, stop), low)
                high = s.select("i64", is_after, high, s.intrinsic("llvm.smin", "i64", high, first))
        length = s.intrinsic("llvm.smax", "i64", "0", s.op("sub", "i64", high, low))
        return low, length

    # ---------------------------------------------------------------- before the innermost loop

    def _open_windows(self, stage: Stage) -> None:
        """Work out what the windows bound on the current row: most rows pass through the box, where most is known."""
        windows = self.kernel.windows_of(stage)
        self.beside = self._is_beside_box() if windows else ""
        self.row_lengths = {window: self.lengths[window] for window in windows}
        asked = [window for window in windows if any(self.kernel.windows[window][:-1])]
        known = [window for window in asked if self.beside and self._is_known_in_box(window)]
        for window in asked:
            if window not in known:
                self.row_lengths[window] = self._length_on_row(window)
        if known:
            usual = [("i64", self.lengths[window] if self._is_usual(window) else "0") for window in known]
            lengths = self._if(self.beside, usual, lambda: [self._length_on_row(window) for window in known])
            self.row_lengths |= dict(zip(known, lengths))

    def _is_beside_box(self) -> str:
        """Whether the current row misses the box; "" where no row does."""
        s, beside = self.scalar, ""
        for axis, (first, length) in self.box.items():
            if axis < self.kernel.rank - 1:
                misses = s.compare("uge", "i64", s.op("sub", "i64", self.indices[axis], first), length)
                beside = s.op("or", "i1", beside, misses) if beside else misses
        return beside

    def _is_known_in_box(self, window: int) -> bool:
        """Whether all elements of a row that passes through the box are as usual, those outside of the box, too."""
        bounds = self.kernel.windows[window]
        return self._is_usual(window) or bounds.index("one") < self.kernel.rank - 1

    def _length_on_row(self, window: int) -> str:
        s, meets = self.scalar, ""
        for axis, bounded in enumerate(self.kernel.windows[window][:-1]):
            if bounded:
                first, stop = self._bounds(window, axis)
                distance, length = s.op("sub", "i64", self.indices[axis], first), s.op("sub", "i64", stop, first)
                inside = s.compare("ult", "i64", distance, length)  # unsigned: what lies before is very large
                meets = s.op("and", "i1", meets, inside) if meets else inside
        return s.select("i64", meets, self.lengths[window], "0")

    def _meets(self, window: int) -> str:
        """Whether any element of the current row lies inside of a window."""
        return self.scalar.compare("ne", "i64", self.row_lengths[window], "0")

    # ---------------------------------------------------------------- the innermost loop

    def _around_box(
        self, start: str, stop: str, step: int, carried: list[tuple[str, str]], masked: Iteration, plain: Iteration
    ) -> list[str]:
        """A loop over elements of the current row, in their order: ``plain`` in the box, ``masked`` around it."""
        s, kinds = self.scalar, [kind for kind, _ in carried]
        low, high = self._plain_part(start, stop, step)

        def part(number: str, values: list[str]) -> list[str]:
            is_first = s.compare("eq", "i64", number, "0")
            first, last = s.select("i64", is_first, start, high), s.select("i64", is_first, low, stop)
            values = self._loop(first, last, step, list(zip(kinds, values)), masked)
            last = s.select("i64", is_first, high, low)  # the first time only
            self.is_plain = True
            values = self._loop(low, last, step, list(zip(kinds, values)), plain)
            self.is_plain = False
            return values

        return self._loop("0", "2", 1, carried, part)

    def _plain_part(self, start: str, stop: str, step: int) -> tuple[str, str]:
        """Which of the elements from ``start`` to ``stop`` lie in the box, in whole steps counted from ``start``.

        ``(stop, stop)`` where there are none.
        """
        s, axis = self.scalar, self.kernel.rank - 1
        low, high = start, stop
        if axis in self.box:
            first, length = self.box[axis]
            ahead = s.op("sub", "i64", s.intrinsic("llvm.smax", "i64", start, first), start)
            whole = s.op("and", "i64", s.op("add", "i64", ahead, str(step - 1)), str(-step))
            low = s.op("add", "i64", start, whole)
            high = s.intrinsic("llvm.smin", "i64", stop, s.op("add", "i64", first, length))
        length = s.op("and", "i64", s.op("sub", "i64", high, low), str(-step))
        is_none = s.compare("sle", "i64", length, "0")
        if self.beside:
            is_none = s.op("or", "i1", is_none, self.beside)
        end = s.op("add", "i64", low, length)
        return s.select("i64", is_none, stop, low), s.select("i64", is_none, stop, end)

    def _insides(self, stage: Stage, index: str) -> dict[int, str]:
        """For each window which of the elements at ``index`` and on lie inside."""
        out, windows = self.out, self.kernel.windows_of(stage)
        if self.is_plain:
            return {window: out.constant("i1", self._is_usual(window)) for window in windows}
        position = out.broadcast("i64", index) if windows else ""
        found = {}
        for window in windows:
            if window in self.distances:
                distance = out.op("add", "i64", position, self.distances[window])
                length = out.broadcast("i64", self.row_lengths[window])
                found[window] = out.compare("ult", "i64", distance, length)  # unsigned: what lies before is very large
            else:
                found[window] = out.broadcast("i1", self._meets(window))
        return found
