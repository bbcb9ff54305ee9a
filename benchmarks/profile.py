"""What our compiler made of a gradient: the numbers that explain a time."""

from collections.abc import Callable
from typing import Any


def profile(target: Callable, arguments: tuple) -> dict[str, Any]:
    """Operations, launches, kernels, Python steps, arena and largest array of a compiled function's program.

    Empty where the function runs interpreted.
    """
    stats = target.stats  # type: ignore[attr-defined]
    found = {"fallbacks": stats.fallbacks, "explanation": target.explain()}  # type: ignore[attr-defined]
    if stats.fallbacks:
        return found
    program = target.kernels(*arguments).program  # type: ignore[attr-defined]
    computed = [var for op in program.tape.ops for var in getattr(op, "outputs", ())]  # guards have none
    variables = [*program.tape.inputs, *computed]
    return found | {
        "operations": len(program.tape.ops),
        "launches": len(program.table),
        "kernels": len({kernel.kernel for kernel in program.kernels}),
        "kernels_compiled": stats.kernels_compiled,
        "python_steps": len(program.steps),
        "arena_bytes": program.arena_bytes,
        "largest_array": max(variable.type.size for variable in variables),
    }
