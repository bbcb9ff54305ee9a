"""``jit(f, verify=True)``: the compiled answer held against the interpreted one, and the first value that differs.

Floating-point answers agree when they are close, since fused arithmetic rounds in other places; all else must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .records import replaced
from .trace import tree
from .trace.aliases import evaluate
from .trace.draws import perform
from .trace.packed_tape import PackedTape
from .trace.tape import Op, Tape

__all__ = ["difference", "first_differing_value", "period_of"]

#: relative difference that rounding may make, by the bytes of a real number; as a share of an array's largest element
TOLERANCE = {2: 1e-2, 4: 1e-4, 8: 1e-9}


def period_of(verify: bool | float) -> int:
    """Every how many calls are verified: 0 for none, 1 for all, ``verify=0.01`` for every hundredth."""
    return round(1 / verify) if verify else 0


def difference(got: Any, want: Any) -> str | None:
    """In what two answers differ, or None."""
    (leaves, structure), (wanted, wanted_structure) = [tree.flatten(value, opened=True) for value in (got, want)]
    if structure != wanted_structure:
        return f"containers: {got!r} against {want!r}"
    for position, pair in enumerate(zip(leaves, wanted, strict=True)):
        if not _agree(*pair):
            return f"output {position}: {_shown(pair[0])} against {_shown(pair[1])}"
    return None


def _shown(leaf: Any) -> str:
    kind = f"{leaf.dtype.name}{list(leaf.shape)} " if isinstance(leaf, np.ndarray) else ""
    return kind + np.array2string(leaf, threshold=20) if kind else repr(leaf)


def _agree(got: Any, want: Any) -> bool:
    if type(got) is not type(want):
        return False
    if not isinstance(want, (np.ndarray, np.generic, float, complex)):
        return bool(got == want) or (got != got and want != want)
    got, want = np.asarray(got), np.asarray(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return False
    if want.dtype.kind not in "fc":
        return bool(np.array_equal(got, want))
    tolerance = TOLERANCE.get(want.dtype.itemsize // (2 if want.dtype.kind == "c" else 1), TOLERANCE[8])
    finite = np.abs(want[np.isfinite(want)])
    scale = max(float(finite.max(initial=0.0)), 1e-6)  # below, sums of terms that cancel are rounding errors
    return bool(np.allclose(got, want, rtol=tolerance, atol=tolerance * scale, equal_nan=True))


def first_differing_value(
    tape: Tape, inputs: tuple, generators: Sequence[Any], rewind: Callable[[], None], *, precise: bool = False
) -> str:
    """The first operation of a tape whose compiled value is not its own function's value, in the user's words.

    ``rewind``: the draws of the call are served again from the start. ``precise``: as of the call's program.
    """
    from .lower.program import lower

    tape = tape.unpacked() if isinstance(tape, PackedTape) else tape
    produced = [var for op in tape.ops if isinstance(op, Op) for var in op.outputs]
    structure = tree.flatten([0] * len(produced))[1]
    everything = replaced(tape, outputs=tuple(produced), structure=structure, aliases={})
    rewind()
    compiled = lower(everything, precise=precise).run(inputs, generators)
    rewind()
    interpreted = _evaluated(tape, inputs, generators)
    found = dict(zip([var.number for var in produced], compiled, strict=True))
    for op in tape.ops:
        for var in op.outputs if isinstance(op, Op) else ():
            if not _agree(found[var.number], interpreted[var.number]):
                return f"{op}  # {op.line}\n  {_shown(found[var.number])} against {_shown(interpreted[var.number])}"
    return "none, if every value is stored: the difference comes from fusing operations"


def _evaluated(tape: Tape, inputs: tuple, generators: Sequence[Any]) -> dict[int, Any]:
    """The value of every variable of the tape, each operation computed by its own function."""
    values = dict(zip([var.number for var in tape.inputs], inputs, strict=True))

    for op in tape.ops:
        if isinstance(op, Op) and op.prim.draws is None:
            values.update(evaluate(op, values))
        elif isinstance(op, Op):
            leaves = tree.flatten(perform(op, generators))[0] if op.outputs else []
            values.update(zip([var.number for var in op.outputs], leaves, strict=True))
    return values
