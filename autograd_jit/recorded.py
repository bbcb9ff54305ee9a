"""A trace that is not lowered yet: its tape, which replays over NumPy, and when lowering it is worth the time.

The first call of a function only runs it. Its tape is lowered in the background: that of a tiny call at once, another
after ten calls, or when they have taken as long as that will; a later trace's (another shape, another path) when it
comes for the second time. Calls that come meanwhile wait where this is short, and otherwise replay the tape over NumPy.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from . import background
from .trace.linear_rows import linear_rows
from .trace.packed_tape import PackedTape, pack
from .trace.tape import Constant, Op, Tape
from .trace.tape_replay import TapeReplay

__all__ = ["Recorded"]

#: what a call waits for at most: a tape of so many operations, and so many kernels that are on no disk. Measured:
#: 15 to 30 us an operation, 3 to 8 ms a kernel, so a tenth of a second.
SHORT_TAPE, FEW_KERNELS = 1000, 8
#: what lowering is expected to take: imports and the least of compiling; an operation. It is Python for the most part,
#: and Python runs one thread at a time, so it costs this even in the background.
LOWERING_SECONDS, SECONDS_PER_OPERATION = 0.03, 30e-6
#: seconds for which a call lets another thread run Python at most
LONGEST_TURN = 0.01
#: what an interpreted call is taken to need: an operation, an element of a result. By this and not by the clock it is
#: decided when to lower, so that it is decided alike in each run.
CALL_PER_OPERATION, CALL_PER_ELEMENT = 3e-6, 1.5e-9
#: a call that takes less is one of those that come a thousand times; so is one that has come so often
TINY_CALL, MANY_CALLS = 0.001, 10


class Recorded:
    """What a program is until it is lowered: its tape, which replays over NumPy. Threads share it."""

    is_lowered = False
    kernels: tuple = ()

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.structure = tape.structure
        self.has_draws = any(isinstance(op, Op) and op.prim.draws is not None for op in tape.ops)
        sections = [op.args[0] for op in tape.ops if isinstance(op, Op) and op.prim is linear_rows]
        self.operations = len(tape.ops) + sum([len(section.ops) for section in sections])
        elements = sum([var.type.size for op in tape.ops if isinstance(op, Op) for var in op.outputs])
        calls = len(tape.ops) + sum([section.count * len(section.ops) for section in sections])
        #: of an interpreted call
        self.call_seconds = CALL_PER_OPERATION * calls + CALL_PER_ELEMENT * elements
        self.calls = 1
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
        self.calls += 1
        return self.replay.run(inputs, generators)

    def replayed(self) -> None:
        """Nothing is to be optimised yet."""

    @property
    def lowering_seconds(self) -> float:
        """What lowering is expected to take."""
        return LOWERING_SECONDS + SECONDS_PER_OPERATION * self.operations

    @property
    def is_hot(self) -> bool:
        """Whether its calls are tiny, or were many."""
        return (self.call_seconds < TINY_CALL and self.operations <= SHORT_TAPE) or self.calls > MANY_CALLS

    @property
    def is_worth_lowering(self) -> bool:
        """Whether it is hot, or its calls have taken as long as lowering will.

        Begun before that, it would make ten calls slower than they are without ``jit``. Tiny calls cannot make up for
        it anyway, and are many."""
        return self.is_hot or self.calls * self.call_seconds >= self.lowering_seconds

    @property
    def is_worth_waiting(self) -> bool:
        """Whether a call does better to wait for the lowering that is on its way than to run over NumPy meanwhile."""
        return self.operations <= SHORT_TAPE and (self.is_hot or self.call_seconds >= self.lowering_seconds)

    def pack(self) -> None:
        """Keep the tape in less memory, which takes 2 us an operation."""
        self.tape = pack(self.tape)

    def pack_in_time(self) -> None:
        """Have tapes packed, those first that were recorded first, when they are many."""
        with _unpacked_lock:
            _unpacked.append(weakref.ref(self))
            if len(_unpacked) < MANY_TAPES and self.operations < LONG_TAPE:
                return
            waiting = list(_unpacked)
            _unpacked.clear()
        background.submit(functools.partial(_pack_all, waiting))


def _pack_all(waiting: list[weakref.ref[Recorded]]) -> None:
    for reference in waiting:
        recorded = reference()
        if recorded is not None:
            recorded.pack()


#: tapes that were not packed yet; those of programs that are made pack themselves
_unpacked: list[weakref.ref[Recorded]] = []
_unpacked_lock = threading.Lock()
#: how many there may be; operations of one that is packed at once. An operation takes 0.5 kB, and a tenth of it packed
MANY_TAPES, LONG_TAPE = 50, 10_000


def _forked() -> None:
    global _unpacked_lock
    _unpacked_lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
