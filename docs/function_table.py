"""Write docs/functions.md: every registered function, its derivatives, and whether ``jit`` has a kernel for it.

python docs/function_table.py            # writes the file
python docs/function_table.py --check    # exits with 1 if the file is out of date
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

from autograd_jit.lower.rules import find, find_complex
from autograd_jit.trace.rules import REGISTRY, Registration

TARGET = Path(__file__).parent / "functions.md"
MODULES = (
    "numpy numpy.linalg numpy.fft scipy.special scipy.stats scipy.linalg scipy.signal scipy.integrate "
    "scipy.interpolate scipy.ndimage scipy.sparse scipy.sparse.linalg"
).split()
HEAD = """# Functions

Made from the registry by `docs/function_table.py`. *Reverse* and *forward*: the modes that a derivative rule serves.
*Second order* holds where both are there, for rules are written in differentiable functions. *Compiled*: `jit` has a
kernel for float64 and float32 arrays, and for complex ones where it says so; the others run as Python steps between
kernels. *Arguments* are those of the function itself; what is not supported for traced arrays is refused by name.

| function | kind | reverse | forward | second order | complex | compiled | arguments |
|---|---|---|---|---|---|---|---|
"""


def row(registration: Registration) -> str:
    prim = getattr(registration.function, "primitive", None)
    plain = registration.kind == "nondifferentiable"
    composed = registration.kind == "composite"
    reverse = not plain and (composed or bool(prim.vjps or prim.vjp_all))
    forward = not plain and (composed or bool(prim.jvps))
    valued = getattr(registration.function, "valued", None)  # NumPy's call gives the value: a step without a rule
    is_step = valued is not None and find(valued.primitive) is None
    parts = "derivatives only" if is_step else "by its parts"
    kinds = [word for word, rule in (("yes", find(prim)), ("complex", find_complex(prim))) if rule]
    compiled = parts if composed else ", ".join(kinds)
    module = registration.module.removeprefix("autograd_jit.")
    marks = [reverse, forward, reverse and forward, registration.complex and not plain]
    cells = ["yes" if mark else "" for mark in marks]
    name = f"`{module}.{registration.name}`"
    return f"| {name} | {registration.kind} | {' | '.join(cells)} | {compiled} | {arguments(registration)} |"


def arguments(registration: Registration) -> str:
    """The parameters of a public function; primitives have positional conventions of their own."""
    if registration.kind != "composite":
        return ""
    try:
        return ", ".join([f"`{name}`" for name in inspect.signature(registration.function).parameters])
    except ValueError:
        return ""


def table() -> str:
    for module in MODULES:
        importlib.import_module(f"autograd_jit.{module}")
    return HEAD + "\n".join([row(registration) for registration in REGISTRY.values()]) + "\n"


def main() -> None:
    text = table()
    if "--check" in sys.argv:
        if TARGET.read_text() != text:
            sys.exit(f"{TARGET} is out of date: run python docs/function_table.py")
    else:
        TARGET.write_text(text)


if __name__ == "__main__":
    main()
