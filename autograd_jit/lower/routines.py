"""Machine code of the library's routines (:mod:`autograd_jit.kernels.library`), in two tiers like that of kernels.

A routine is scalar code in stack slots: LLVM's optimiser takes ten to twenty times as long for it as its quick code
generator (a Cholesky decomposition and a solve: 45 ms against 3), so it too waits until a program has proved hot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config import CompileMode
from ..kernels.llvm import CompiledCode
from ..records import record
from . import compile as compiling
from .compile import CompiledKernel

if TYPE_CHECKING:
    from ..kernels.subset import Real

__all__ = ["CompiledRoutine", "compiled_routine"]


@record(eq=False)
class CompiledRoutine(CompiledKernel):
    """Machine code of a routine; its ``kernel`` is the function that it is written as, and a precision."""

    @property
    def symbol(self) -> str:
        return self.kernel[0].__name__

    def full_code(self) -> CompiledCode:
        from ..kernels import subset

        return subset.compiled(*self.kernel)


#: for good: there are two dozen of them
_known: dict[tuple[Callable, Real], CompiledRoutine] = {}


def compiled_routine(function: Callable, real: Real, mode: CompileMode = "eager") -> CompiledRoutine:
    """The code of a routine, in the tier that ``mode`` asks for or a better one."""
    from ..kernels import subset  # most programs have no routine

    with compiling.lock:
        found = _known.get((function, real))
        if found is None:
            code, tier = subset.best_known(function, real, quickly=mode != "eager")
            address = code.address(function.__name__)
            found = _known[function, real] = CompiledRoutine((function, real), code, address, "", 0.0, tier=tier)
        elif found.tier == "quick" and mode == "eager":
            found.replace(found.full_code())
        return found
