"""How a recorded tape becomes a compiled program: now, in the background, or when it comes again.

:class:`Lowerer` has the tapes of one jitted function lowered, :class:`Lowering` is one of them on its way. When that is
worth its time, and who waits, is said in :mod:`.recorded`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Hashable
from typing import Any

from . import background, program_memory, recorded
from .device_array import lies_on_device
from .errors import BackendError
from .known_programs import Compiled, Entry, Path
from .options import Options
from .reports import Stats
from .signatures import dynamic_leaves
from .trace import tree
from .trace.packed_tape import PackedTape

__all__ = ["Lowerer", "Lowering"]

_logger = logging.getLogger("autograd_jit")


class Lowerer:
    """Has the tapes of one jitted function lowered, and counts what was made for them in its ``stats``."""

    def __init__(self, name: str, options: Options, stats: Stats) -> None:
        self.name, self.options, self.made = name, options, stats.made

    def note_new(self, compiled: Compiled, key: Hashable, entry: Entry, path: Path, call: tuple) -> None:
        """Have a new path lowered: now where that is asked for, else when it is worth the time.

        A function's first is what `explain` and ``stats`` tell of; others may never come again. ``call``: what was
        traced.
        """
        if self.is_at_once:
            self.of(compiled, key, entry, path, call).wait()
        elif compiled.traces > 1:
            path.program.pack_in_time()
        else:
            self._begin_in_time(compiled, key, entry, path)

    def note_again(self, compiled: Compiled, key: Hashable, entry: Entry, path: Path) -> None:
        """A path has come again, and its tape has run over NumPy: have it lowered if that is worth the time."""
        program = path.program  # it may be lowered by now
        if not program.is_lowered:
            self._begin_in_time(compiled, key, entry, path).let_work(program.call_seconds)

    @property
    def is_at_once(self) -> bool:
        """Whether calls that trace lower, too."""
        return self.options.mode in ("eager", "never") or self.options.target != "cpu"

    def _begin_in_time(self, compiled: Compiled, key: Hashable, entry: Entry, path: Path) -> Lowering:
        """The lowering of a path that is not lowered, begun if that is worth the time."""
        program, lowering = path.program, self.of(compiled, key, entry, path)
        if lowering.is_begun or program.is_lowered:
            return lowering
        # a function that was worth it once is so at its other shapes and paths, if they come again; calls of a "lazy"
        # one have waited until all of this was worth its time; at once: Ctrl-C came between
        is_due = compiled.is_hot or self.is_at_once or self.options.mode == "lazy"
        if is_due or program.is_worth_lowering:
            compiled.is_hot = True
            lowering.begin(program.is_short and (is_due or program.is_hot or program.is_slow))
        return lowering

    def program_of(self, path: Path) -> Any:
        """The program to run: the lowered one if it is there, or will be in a moment; else the tape."""
        lowering = path.lowering
        if lowering is not None and not path.program.is_lowered:
            if lowering.is_lost:
                path.lowering = None
            else:
                lowering.wait_if_short()
        return path.program

    def of(self, compiled: Compiled, key: Hashable, entry: Entry, path: Path, call: tuple = ()) -> Lowering:
        """The lowering of a path's tape, the one that there is or a new one. ``call``: needed by devices."""
        with _asking:  # other functions may share the path
            if path.lowering is None or path.lowering.is_lost:
                path.lowering = self._new(compiled, key, entry, path, call)
                self.made.pending[id(path.lowering)] = path.lowering
            found: Lowering = path.lowering
        return found

    def _new(self, compiled: Compiled, key: Hashable, entry: Entry, path: Path, call: tuple) -> Lowering:
        """A lowering; its end is noted by whichever thread does it."""

        def make(formed: Callable[[int], None]) -> tuple[Any, int, int]:
            from .lower.compile import tally

            tape = path.program.tape.unpacked() if isinstance(path.program.tape, PackedTape) else path.program.tape
            before = tally.compiled, tally.loaded
            return self._lowered(tape, call, formed), tally.compiled - before[0], tally.loaded - before[1]

        def settle(made: tuple[Any, int, int] | None, error: Exception | None) -> None:
            if made is None:
                compiled.interpreted = _why_not_lowered(error)
            else:
                path.note_lowered(made[0])
                path.report.note_lowered(*made)
                self.made.add(*made)
                if any([known is path for known in entry.paths]):
                    program_memory.added(compiled, key, entry, path.program)
                _logger.info("%s: %s", self.name, path.report.lowered.strip())
            self.made.pending.pop(id(lowering), None)

        lowering = Lowering(make, settle)
        return lowering

    def _lowered(self, tape: Any, call: tuple, formed: Callable[[int], None]) -> Any:
        from .kernels import executor

        if not executor.supported():
            raise NotImplementedError(
                "this Python or NumPy lays out its objects in a way that the executor does not know"
            )
        mode = self.options.mode
        if self.options.target == "cpu":
            from .lower.program import lower

            return lower(tape, mode, formed if mode != "eager" else None, bool(self.options.precise))
        from .kernels.cuda_device import current_device
        from .lower.device_program import lower_for_device

        stays = [lies_on_device(leaf) for leaf in dynamic_leaves(tree.flatten(call)[0])]
        captured = len(tape.inputs) - len(stays)
        fast = bool(self.options.fast_approximations)
        return lower_for_device(tape, [*stays, *[False] * captured], current_device(), fast)


_asking = threading.Lock()


class Lowering:
    """A tape that is to become a compiled program, in the background or by whoever needs it.

    ``make(formed)`` gives the program; it calls ``formed`` with the number of kernels that are yet to be compiled.
    ``settle(program, error)`` is called once, by the thread that made it.
    """

    def __init__(
        self,
        make: Callable[[Callable[[int], None]], Any],
        settle: Callable[[Any, Exception | None], None],
    ) -> None:
        self._make, self._settle = make, settle
        self.is_begun = self._is_waited_for = False
        self._missing: int | None = None
        self._lock = threading.Lock()
        self._is_taken = False
        self._known, self._done = threading.Event(), threading.Event()
        self._process = os.getpid()

    def begin(self, is_waited_for: bool) -> None:
        """Have it done in the background, or now where that cannot be.

        ``is_waited_for``: by calls that come meanwhile, if few kernels are missing."""
        self.is_begun, self._is_waited_for = True, is_waited_for
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
        except BaseException:  # the user's Ctrl-C in a call that does it itself: somebody else may do it later
            self._is_taken = False
            raise
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

    def let_work(self, call_seconds: float) -> None:
        """Called after a call that ran over NumPy instead: the thread that lowers, if it has begun, has its turn.

        A loop of NumPy calls, which give up the interpreter lock and take it back at once, over and over, never lets
        another thread have it: Python takes the lock away only from a thread that keeps it. Here the loop waits for
        half of an interpreted call, which it has saved by running over NumPy.
        """
        if self.is_begun and not self.is_lost:
            self._done.wait(min(call_seconds / 2, recorded.LONGEST_TURN))

    def wait_if_short(self) -> bool:
        """Whether it is done; where that is worth while after a tenth of a second, in which this thread may do it."""
        if self._is_waited_for and not self._done.is_set():
            if not self._is_taken:
                self._work()  # nothing but this call is in a hurry: it need not queue
            self._known.wait()
            if self._missing is None or self._missing <= recorded.FEW_KERNELS:
                self._done.wait()
        return self._done.is_set()


def _why_not_lowered(error: Exception | None) -> str:
    """Why a function runs interpreted: a defect of ours must not cost the user the answer, which is there."""
    if type(error) is NotImplementedError:
        return str(error)
    if isinstance(error, BackendError):
        return f"a kernel could not be compiled: {error}"
    return f"lowering failed, please report it: {type(error).__name__}: {error}"


def _forked() -> None:
    global _asking
    _asking = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
