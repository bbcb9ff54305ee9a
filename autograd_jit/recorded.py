"""A trace that is not lowered yet: its tape, which replays over NumPy, and when lowering it is worth the time.

The first call of a function only runs it. Its tape replays over NumPy until that has saved as much time as lowering
will take, or until it has come twenty times; it is lowered in the background. Calls that come meanwhile wait where this
is short, and otherwise go on over NumPy. Where a single call takes longer than lowering, this begins at once.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from collections import deque
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
#: what lowering is expected to take: imports and the least of compiling, where nothing was lowered yet in this process;
#: where something was; an operation. It is Python for the most part, and Python runs one thread at a time, so it costs
#: this even in the background.
FIRST_LOWERING_SECONDS, LOWERING_SECONDS, SECONDS_PER_OPERATION = 0.05, 0.003, 30e-6
#: the module that the first lowering of a process imports
COMPILER = f"{__package__}.kernels.llvm"
#: seconds for which a call lets another thread run Python at most
LONGEST_TURN = 0.01
#: what an interpreted call is taken to need: an operation, an element of a result. By this and not by the clock it is
#: decided when to lower, so that it is decided alike in each run.
CALL_PER_OPERATION, CALL_PER_ELEMENT = 3e-6, 1.5e-9
#: the share of it that a replay over NumPy saves at least, where arrays are small
SAVED = 0.5
#: so many calls are faster than interpreted ones whatever comes; who calls more often calls a thousand times
MANY_CALLS = 20


class Recorded:
    """What a program is until it is lowered: its tape, which replays over NumPy. Threads share it."""

    is_lowered = False
    kernels: tuple = ()

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.structure = tape.structure
        self.has_draws = any([op.prim.draws is not None for op in tape.ops if type(op) is Op])
        self.calls = 1
        #: as a compiled program has them
        self.frames: list[Any] = []

    @functools.cached_property
    def _cost(self) -> tuple[int, float]:
        """Operations, and seconds of an interpreted call. Most tapes that come once are never asked for it."""
        operations = calls = len(self.tape.ops)
        elements = 0
        sizes: dict[int, int] = {}  # of types, which operations share
        for op in self.tape.ops:
            if type(op) is not Op:
                continue
            if op.prim is linear_rows:
                section = op.args[0]
                operations += len(section.ops)
                calls += section.count * len(section.ops)
            for var in op.outputs:
                size = sizes.get(id(var.type))
                if size is None:
                    size = sizes[id(var.type)] = var.type.size
                elements += size
        return operations, CALL_PER_OPERATION * calls + CALL_PER_ELEMENT * elements

    @property
    def operations(self) -> int:
        """Of the tape and its sections."""
        return self._cost[0]

    @property
    def call_seconds(self) -> float:
        """What an interpreted call is taken to need."""
        return self._cost[1]

    @functools.cached_property
    def replay(self) -> TapeReplay:
        _note_replay(self)
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
        fixed = LOWERING_SECONDS if COMPILER in sys.modules else FIRST_LOWERING_SECONDS
        return fixed + SECONDS_PER_OPERATION * self.operations

    @property
    def is_slow(self) -> bool:
        """Whether a single call takes longer than lowering is expected to, so that this is worth while for the next."""
        return self.call_seconds >= self.lowering_seconds

    @property
    def is_hot(self) -> bool:
        """Whether its calls were many."""
        return self.calls > MANY_CALLS

    @property
    def is_worth_lowering(self) -> bool:
        """Whether its calls are slow or were many, or its replays have saved what lowering will take.

        Begun before that, it would make a few calls slower than they are without ``jit``."""
        saved = (self.calls - 1) * SAVED * self.call_seconds
        return self.is_slow or self.is_hot or saved >= self.lowering_seconds

    @property
    def is_short(self) -> bool:
        """Whether a call that would profit may wait for its lowering, unless there is much to compile."""
        return self.operations <= SHORT_TAPE

    def pack(self) -> None:
        """Keep the tape in less memory, which takes 2 us an operation."""
        if not isinstance(self.tape, PackedTape):
            self._cost  # noqa: B018 - while its operations are at hand
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


def _note_replay(recorded: Recorded) -> None:
    """Let go of what was made for a replay longest ago, if there is too much: it is made again when it is needed."""
    with _unpacked_lock:
        _replayed.append(weakref.ref(recorded))
        oldest = _replayed.popleft()() if len(_replayed) > MANY_TAPES else None
    if oldest is not None:
        oldest.__dict__.pop("replay", None)


def _pack_all(waiting: list[weakref.ref[Recorded]]) -> None:
    for reference in waiting:
        recorded = reference()
        if recorded is not None:
            recorded.pack()


#: tapes that were not packed yet; those of programs that are made pack themselves
_unpacked: list[weakref.ref[Recorded]] = []
#: those that have been made ready for replays, which takes a kilobyte an operation
_replayed: deque[weakref.ref[Recorded]] = deque()
_unpacked_lock = threading.Lock()
#: how many there may be; operations of one that is packed at once. An operation takes 0.5 kB, and a tenth of it packed
MANY_TAPES, LONG_TAPE = 50, 10_000


def _forked() -> None:
    global _unpacked_lock
    _unpacked_lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
