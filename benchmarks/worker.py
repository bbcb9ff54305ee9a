"""A process for each family of systems: started, asked and, where a compiler takes too long, ended.

Compilers cannot be interrupted in-process; libraries bring thread pools and memory of their own; and torch may live in
another interpreter.  So each family has a process, which keeps the prepared calls and answers one request at a time.
"""

import gc
import os
import pickle
import select
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from . import measure
from .workloads import BY_NAME, Workload

ROOT = Path(__file__).parents[1]
STARTING = 120.0


class TooSlow(Exception):
    """The process did not answer in time, and was ended."""


class Failed(Exception):
    """The process raised; the text says what."""


class Bench:
    """The prepared calls of one family. Results of its methods can be pickled."""

    def __init__(self, family: str, clock: str = "wall") -> None:
        from .rivals import FAMILIES

        self.clock = measure.CLOCKS[clock]
        self.systems = {system.name: system for system in FAMILIES[family]()}
        self.targets: dict[str, Callable] = {}
        self.calls: dict[str, Callable[[], Any]] = {}
        self.arguments: tuple = ()

    def names(self) -> list[str]:
        """The contestants."""
        return list(self.systems)

    def load(self, workload: str, tiny: bool = False) -> None:
        """Forget the last workload; make the arguments of this one."""
        self.workload: Workload = BY_NAME[workload]
        self.targets.clear()
        self.calls.clear()
        gc.collect()
        self.arguments = self.workload.tiny() if tiny else self.workload.arguments()

    def prepare(self, name: str) -> bool:
        """Make a contestant's call; whether it has one for this workload."""
        target, arguments, drive = self.systems[name].target(self.workload), self.arguments, self.workload.drive
        if target is None:
            return False
        self.targets[name] = target
        self.calls[name] = (lambda: drive(target, arguments)) if drive else (lambda: target(*arguments))
        return True

    def first(self, name: str) -> float:
        """Seconds of the first call. More calls follow, that whatever a system does on its second is done."""
        _, seconds = measure.timed(self.calls[name], self.clock)
        if seconds < 1.0 or not self.workload.drive:
            self.calls[name]()
        return seconds

    def result(self, name: str) -> Any:
        return self.calls[name]()

    def repetitions(self, name: str, seconds: float) -> int:
        return measure.repetitions(self.calls[name], seconds, self.clock)

    def time(self, name: str, count: int) -> float:
        """Seconds for that many calls."""
        return measure.time_loop(self.calls[name], count, self.clock)

    def peak_bytes(self, name: str) -> int:
        """Peak of what a call allocates (NumPy reports to tracemalloc), besides what is kept between calls."""
        from autograd_jit.lower import promote

        for _ in range(3):  # of ours the program is optimised while it is used, by a thread that allocates, too
            self.calls[name]()
        promote.wait(60)
        gc.collect()
        tracemalloc.start()
        try:
            result = self.calls[name]()  # kept alive: outputs count
            return tracemalloc.get_traced_memory()[1]
        finally:
            del result
            tracemalloc.stop()

    def numerical_slope(self) -> tuple[float, Any]:
        """The loss's derivative along a random direction, by differences of the plain NumPy program."""
        import numpy

        from .rivals import ours

        loss = self.workload.make_loss(numpy) if not self.workload.second_order else ours()[0].loss(self.workload)
        return measure.slope_along(loss, self.arguments)

    def profile(self, name: str) -> dict[str, Any]:
        """What our compiler made of a target: counts, arena, and its explanation."""
        from .profile import profile

        return profile(self.targets[name], self.arguments)

    def at_other_shape(self, name: str) -> dict[str, Any] | None:
        """The gradient at the workload's other arguments, and how many kernels that compiled."""
        if self.workload.other is None:
            return None
        arguments, target = self.workload.other(), self.targets[name]
        stats = getattr(target, "stats", None)
        before = stats.kernels_compiled if stats else 0
        target(*arguments)
        result = target(*arguments)
        return {"result": result, "compiled": stats.kernels_compiled - before if stats else 0}


class Worker:
    """A :class:`Bench` in a process of its own, restarted after it was ended for being slow."""

    def __init__(self, family: str, python: str = sys.executable, clock: str = "wall") -> None:
        self.family, self.python, self.clock = family, python, clock
        self.process: subprocess.Popen | None = None
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the worker is

    def start(self) -> None:
        """Start the process if it is not running; raises Failed with the reason if the family cannot be had."""
        if self.process is None:
            self.process = subprocess.Popen(
                [self.python, "-m", "benchmarks.worker", self.family, self.clock],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                cwd=ROOT,
            )
            self._answer(STARTING)

    def ask(self, method: str, *arguments, patience: float = 600.0) -> Any:
        """One of the bench's methods; raises TooSlow or Failed."""
        self.start()
        process = self.process
        assert process is not None and process.stdin is not None
        pickle.dump((method, arguments), process.stdin)
        process.stdin.flush()
        return self._answer(patience)

    def _answer(self, patience: float) -> Any:
        process = self.process
        assert process is not None and process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], patience)
        if not ready:
            self.stop()
            raise TooSlow(f"took more than {patience:.0f} s")
        try:
            done, value = pickle.load(process.stdout)
        except EOFError:
            self.stop()
            raise Failed(f"the process of {self.family} ended: {self._last_error()}") from None
        if not done:
            raise Failed(value)
        return value

    def _last_error(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a message"

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                assert pipe is not None
                pipe.close()
            self.process = None


def serve(family: str, clock: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""

    def answer(done: bool, value: Any) -> None:
        pickle.dump((done, value), answers)
        answers.flush()

    bench = Bench(family, clock)
    answer(True, None)
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            value = getattr(bench, method)(*arguments)
        except Exception as error:  # whatever a rival raises is a reason to leave it out, told in its row
            answer(False, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:160]}")
        else:
            answer(True, value)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print
    serve(sys.argv[1], sys.argv[2], sys.stdin.buffer, answers)
