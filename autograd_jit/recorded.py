"""Between a trace and its compiled program: the tape replayed over NumPy, and the lowering that is on its way.

The first call of a function only runs it. Its tape is lowered in the background; a later one's (another
shape, another path) when it comes for the second time. Calls that come before that wait for it where
this is short, and otherwise replay the tape over NumPy.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from . import background
from .trace.packed_tape import PackedTape, pack
from .trace.tape import Constant, Op, Tape
from .trace.tape_replay import TapeReplay

__all__ = ["Lowering", "Recorded"]

_logger = logging.getLogger("autograd_jit")

#: what a call waits for: a tape of so many operations at most, and as many kernels that are on no disk. Measured:
#: 15 to 30 us an operation, 3 to 8 ms a kernel, so a tenth of a second at most.
SHORT_TAPE, FEW_KERNELS = 1000, 8


class Recorded:
    """What a program is until it is lowered: its tape, which replays over NumPy. Threads share it."""

    is_lowered = False
    kernels: tuple = ()

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.structure = tape.structure
        self.has_draws = any(isinstance(op, Op) and op.prim.draws is not None for op in tape.ops)
        self.operations = len(tape.ops)
        #: as a compiled program has them
        self.frames: list[Any] = []

    @functools.cached_property
    def replay(self) -> TapeReplay:
        return TapeReplay(self.tape.unpacked() if isinstance(self.tape, PackedTape) else self.tape)

    @functools.cached_property
    def bytes_kept(self) -> int:
        """Memory of its constants."""
        arrays = {
            id(arg.value): arg.value.nbytes
            for op in self.tape.ops
            if isinstance(op, Op)
            for arg in op.args
            if type(arg) is Constant
        }
        return sum(arrays.values())

    def run(self, inputs: Sequence[Any], generators: Sequence[Any] = ()) -> list:
        """The output leaves; raises as `Program.run` does."""
        return self.replay.run(inputs, generators)

    def replayed(self) -> None:
        """Nothing is to be optimised yet."""

    def pack(self) -> None:
        """Keep the tape in less memory, which takes 2 us an operation."""
        self.tape = pack(self.tape)


class Lowering:
    """A tape on its way to a compiled program, in the background or by whoever needs it.

    ``make(formed)`` gives the program; it calls ``formed`` with the number of kernels that are yet to be compiled.
    ``settle(program, error)`` is called once, by the thread that made it.
    """

    def __init__(
        self,
        make: Callable[[Callable[[int], None]], Any],
        settle: Callable[[Any, Exception | None], None],
        operations: int,
    ) -> None:
        self._make, self._settle = make, settle
        self._is_short_tape = operations <= SHORT_TAPE
        self._missing: int | None = None
        self._lock = threading.Lock()
        self._is_taken = False
        self._known, self._done = threading.Event(), threading.Event()
        self._process = os.getpid()

    def begin(self) -> None:
        """Have it done in the background, or now where that cannot be."""
        if not background.submit(self._work):
            self._work()

    def _work(self) -> None:
        with self._lock:
            if self._is_taken:
                return
            self._is_taken = True
        program, failure = None, None
        try:
            program = self._make(self._formed)
        except Exception as error:
            failure = error
        try:
            self._settle(program, failure)
        finally:
            del self._make, self._settle  # they hold the path, which holds this
            self._known.set()
            self._done.set()

    def _formed(self, missing: int) -> None:
        self._missing = missing
        self._known.set()

    @property
    def is_lost(self) -> bool:
        """Whether it was on its way in a process of which this one is a fork."""
        return self._process != os.getpid() and not self._done.is_set()

    def wait(self) -> None:
        """Until it is done: by this thread, unless another is at it."""
        if not self.is_lost:
            self._work()
            self._done.wait()

    def wait_if_short(self) -> bool:
        """Whether it is done, where need be after a tenth of a second, in which this thread may have done it."""
        if not self._done.is_set() and self._is_short_tape:
            if not self._is_taken:
                self._work()  # nothing but this call is in a hurry: it need not queue
            self._known.wait()
            if self._missing is None or self._missing <= FEW_KERNELS:
                self._done.wait()
        return self._done.is_set()
